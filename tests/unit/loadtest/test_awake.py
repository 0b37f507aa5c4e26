"""Cores that are kept awake: by whom, for how long, and who is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import awake, report


def policy_of(pid: int) -> int:
    return os.sched_getscheduler(pid)


def test_a_process_of_idle_priority_spins_on_each_core_and_ends_afterwards() -> None:
    with awake.cores_awake() as spinning:
        assert len(spinning) == len(os.sched_getaffinity(0))
        assert {policy_of(pid) for pid in spinning} == {os.SCHED_IDLE}
        assert all(os.getsid(pid) == pid for pid in spinning), "each has a session of its own"
        cores = [os.sched_getaffinity(pid) for pid in spinning]
        assert sorted(core for one in cores for core in one) == sorted(os.sched_getaffinity(0))
    for pid in spinning:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_command_knows_it_and_its_exit_code_is_handed_on(tmp_path: Path) -> None:
    told, before = tmp_path / "told", signal.getsignal(signal.SIGINT)
    script = f"import os; open({str(told)!r}, 'w').write(os.environ['{awake.VARIABLE}']); exit(3)"
    assert awake.main([sys.executable, "-c", script]) == 3
    assert told.read_text() == "1"
    assert signal.getsignal(signal.SIGINT) is before, "and Ctrl-C is ours again"


def test_a_result_says_that_the_cores_were_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(awake.VARIABLE, raising=False)
    assert report.facts()["cores_awake"] is False
    monkeypatch.setenv(awake.VARIABLE, "1")
    assert report.facts()["cores_awake"] is True


def test_without_a_command_or_with_one_that_is_not_there_it_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert awake.main([]) == 2
    assert "which command" in capsys.readouterr().err
    assert awake.main(["no-such-program"]) == 2
    assert "no-such-program" in capsys.readouterr().err


@pytest.mark.slow
def test_a_signal_reaches_the_command_and_no_spinner_is_left() -> None:
    script = (
        "import signal, sys; print('up', flush=True); signal.sigwait({signal.SIGTERM}); exit(7)"
    )
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "loadtest.awake",
            sys.executable,
            "-c",
            "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n" + script,
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.terminate()
        assert process.wait(timeout=20) == 7
    for pid in map(int, children):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
