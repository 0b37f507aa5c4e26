"""Of each round the figures are taken once, and what must never happen is counted."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.experiments.bidding import bids
from loadtest.experiments.cases import Case
from loadtest.experiments.cast import Round
from loadtest.experiments.tally import Tally
from loadtest.run_records import RunRecord

CASE = Case("flow/high", 2, 1.0, 120.0, warm_up=10.0)
BOB, CAROL = "agent://bob", "agent://carol"


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Tally]:
    with RunRecord(tmp_path, {}) as record:
        yield Tally(CASE, record, begins_at=1_000.0)


def a_round(at: float = 1_020.0, **changed: Any) -> Round:
    """Return a round in which bob won and carol was told so; times are on the gateway's clock."""
    asked = bids(CASE, 1)
    outcome = {
        "state": "committed",
        "policy": "flow/high@1",
        "offers": 2,
        "complete": True,
        "opened_at": at + 0.001,
        "winners": [{"agent": BOB, "offer_id": "o1", "price": asked[0].value}],
    }
    round_ = Round(1, "m1", at, asked, "n1")
    round_.heard = {BOB: at + 0.002, CAROL: at + 0.003}
    round_.offered = {BOB: "o1", CAROL: "o2"}
    round_.received = {BOB: at + 0.004, CAROL: at + 0.006}
    round_.acked = {BOB: at + 0.005}
    round_.verdicts = {BOB: {"n1:1": "accept"}, CAROL: {"n1:2": "reject"}}
    round_.outcomes = {"n1:3": outcome}
    round_.decided_at = at + 0.008
    for name, value in changed.items():
        setattr(round_, name, value)
    return round_


def test_outcomes_count_when_they_are_heard_whenever_their_calls_were(tally: Tally) -> None:
    """A gateway is not quicker because a case ends: what comes afterwards is left out."""
    begin, end = 1_000.0 + CASE.warm_up, 1_000.0 + CASE.warm_up + CASE.seconds
    for called_at, decided_at in (
        (begin - 2, begin - 1),
        (begin - 1, begin),
        (end - 2, end - 1),
        (end - 1, end),
    ):
        tally.close(a_round(called_at, decided_at=decided_at))
    tally.close(a_round(end - 1, decided_at=None, outcomes={}))
    assert tally.within == 2
    assert tally.figures()["rounds_per_second"] == pytest.approx(2 / CASE.seconds)


def test_each_latency_is_what_it_says(tally: Tally) -> None:
    tally.close(a_round())
    figures = tally.figures()
    assert figures["offer_mean_ms"] == pytest.approx(5.0)
    assert figures["offer_p95_ms"] == pytest.approx(6.0)
    assert figures["decision_mean_ms"] == pytest.approx(8.0)
    assert figures["msg_mean_ms"] == pytest.approx(1.5)
    assert figures["ack_mean_ms"] == pytest.approx(5.0)
    assert figures["agent_sd_ms"] == pytest.approx(1.0)


def test_a_round_as_it_should_be_counts_once_everywhere(tally: Tally) -> None:
    tally.close(a_round())
    assert (tally.calls, tally.rounds, tally.offers, tally.in_time) == (1, 1, 2, 2)
    assert (tally.accepts, tally.rejects, tally.awarded, tally.complete) == (1, 1, 1, 1)
    assert (tally.lost, tally.double_finals, tally.wrong_awards, tally.odd_offers) == (0, 0, 0, 0)
    # 1 call, 2 heard, 2 offers, 2 heard, 2 verdicts, 1 outcome
    assert tally.messages == 10
    assert tally.completeness == 1.0


@pytest.mark.parametrize(
    ("changed", "figure", "count"),
    [
        ({"outcomes": {}, "decided_at": None}, "lost", 1),
        ({"verdicts": {BOB: {"n1:1": "accept"}}}, "lost", 1),
        (
            {"verdicts": {BOB: {"n1:1": "accept", "n1:4": "cancel"}, CAROL: {"n1:2": "reject"}}},
            "double_finals",
            1,
        ),
        ({"offered": {BOB: "o9", CAROL: "o2"}}, "wrong_awards", 1),
        ({"offered": {BOB: "o1"}}, "odd_offers", 1),
        ({"copies": 3}, "copies", 3),
    ],
)
def test_what_must_not_happen_is_counted(
    tally: Tally, changed: dict[str, Any], figure: str, count: int
) -> None:
    tally.close(a_round(**changed))
    assert getattr(tally, figure) == count


def test_a_second_outcome_is_a_second_final(tally: Tally) -> None:
    round_ = a_round()
    round_.outcomes["n1:9"] = {"state": "no_award", "policy": "flow/high@1"}
    tally.close(round_)
    assert tally.double_finals == 1


def test_the_warm_up_counts_only_for_what_must_never_happen(tally: Tally) -> None:
    tally.close(a_round(at=1_005.0, verdicts={}))
    assert (tally.calls, tally.lost) == (0, 2)


def test_every_minute_has_a_line_and_an_incomplete_round_is_labelled(
    tally: Tally, tmp_path: Path
) -> None:
    """Of the published warm-up no round was complete, and nothing said so."""
    tally.close(a_round())
    tally.close(a_round(at=1_021.0, outcomes={}, decided_at=None))
    tally.end()
    tally.record.__exit__(None, None, None)
    with (tmp_path / "per_minute.csv").open(newline="") as file:
        assert [(row["minute"], row["calls"]) for row in csv.DictReader(file)] == [
            ("0", "2"),
            ("1", "0"),
        ]
    with (tmp_path / "rounds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["state"], row["complete"]) for row in rows] == [
        ("committed", "true"),
        ("unfinished", "false"),
    ]
