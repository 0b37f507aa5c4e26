"""A deal between two that holds something: told once it is written, and not at all otherwise."""

from __future__ import annotations

import pytest

from policy.stakes import Credit, Need, Stakes
from policy.states import Phase
from tests.support.bargains import CONCESSION, OFFERS, Bargain, both, make_bargain, propose, take
from tests.support.plays import (
    TIME_UP,
    cancellation,
    counter,
    gone,
    not_settled,
    report,
    settled,
)

STAKES = Stakes((Need("gpu", 4, 60.0),), Credit("initiator"), within=5.0)
ASKED = "settle 1: bob 4 gpu and 60 of alice"


def _asked(stakes: Stakes = STAKES) -> Bargain:
    """Return a bargain in which alice has accepted bob's 60, and the store is asked."""
    made = Bargain(make_bargain(OFFERS, call={"stakes": stakes}))
    made.then("relay to bob: round 1 until 10")
    made.at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    made.at(2, take("alice", "bob-60"))
    return made


def test_a_deal_is_told_to_nobody_before_it_is_written() -> None:
    """N-7.7: not even to the party whose offer is accepted."""
    made = _asked().then(ASKED)
    made.is_in(Phase.SETTLING, due=7)
    made.at(3, settled(1)).then(*both("committed, bob-60"), "capture 1/1")
    made.is_in(Phase.COMMITTED)
    winner = made.outcome["winners"][0]
    assert winner["locks"][0]["fence"] == 7
    assert winner["credit"] == {"payer": "agent://alice", "micros": 60_000_000, "project": ""}
    made.at(4, settled(1)).then()
    made.end()


@pytest.mark.parametrize("reason", ["RESOURCE_GONE", "BUDGET_EXHAUSTED", "SUPERSEDED"])
def test_a_deal_that_cannot_be_paid_or_served_is_a_conflict(reason: str) -> None:
    made = _asked().then(ASKED)
    made.at(3, not_settled(1, reason)).then(*both(f"no_award, conflict ({reason})"))
    made.is_in(Phase.NO_AWARD).end()


@pytest.mark.parametrize(("at", "event"), [(7, TIME_UP), (7.5, propose("bob", 50))])
def test_a_deal_is_not_waited_for_without_end(at: float, event: object) -> None:
    made = _asked().then(ASKED)
    after = [] if event is TIME_UP else ["refuse bob LATE"]
    made.at(at, event).then(  # type: ignore[arg-type]
        "release 1/1: not_settled", *both("no_award, conflict (not_settled)"), *after
    )
    made.at(8, settled(1)).then("release 1/1: late")
    made.at(8, not_settled(1, "RESOURCE_GONE")).then()
    made.end()


def test_the_initiator_can_cancel_while_a_deal_is_written() -> None:
    made = _asked().then(ASKED)
    made.at(3, cancellation("bob")).then("refuse bob WRONG_STATE")
    made.at(3, cancellation()).then(
        "relay to bob", *both("cancelled, end (cancelled)"), "release 1/1: cancelled"
    )
    made.at(4, settled(1)).then("release 1/1: late")
    made.end()


def test_nothing_else_means_anything_while_a_deal_is_written() -> None:
    made = _asked().then(ASKED)
    made.at(3, TIME_UP).then()
    made.at(3, gone("bob")).then()
    made.at(3, take("alice", "bob-60")).then()
    made.at(3, counter("bob")).then("refuse bob WRONG_STATE")
    made.at(3, report("dave")).then("refuse dave NOT_A_PARTY")
    made.at(3, settled(1)).then(*both("committed, bob-60"), "capture 1/1")
    made.end()


def test_an_answer_of_the_store_that_nobody_has_asked_for_is_undone() -> None:
    made = Bargain(make_bargain(OFFERS, call={"stakes": STAKES}))
    made.then("relay to bob: round 1 until 10")
    made.at(1, settled(1)).then("release 1/1: late")
    made.end()


def test_a_deal_of_monotonic_concession_waits_too() -> None:
    """What it costs is its value; here the deals meet at once."""
    made = Bargain(make_bargain(CONCESSION, call={"stakes": STAKES}))
    made.unclaimed = []
    made.at(1, propose("alice", 60)).then()
    made.at(2, propose("bob", 50))
    [asked] = made.unclaimed
    assert type(asked).__name__ == "Settle"
    made.unclaimed = []
    made.at(3, settled(1))
    assert made.state.phase is Phase.COMMITTED
    made.unclaimed = []
    made.end()


@pytest.mark.parametrize(
    ("terms", "micros"), [({"price": 12}, 12_000_000), ({"price": "dear"}, 0), ({"colour": 1}, 0)]
)
def test_a_deal_without_a_value_costs_the_price_among_its_terms(
    terms: dict[str, object], micros: int
) -> None:
    made = Bargain(make_bargain(OFFERS, call={"stakes": Stakes(credit=Credit("initiator"))}))
    made.unclaimed = []
    made.at(1, propose("bob", None, terms=terms))
    made.unclaimed = []
    made.at(2, take("alice", "bob-terms"))
    assert made.unclaimed[0].stakes[0].micros == micros  # type: ignore[union-attr]
    made.unclaimed = []
    made.at(3, settled(1))
    made.unclaimed = []
    made.end()


def test_both_hear_exactly_what_was_refused() -> None:
    made = _asked().then(ASKED)
    made.at(3, not_settled(1, "RESOURCE_GONE", "bob", detail="RESOURCE_UNKNOWN: gpu"))
    made.then(*both("no_award, conflict (RESOURCE_GONE)"))
    assert made.outcome["detail"] == "RESOURCE_UNKNOWN: gpu"
    assert "retry_at" not in made.outcome
