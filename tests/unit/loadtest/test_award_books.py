"""What the award faults count, and when a promise is broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.award_faults.__main__ import parse
from loadtest.award_faults.books import Call, Sums, Verdict, judged, made, owed
from loadtest.award_faults.steps import BY_NAME, STEPS
from loadtest.award_faults.table import is_kept, table

BOB, CAROL = "agent://bob", "agent://carol"
FINE = Call("written", True, "committed", (BOB,), "n", 30.0, [BOB], [CAROL])
KEPT = judged("file", "written", [FINE])
SUMS = Sums(100, 70, 0, 30, 0)


def test_one_award_that_all_heard_alike_keeps_every_promise() -> None:
    assert Verdict("file", "written", 1, 1, 1, 0, 0, 0, 0, 0) == KEPT
    assert is_kept([KEPT], [("file", SUMS, 30)])


@pytest.mark.parametrize(
    "broken",
    [
        replace(FINE, told_won=[BOB, CAROL]),
        replace(FINE, told_won=[CAROL]),
        replace(FINE, told_won=[BOB, BOB]),
        replace(FINE, state="no_award", winners=()),
        replace(FINE, state="", winners=(), told_won=[]),
        replace(FINE, is_late=True),
        replace(FINE, is_late=True, durable=False, state="", winners=(), told_won=[]),
        replace(FINE, did_die=False),
    ],
)
def test_an_award_that_two_have_or_nobody_heard_of_is_seen(broken: Call) -> None:
    assert not is_kept([judged("file", "written", [FINE, broken])], [("file", SUMS, 30)])


def test_a_call_without_an_award_is_none_and_that_is_allowed() -> None:
    """N-7.10: none, or exactly one."""
    none = replace(FINE, state="no_award", winners=(), told_won=[], told_lost=[BOB, CAROL])
    verdict = judged("file", "written", [FINE, none])
    assert (verdict.awarded, verdict.none) == (1, 1)
    assert is_kept([verdict], [("file", SUMS, 30)])


def test_a_verdict_of_a_call_that_was_not_durable_may_be_gone_with_its_gateway() -> None:
    gone = replace(FINE, durable=False, told_won=[], told_lost=[], is_late=True)
    verdict = judged("file", "sent", [gone])
    assert (verdict.gone, verdict.unheard) == (1, 0)
    assert is_kept([verdict], [("file", SUMS, 30)])


@pytest.mark.parametrize(
    "sums",
    [
        replace(SUMS, available=71),
        replace(SUMS, available=69),
        replace(SUMS, held=10, available=60),
        replace(SUMS, locks=1),
        replace(SUMS, paid=40, available=60),
    ],
)
def test_credit_that_is_lost_made_held_or_paid_for_nothing_is_seen(sums: Sums) -> None:
    assert not is_kept([KEPT], [("file", sums, 30)])


def test_what_is_owed_is_the_price_of_awards_that_were_to_be_paid() -> None:
    paid = [step.name for step in STEPS if step.plot != "work failed"]
    failed = replace(FINE, step="returned")
    assert owed([FINE, failed, replace(FINE, winners=())], paid) == 30_000_000
    assert made(replace(SUMS, available=71)) == 1


def test_a_table_says_what_was_left_of_all_credit() -> None:
    text = table("made by", [KEPT], [("file", SUMS, 30)])
    assert f"| {BY_NAME['written'].words} | file | 1 | 1 | 0 | 0 | 0 | 0 |" in text
    assert "lost or made: 0, still held: 0, units still locked: 0" in text


def test_every_step_is_played_a_hundred_times_unless_one_says_otherwise() -> None:
    options = parse([])
    assert (options.repetitions, options.store) == (100, ("file", "etcd"))
    assert parse(["--only", "asked,paid"]).only == ["asked", "paid"]
