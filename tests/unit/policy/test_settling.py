"""The part that all protocols share which wait for the store."""

from __future__ import annotations

from typing import Any

import pytest

from policy import settling
from policy.call import Call
from policy.effects import Capture, Effect, Finish, Release, Settle
from policy.events import NotSettled, Settled
from policy.protocols import PROTOCOLS
from policy.settling import NOTHING_SETTLED, Settlement
from policy.stakes import Credit, Lock, Need, Stake, Stakes
from policy.states import Phase
from tests.support import plays


def stake(key: str, agent: str = "bob") -> Stake:
    address = f"agent://{agent}"
    return Stake(key, address, "o", address, address, "", 5, (Lock("gpu", 1, 0.0, 9.0),), 99.0)


def asked(*stakes: Stake, before: Settlement = NOTHING_SETTLED) -> Settlement:
    number = settling.next_number(before)
    settlement, _ = settling.ask(before, number, stakes, 1.0, 5.0)
    return settlement


def test_the_store_is_asked_under_a_number_that_no_other_time_of_asking_has() -> None:
    first, effect = settling.ask(NOTHING_SETTLED, 1, [stake("a")], 1.0, 5.0)
    assert effect == Settle(1, (stake("a"),), 6.0)
    assert settling.next_number(first) == 2
    assert settling.next_number(NOTHING_SETTLED, 3) > settling.next_number(first, 2) > 1_000_000


def test_an_answer_counts_once_and_only_for_what_was_asked_last() -> None:
    waiting = asked(stake("a"))
    assert settling.is_current(waiting, Settled(number=1, locks={}))
    assert not settling.is_current(waiting, Settled(number=2, locks={}))
    assert not settling.is_current(
        settling.settled(waiting, Settled(number=1, locks={})), Settled(number=1, locks={})
    )
    assert not settling.is_current(None, NotSettled(number=1, reason="RESOURCE_GONE"))


def test_what_is_written_is_held_with_its_fencing_numbers() -> None:
    waiting = asked(stake("a"), stake("b", "carol"))
    locks = {"a": (Lock("gpu", 1, 0.0, 9.0, 7),)}
    written = settling.settled(waiting, Settled(number=1, locks=locks))
    assert [one.locks[0].fence for one in written.held] == [7, 0]
    assert written.asked == ()
    held = settling.stake_for(written, "agent://bob")
    assert held is not None and held.key == "a"
    assert settling.stake_for(written, "agent://dave") is None
    assert settling.stake_for(None, "agent://bob") is None


def test_what_is_refused_leaves_what_is_held_as_it_was() -> None:
    before = settling.settled(asked(stake("a")), Settled(number=1, locks={}))
    refused = settling.not_settled(
        asked(stake("b"), before=before),
        NotSettled(number=2, reason="BUDGET_EXHAUSTED", retry_at=60.0),
    )
    assert (refused.held, refused.asked) == (before.held, ())
    assert (refused.refused, refused.retry_at) == ("BUDGET_EXHAUSTED", 60.0)


def test_an_answer_that_nobody_awaits_is_undone_unless_it_stands_already() -> None:
    locks = (Lock("gpu", 1, 0.0, 9.0, 7),)
    stands = settling.settled(asked(stake("a")), Settled(number=1, locks={"a": locks}))
    assert settling.undo(stands, Settled(number=1, locks={"a": locks})) == []
    paid, _ = settling.capture(stands, unlock=False)
    assert settling.undo(paid, Settled(number=1, locks={"a": locks})) == []
    late = [Release(("b", "c"), "late")]
    assert settling.undo(stands, Settled(number=9, locks={"c": locks, "b": locks})) == late
    assert settling.undo(None, Settled(number=1, locks={"a": locks})) == [Release(("a",), "late")]
    assert settling.undo(stands, NotSettled(number=9, reason="RESOURCE_GONE")) == []


def test_giving_up_has_undone_what_was_asked_for() -> None:
    given_up, effects = settling.give_up(asked(stake("a"), stake("b")))
    assert effects == [Release(("a", "b"), "not_settled")]
    assert (given_up.asked, given_up.refused) == ((), "not_settled")
    assert settling.give_up(NOTHING_SETTLED)[1] == []


