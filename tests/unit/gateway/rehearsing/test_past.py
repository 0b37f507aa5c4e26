"""What a record tells of each round, and of how long answers took."""

from __future__ import annotations

from gateway.rehearsing.past import Past
from tests.support.plays import (
    TIME_UP,
    accept,
    confirmation,
    offer,
    refusal,
    reject,
    reveal,
    sealed,
)
from tests.unit.gateway.rehearsing.test_stage import called_again, iterated, sealing
from tests.unit.gateway.test_rehearsal import THREE, recorded


def test_what_happened_stands_with_its_round_at_its_time_since_the_opening() -> None:
    past = Past(iterated())
    assert set(past.rounds) == {1, 2}
    first, second = past.rounds[1], past.rounds[2]
    assert (first.opened_at, first.closed_at) == (0.0, 3.0)
    assert [(after, event.sender) for after, event, _ in first.happened] == [
        (1.0, "agent://bob"),
        (2.0, "agent://carol"),
        (3.0, "agent://dave"),
    ]
    assert first.revised is not None
    assert (first.revised[0], first.revised[1].invited) == (
        1.0,
        ("agent://bob", "agent://carol"),
    )
    assert (second.opened_at, second.closed_at) == (4.0, 6.0)
    assert [after for after, _, _ in second.happened] == [1.0, 2.0]
    assert second.accepted == [(0.5, "bob-2")]
    assert past.decision is not None and past.decision.winners == ("agent://bob",)


def test_what_was_revealed_stands_with_the_close() -> None:
    past = Past(sealing((4.5, reveal("bob", 9)), (5.0, refusal("dave")), (5.5, reveal("carol", 8))))
    (only,) = past.rounds.values()
    assert [event.sender for _, event, _ in only.happened] == [
        "agent://bob",
        "agent://carol",
        "agent://dave",
    ]
    assert [(after, event.sender) for after, event in only.revealed] == [
        (1.5, "agent://bob"),
        (2.0, "agent://dave"),
        (2.5, "agent://carol"),
    ]


def test_a_reveal_that_came_before_its_time_happened_of_its_own_accord() -> None:
    past = Past(sealing())
    assert not past.rounds[1].revealed
    early = recorded(
        (1.0, sealed("bob", 9)),
        (2.0, reveal("bob", 9)),
        protocol="sealed-bid",
        options={"commit": True},
    )
    assert len(Past(early).rounds[1].happened) == 2


def test_how_long_answers_took_counts_from_when_they_were_asked_for() -> None:
    confirmed = recorded(
        *THREE, (3.5, confirmation("carol")), policy={"confirm": True}, profile="flow/high"
    )
    assert Past(confirmed).confirmed == {"agent://carol": 0.5}
    chosen = recorded(*THREE, (4.0, accept("dave")), decider="initiator")
    assert Past(chosen).rounds[1].accepted == [(1.0, "dave-offer")]
    rejected = recorded(*THREE, (5.0, reject("")), decider="initiator")
    assert Past(rejected).rounds[1].rejected == 2.0


def test_what_came_in_the_instant_of_a_timer_is_marked() -> None:
    past = Past(recorded(THREE[0], (10.0, TIME_UP), (10.0, offer("carol", 1.0))))
    assert [rang for _, _, rang in past.rounds[1].happened] == [False, True]


def test_it_was_asked_again_in_the_second_round() -> None:
    assert called_again("bob").round == 2
