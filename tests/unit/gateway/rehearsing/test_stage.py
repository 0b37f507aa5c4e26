"""Rounds and reveals under another profile."""

from __future__ import annotations

from policy.acceptance import PROFILES, parse
from policy.events import AcceptReceived, Event, RevisedCallReceived
from policy.table import Record
from tests.support.plays import TIME_UP, offer, refusal, reject, reveal, sealed
from tests.unit.gateway.test_rehearsal import THREE, compared, recorded

HIGH = PROFILES["flow/high"]


def called_again(*names: str) -> RevisedCallReceived:
    """Return the call of round 2, which is open for 10 seconds from 4 on."""
    invited = tuple(f"agent://{name}" for name in names)
    return RevisedCallReceived("agent://alice", "call-2", 2, invited, 14.0, 14.0, {})


def taken(offer_id: str) -> AcceptReceived:
    """Let alice accept an offer of the second round."""
    return AcceptReceived("agent://alice", f"accept-{offer_id}", offer_id)


def iterated(*more: tuple[float, Event], first: tuple[tuple[float, Event], ...] = THREE) -> Record:
    """Return two rounds: carol is best in the first, bob in the second, and alice takes bob."""
    events = more or (
        (4.0, called_again("bob", "carol")),
        (5.0, offer("carol", 34.0, "carol-2", fields={"round": 2, "value": 34.0})),
        (6.0, offer("bob", 30.0, "bob-2", fields={"round": 2, "value": 30.0})),
        (6.5, taken("bob-2")),
    )
    return recorded(*first, *events, protocol="iterated-contract-net", decider="initiator")


def sealing(*revealed: tuple[float, Event]) -> Record:
    """Return an auction in which bob committed 9 at 1, carol 8 at 2 and dave 12 at 3."""
    committed = ((1.0, sealed("bob", 9)), (2.0, sealed("carol", 8)), (3.0, sealed("dave", 12)))
    options = {"price": "second", "commit": True, "reveal_within": 5}
    return recorded(*committed, *revealed, protocol="sealed-bid", options=options)


REVEALS = ((4.0, reveal("bob", 9)), (4.5, reveal("carol", 8)), (5.0, reveal("dave", 12)))


def test_a_second_round_begins_when_the_first_has_closed_sooner() -> None:
    """And what was said in it comes as long after its beginning as it did."""
    then, now, one = compared(iterated(), parse({"quorum": 2, "settle": 0.5}, HIGH))
    assert (then.winners, then.price, then.seconds) == (("agent://bob",), 30.0, 6.5)
    assert (now.winners, now.price, now.seconds) == (("agent://bob",), 30.0, 6.0)
    assert then.closed_after - now.closed_after == 0.5
    assert not one.assumed


def test_a_round_that_closes_with_the_first_offer_has_only_that_to_call_again() -> None:
    then, now, one = compared(iterated(), "flow/low")
    assert (now.winners, now.price) == (("agent://bob",), 30.0)
    assert (then.seconds, now.seconds) == (6.5, 4.5)
    assert one.assumed == ("the initiator calls again whom it can of those it called",)


def test_who_had_not_offered_in_time_is_not_called_again() -> None:
    late = (THREE[0], THREE[2], (3.5, offer("carol", 35.0)))
    record = iterated(
        (4.5, called_again("bob", "carol")),
        (5.0, offer("bob", 30.0, "bob-2", fields={"round": 2, "value": 30.0})),
        (5.5, offer("carol", 20.0, "carol-2", fields={"round": 2, "value": 20.0})),
        (6.0, taken("carol-2")),
        first=late,
    )
    then, now, one = compared(record, parse({"window": 3.2}, HIGH))
    assert (then.winners, now.winners) == (("agent://carol",), ("agent://bob",))
    assert "the initiator calls again whom it can of those it called" in one.assumed
    assert "the initiator accepts the best" in one.assumed