def test_a_release_gives_back_what_some_hold_or_everything() -> None:
    held = settling.settled(asked(stake("a"), stake("b", "carol")), Settled(number=1, locks={}))
    waiting = asked(stake("c", "dave"), before=held)
    some, effects = settling.release(waiting, "failed", ("agent://bob",))
    assert effects == [Release(("a",), "failed")]
    assert [one.key for one in (*some.held, *some.asked)] == ["b", "c"]
    nothing, effects = settling.release(some, "cancelled")
    assert effects == [Release(("b", "c"), "cancelled")]
    assert (nothing.held, nothing.asked) == ((), ())
    assert settling.release(nothing, "cancelled") == (nothing, [])


def test_a_hold_is_paid_once() -> None:
    """N-7.3: what is captured is neither captured again nor released."""
    held = settling.settled(asked(stake("a"), stake("b", "carol")), Settled(number=1, locks={}))
    paid, effects = settling.capture(held, unlock=True, agents=("agent://bob",))
    assert effects == [Capture(("a",), True)]
    assert settling.capture(paid, unlock=True, agents=("agent://bob",)) == (paid, [])
    rest, effects = settling.capture(paid, unlock=False)
    assert effects == [Capture(("b",), False)]
    assert [one.key for one in rest.paid] == ["a", "b"]
    assert settling.release(rest, "cancelled") == (rest, [])


def test_keys_name_the_negotiation_first() -> None:
    """So that all that a negotiation holds is found by its id."""
    assert settling.key_of("g.0.n", 2, 1) == "g.0.n/2/1"
    assert settling.hold_key_of("g.0.n", 1, "agent://bob") == "g.0.n/hold-1/bob"


def _until_settling(call: Call) -> tuple[object, list[Effect]]:
    """Let a negotiation of any protocol come to where the store is asked; returns its state."""
    protocol = PROTOCOLS[call.protocol]
    assert protocol.objection(call) is None
    state, _ = protocol.open_call(call, 0.0)
    effects: list[Effect] = []
    for now, event in (
        (1.0, plays.offer("alice", 40) if call.protocol == "monotonic-concession" else None),
        (1.0, plays.offer("bob", 40)),
        (2.0, plays.accept("bob") if call.protocol == "alternating-offers" else None),
        (10.0, plays.TIME_UP),
        (11.0, plays.accept("bob")),
    ):
        if event is not None and state.phase is not Phase.SETTLING:
            state, effects = protocol.step(state, event, now)
    return state, effects


@pytest.mark.parametrize(
    ("protocol", "fields"),
    [
        ("contract-net", {}),
        ("iterated-contract-net", {"decider": "initiator"}),
        ("sealed-bid", {}),
        ("alternating-offers", {}),
        ("monotonic-concession", {}),
    ],
)
def test_every_protocol_that_awards_waits_for_the_store(
    protocol: str, fields: dict[str, Any]
) -> None:
    """N-7.7: whatever the protocol, an award is one write before it is one word."""
    stakes = Stakes((Need("gpu", 4, 60.0),), Credit("initiator"), within=60.0)
    call = plays.make_call(
        agents="bob",
        protocol=protocol,
        stakes=stakes,
        policy={"quorum": 0} if protocol == "sealed-bid" else None,
        **fields,
    )
    state, effects = _until_settling(call)
    assert state.phase is Phase.SETTLING, state  # type: ignore[attr-defined]
    [asked] = [one for one in effects if isinstance(one, Settle)]
    assert not any(isinstance(one, Finish) for one in effects)
    assert asked.stakes[0].micros == 40_000_000
    answer = Settled(number=asked.number, locks={asked.stakes[0].key: asked.stakes[0].locks})
    state, effects = PROTOCOLS[protocol].step(state, answer, 11.5)
    assert state.phase is Phase.COMMITTED  # type: ignore[attr-defined]
    assert any(isinstance(one, Capture) for one in effects)
    assert PROTOCOLS[protocol].step(state, answer, 12.0)[1] == []
