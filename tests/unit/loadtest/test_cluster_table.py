"""The table of a run of faults, and the options of the program."""

from __future__ import annotations

from collections import Counter

import pytest

from loadtest.chaos.promises import Broken
from loadtest.cluster_faults.__main__ import main
from loadtest.cluster_faults.books import LOST, ONE_AWARD, Verdict
from loadtest.cluster_faults.programme import LONG, QUICK, programme
from loadtest.cluster_faults.scene import Result
from loadtest.cluster_faults.table import HEAD, table, told


def result() -> Result:
    broken = (Broken(LOST, "m1", "never reached bob"), Broken(ONE_AWARD, "c1", "was awarded"))
    return Result(
        "a gateway is killed",
        noticed_after=2.04,
        over_after=2.5,
        probes=30,
        probes_arrived=29,
        slowest_message=3.21,
        slowest_call=4.0,
        messages=1234,
        calls=56,
        errors=("us: a line",),
        verdict=Verdict(broken, Counter({"calls: committed": 56, "nothing of it": 0})),
    )


def test_a_row_tells_the_figures_of_one_fault() -> None:
    *head, row = table("taken so", [result()]).splitlines()
    assert head == ["taken so", "", *HEAD]
    assert row.count("|") == HEAD[0].count("|") == HEAD[1].count("|")
    assert row == "| a gateway is killed | 2.0 s | 2.5 s | 1,234, 3.2 s | 56, 4.0 s | 1 | 1 |"


def test_what_was_lost_with_a_killed_gateway_is_told_apart() -> None:
    one = result()
    one.verdict = Verdict((), Counter({"lost with the gateway, not durable": 2}))
    assert "| 0 (and 2 with the gateway, not durable) | 0 |" in table("", [one])


def test_whoever_waits_is_told_what_was_counted_and_what_was_broken() -> None:
    first, counted, *rest = told(result())
    assert "29 of 30 probes" in first
    assert counted == "  calls: committed: 56"
    assert [line.split()[0] for line in rest] == ["BROKEN", "BROKEN", "us:"]


def test_a_short_run_has_the_same_faults_as_a_long_one() -> None:
    names = [name for name, _ in programme(LONG)]
    assert names == [name for name, _ in programme(QUICK)]
    assert len(set(names)) == len(names) == 14
    assert LONG.away_seconds > 3 * LONG.lease_seconds
    assert QUICK.away_seconds >= 3 * QUICK.lease_seconds


def test_a_fault_that_is_unknown_is_answered_with_those_that_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--only", "killed,earthquake"]) == 2
    assert "there are joined, left, killed" in capsys.readouterr().out
