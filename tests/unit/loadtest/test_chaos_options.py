"""What a run of chaos is told on the command line, and what it tells."""

from __future__ import annotations

import pytest

from loadtest.chaos.__main__ import parse
from loadtest.chaos.ledger import Ledger, Sent
from loadtest.chaos.memory import trend
from loadtest.chaos.plan import Plan
from loadtest.chaos.promises import judge
from loadtest.chaos.run import Result
from loadtest.chaos.summary import summary


def result(ledger: Ledger) -> Result:
    return Result(Plan(7, 10.0, 5), ledger, judge(ledger, 100.0), trend([]), 12.0, {"frames": 3})


def test_without_options_it_is_half_an_hour_of_fifty_agents_and_another_seed_each_time() -> None:
    options = parse([])
    assert (options.seconds, options.agents) == (1800.0, 50)
    assert len({parse([]).seed for _ in range(50)}) > 40


def test_what_is_given_counts() -> None:
    options = parse(["--seconds", "60", "--agents", "20", "--seed", "7", "--rate", "4"])
    assert (options.seconds, options.agents, options.seed, options.rate) == (60.0, 20, 7, 4.0)


@pytest.mark.parametrize("wrong", [["--seconds", "1"], ["--agents", "500"], ["--rate", "many"]])
def test_what_cannot_be_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong)


def test_a_long_run_leaves_time_without_deaths_to_watch_the_memory() -> None:
    assert Plan(1, 1800.0, 50).deadly_seconds == 900.0
    assert Plan(1, 10.0, 50).deadly_seconds == 7.0


def test_the_summary_of_a_run_that_kept_its_promises_says_so() -> None:
    kept = result(Ledger())
    lines = list(summary(kept))
    assert kept.is_kept
    assert lines[0] == "seed 7: 5 agents, 10 s of faults"
    assert lines[-1] == "every promise was kept (seed 7)"
    assert any(line.split() == ["frames", "3"] for line in lines)


def test_the_summary_of_a_broken_promise_names_the_seed_and_traces_the_message() -> None:
    ledger = Ledger()
    nobody = frozenset(("agent://bob",))
    ledger.send(Sent("a.0.1", "agent://a", (0, 1), "direct", nobody, nobody, True, True, 3.0, 1.0))
    broken = result(ledger)
    text = "\n".join(summary(broken))
    assert not broken.is_kept
    assert "see them again with --seed 7" in text
    assert "every message gets an answer: a.0.1" in text
    assert "agent://a sends a.0.1 (durable once, direct, for 3 s), owed to agent://bob" in text
