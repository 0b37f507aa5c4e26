"""Processor time is read of the right processes, and comes to parts of a core."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from loadtest.experiments import usage
from loadtest.experiments.usage import Usage, shares


def test_a_share_is_what_was_used_in_between_by_the_time_in_between() -> None:
    before = Usage(10.0, 1.0, 2.0, 3.0, 100.0)
    used = shares(before, Usage(14.0, 3.0, 8.0, 4.0, 100.0 + 2 * (os.cpu_count() or 1)))
    assert used == Usage(4.0, 0.5, 1.5, 0.25, 0.5)


def test_a_worker_that_was_replaced_takes_nothing_back() -> None:
    """Its time goes to the gateway's ended children, so that of the workers shrinks."""
    before = Usage(0.0, 1.0, 5.0, 1.0, 10.0)
    assert shares(before, replace(before, at=1.0, gateway=6.0, workers=0.0)).workers == 0.0


@pytest.mark.slow
def test_a_process_and_its_children_are_told_apart() -> None:
    """The child counts to six million and says so; its parent waits, as an event loop would not."""
    child = "sum(range(6_000_000)); print(flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen = usage.usage(process.pid, 1.0)
        process.communicate(b"\n")
    assert seen.workers > seen.gateway > 0.0
    assert seen.own > 0.0
    assert seen.machine > seen.workers
    assert usage.usage(process.pid, 2.0).workers == 0.0


def test_idle_time_of_the_machine_is_not_work() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    # user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice
    stat = "cpu  100 20 30 9000 800 1 2 3 50 50\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert usage._machine(stat) == pytest.approx(156 / ticks)