def test_when_nobody_of_those_can_be_called_again_the_best_is_accepted() -> None:
    record = iterated(
        (4.0, called_again("dave")),
        (5.0, offer("dave", 30.0, "dave-2", fields={"round": 2, "value": 30.0})),
        (6.0, taken("dave-2")),
    )
    _, now, one = compared(record, parse({"window": 2.5}, HIGH))
    assert now.winners == ("agent://carol",)
    assert one.assumed == ("the initiator accepts the best",)


def test_whose_offer_the_initiator_had_not_seen_would_not_have_been_called_again() -> None:
    """It came after the close, and would have been in time."""
    late = recorded(
        THREE[0],
        (2.0, TIME_UP),
        (2.1, offer("carol", 35.0)),
        (2.5, called_again("bob")),
        (3.5, offer("bob", 30.0, "bob-2", fields={"round": 2, "value": 30.0})),
        (4.0, taken("bob-2")),
        policy={"window": 2.0},
        protocol="iterated-contract-net",
        decider="initiator",
    )
    _, _, one = compared(late, parse({"window": 2.2}, HIGH))
    assert "agent://carol would not have been called again" in one.assumed


def test_an_initiator_that_rejected_all_after_two_rounds_does_it_again() -> None:
    record = iterated(
        (4.0, called_again("bob")),
        (5.0, offer("bob", 30.0, "bob-2", fields={"round": 2, "value": 30.0})),
        (6.0, reject("")),
    )
    then, now, one = compared(record, HIGH)
    assert (then.state, now.state, one.is_same) == ("no_award", "no_award", True)


def test_bids_are_revealed_as_long_after_the_close_as_they_were() -> None:
    record = sealing(*REVEALS)
    then, now, one = compared(record, HIGH)
    assert one.is_same and now.seconds == then.seconds == 5.0
    then, now, one = compared(record, parse({"window": 2.5}, HIGH))
    assert now.winners == ("agent://carol",)
    assert now.price == 9.0
    assert now.seconds == 4.0, "it closed at 2.5, and carol took 1.5 seconds"
    assert not one.assumed


def test_a_bid_that_nobody_revealed_is_known_to_nobody() -> None:
    """It was committed too late then, and would be in time now."""
    record = recorded(
        (1.0, sealed("bob", 9)),
        (2.0, sealed("carol", 8)),
        (2.5, reveal("bob", 9)),
        policy={"window": 1.5},
        protocol="sealed-bid",
        options={"commit": True, "reveal_within": 5},
    )
    then, now, one = compared(record, HIGH)
    assert then.winners == now.winners == ("agent://bob",)
    assert one.assumed == ("agent://carol does not reveal its bid, which nobody knows",)
    assert one.unheard == 1


def test_who_declined_to_reveal_declines_again() -> None:
    record = sealing((4.0, reveal("bob", 9)), (4.5, refusal("carol")), (5.0, reveal("dave", 12)))
    then, now, one = compared(record, parse({"settle": 0.5}, HIGH))
    assert then.winners == now.winners == ("agent://bob",)
    assert not one.assumed


def test_a_second_round_is_open_for_as_long_as_it_was() -> None:
    """Its deadline moves with its beginning, when nobody closes it sooner."""
    record = iterated(
        (4.0, called_again("bob", "carol")),
        (5.0, offer("bob", 30.0, "bob-2", fields={"round": 2, "value": 30.0})),
        (14.0, TIME_UP),
        (14.5, taken("bob-2")),
    )
    then, now, one = compared(record, parse({"window": 2.5}, HIGH))
    assert (then.closed_after, now.closed_after) == (14.0, 6.0), "a window is of every round"
    then, now, one = compared(record, parse({"quorum": 2, "settle": 0.5}, HIGH))
    assert (then.closed_after, now.closed_after) == (14.0, 13.5)
    assert now.winners == ("agent://bob",) and not one.assumed
