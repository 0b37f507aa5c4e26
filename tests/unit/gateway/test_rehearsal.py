"""Rehearsals: what another profile would have decided, and what nobody can know."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.rehearsal import REHEARSED, Comparison, Rehearsed, rehearse
from loadtest.soak.crew import seed_of
from loadtest.soak.drawers import drawer_of
from loadtest.soak.play import play
from policy.acceptance import PROFILES, Acceptance, parse
from policy.events import Event, NotSettled, OfferReceived, Settled
from policy.protocols import PROTOCOLS
from policy.stakes import Credit, Need, Stakes
from policy.table import Record, Table
from tests.support.plays import (
    TIME_UP,
    accept,
    cancellation,
    confirmation,
    make_call,
    offer,
    refusal,
    reject,
)


def recorded(*events: tuple[float, Event], profile: str = "flow/high", **fields: Any) -> Record:
    table = Table(keep_records=True)
    fields.setdefault("deadline", 10.0)
    call = make_call(profile, **fields)
    table.open(call, 0.0)
    for at, event in events:
        table.apply(call.negotiation_id, event, at)
    record = table.record(call.negotiation_id)
    assert record is not None
    return record


THREE = ((1.0, offer("bob", 40.0)), (2.0, offer("carol", 35.0)), (3.0, offer("dave", 38.0)))


def compared(record: Record, profile: Acceptance | str) -> tuple[Any, Any, Rehearsed]:
    chosen = PROFILES[profile] if isinstance(profile, str) else profile
    one = rehearse(record, chosen)
    assert one.then is not None and one.now is not None, one.reason
    return one.then, one.now, one


def test_the_first_wins_where_the_best_did() -> None:
    then, now, one = compared(recorded(*THREE), "flow/low")
    assert (then.winners, then.price, then.seconds) == (("agent://carol",), 35.0, 3.0)
    assert (now.winners, now.price, now.seconds) == (("agent://bob",), 40.0, 1.0)
    assert not one.is_same and not one.unheard and not one.assumed


def test_the_same_profile_decides_the_same() -> None:
    record = recorded(*THREE)
    then, now, one = compared(record, record.call.acceptance)
    assert one.is_same and then == now


def test_a_window_that_is_longer_hears_who_came_late() -> None:
    """The record has the late offer; who never answered may have, which is told."""
    low = recorded(*THREE[:2], profile="flow/low")
    then, now, one = compared(low, "flow/high")
    assert (then.winners, now.winners) == (("agent://bob",), ("agent://carol",))
    assert (now.seconds, one.unheard) == (10.0, 1)


def test_a_window_that_is_shorter_does_not_hear_who_came_after_it() -> None:
    short = parse({"window": 1.5}, PROFILES["flow/high"])
    then, now, one = compared(recorded(*THREE), short)
    assert (now.winners, now.seconds, one.unheard) == (("agent://bob",), 1.5, 0)
    assert then.closed_after == 3.0 and now.closed_after == 1.5


def test_what_came_after_a_timer_in_the_same_instant_comes_after_it_again() -> None:
    record = recorded(THREE[0], (10.0, TIME_UP), (10.0, offer("carol", 1.0)))
    _, now, one = compared(record, "flow/high")
    assert one.is_same and now.winners == ("agent://bob",)


def test_a_winner_that_confirmed_confirms_after_as_long() -> None:
    confirmed = recorded(
        *THREE, (3.5, confirmation("carol")), policy={"confirm": True}, profile="flow/high"
    )
    then, now, one = compared(confirmed, parse({"settle": 1.0}, confirmed.call.acceptance))
    assert (then.seconds, now.seconds, one.assumed) == (3.5, 3.5, ())


def test_a_winner_that_was_never_asked_is_taken_to_confirm_at_once() -> None:
    _, now, one = compared(recorded(*THREE), parse({"confirm": True}, PROFILES["flow/high"]))
    assert now.winners == ("agent://carol",)
    assert one.assumed == ("agent://carol confirms at once",)


def test_a_winner_that_did_not_confirm_would_not_have() -> None:
    record = recorded(
        *THREE, (13.0, TIME_UP), (13.5, confirmation("dave")), policy={"confirm": True}
    )
    then, now, one = compared(record, parse({"select": "best"}, record.call.acceptance))
    assert then.winners == now.winners == ("agent://dave",) and one.is_same
    assert not one.assumed


def test_an_initiator_chooses_what_it_chose_or_the_best_that_is_there() -> None:
    record = recorded(*THREE, (4.0, accept("dave")), decider="initiator")
    _, now, one = compared(record, record.call.acceptance)
    assert one.is_same and now.winners == ("agent://dave",)
    _, now, one = compared(record, parse({"window": 1.5}, PROFILES["flow/high"]))
    assert now.winners == ("agent://bob",) and now.seconds == 2.5
    assert one.assumed == ("the initiator accepts the best",)


def test_an_initiator_that_rejected_all_does_it_again() -> None:
    record = recorded(*THREE, (4.0, reject("")), decider="initiator")
    then, now, _ = compared(record, "flow/low")
    assert (then.state, now.state, now.seconds) == ("no_award", "no_award", 2.0)


def test_a_cancellation_comes_too_late_for_who_decides_sooner() -> None:
    record = recorded(THREE[0], (2.0, cancellation()))
    then, now, _ = compared(record, "flow/low")
    assert (then.state, now.state) == ("cancelled", "committed")


def test_the_store_refuses_whom_it_refused_and_takes_the_others() -> None:
    stakes = Stakes((Need("gpu", 1, 60.0),), Credit("initiator"), 5.0)
    record = recorded(
        *THREE,
        (3.5, NotSettled(number=1, reason="RESOURCE_GONE", agents=("agent://carol",))),
        (4.0, Settled(number=2)),
        stakes=stakes,
    )
    then, now, one = compared(record, parse({"settle": 0.5}, PROFILES["flow/high"]))
    assert then.winners == now.winners == ("agent://dave",)
    assert one.assumed == ("the store takes the award",)


def test_an_offer_of_which_only_the_value_is_known_is_told() -> None:
    """Offers that did not count were recorded without their payload."""
    slight = OfferReceived("agent://carol", "carol-offer", 30.0, {})
    record = recorded(
        (1.0, offer("bob", 40.0)), (2.0, slight), profile="flow/low", utility="-value"
    )
    _, _, one = compared(record, "flow/high")
    assert "agent://carol offered nothing but its value" in one.assumed


@pytest.mark.parametrize("protocol", ["alternating-offers", "monotonic-concession"])
def test_what_two_parties_decide_is_not_compared(protocol: str) -> None:
    bargain = recorded(agents="bob", protocol=protocol)
    why = rehearse(bargain, PROFILES["low"]).reason
    assert why == f"in {protocol} the two parties decide, whatever the profile"


def test_a_protocol_that_is_not_shipped_is_not_compared() -> None:
    record = recorded(*THREE)
    own = Record(msgspec.structs.replace(record.call, protocol="dutch"), 0.0, ())
    assert "dutch is no protocol of this release" in rehearse(own, PROFILES["low"]).reason


def test_what_was_not_decided_or_cannot_be_is_not_compared() -> None:
    open_still = recorded(THREE[0])
    assert "not decided while" in rehearse(open_still, PROFILES["low"]).reason
    weighed = recorded(*THREE, utility="-value")
    vickrey = parse({"select": "vickrey"}, PROFILES["flow/high"])
    assert "would be refused" in rehearse(weighed, vickrey).reason


def test_many_rehearsals_are_compared_by_what_became_of_them() -> None:
    comparison = Comparison()
    for record in (
        recorded(*THREE),
        recorded((1.0, offer("bob", 40.0)), (2.0, refusal("carol")), (2.5, refusal("dave"))),
        recorded((1.0, offer("bob", 40.0)), (2.0, cancellation())),
        recorded(*((at, refusal(name)) for at, name in ((1, "bob"), (2, "carol"), (3, "dave")))),
        recorded(agents="bob", protocol="alternating-offers"),
    ):
        comparison.count(rehearse(record, PROFILES["flow/low"]))
    told = comparison.told()
    assert (told["negotiations"], told["compared"]) == (5, 4)
    assert (told["same"], told["other_winner"], told["gained"], told["lost"]) == (2, 1, 1, 0)
    assert told["mean_price"] == {"then": 37.5, "now": 40.0}
    assert list(told["skipped"].values()) == [1]
    assert list(comparison.skipped_ids.values()) == [["g.0.n"]]


def test_an_award_that_is_lost_and_another_price_are_told_apart() -> None:
    comparison = Comparison()
    none = parse({"quorum": "all", "on_expiry": "no_award", "window": 2.5}, PROFILES["flow/high"])
    comparison.count(rehearse(recorded(*THREE), none))
    vickrey = parse({"select": "vickrey"}, PROFILES["flow/high"])
    comparison.count(rehearse(recorded(*THREE), vickrey))
    assert (comparison.lost, comparison.other_price) == (1, 1)
    assert Comparison().told()["mean_price"] is None


@pytest.mark.parametrize("name", REHEARSED)
def test_under_its_own_profile_a_recorded_negotiation_is_decided_as_it_was(name: str) -> None:
    """Over what chance leads to, in one round and in several, revealed or not."""
    compared = same = 0
    for number in range(120):
        played = play(PROTOCOLS[name], drawer_of(name), seed_of(3, name, number), number)
        record = Record(played.call, 0.0, tuple(played.events), tuple(played.effects))
        one = rehearse(record, played.call.acceptance)
        if one.now is not None and not one.assumed:
            compared += 1
            same += one.is_same
    assert compared > 50 and same == compared
