"""The ledger's checks must fail on a planted loss, copy, reordering, and every other lie."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loadtest.chaos.ledger import Called, Failed, Fate, Handed, Judged, Ledger, Sent, Struck
from loadtest.chaos.promises import GRACE, LATE, judge, may_be_lost, unfinished
from loadtest.chaos.story import story

BOB = "agent://bob"
CAROL = "agent://carol"
END = 1000.0


def message(number: int = 1, *, to: Sequence[str] = (BOB,), **fields: object) -> Sent:
    given = {
        "label": f"alice.0.{number}",
        "sender": "agent://alice",
        "order": (0, number),
        "mode": "direct",
        "owed_to": frozenset(to),
        "allowed": frozenset(to),
        "once": True,
        "durable": False,
        "ttl": 30.0,
        "sent_at": 10.0 * number,
    }
    return Sent(**{**given, **fields})  # type: ignore[arg-type]


def admitted(ledger: Ledger, one: Sent, at: float | None = None) -> Sent:
    ledger.send(one)
    ledger.settle(one, Fate.ADMITTED, at or one.sent_at + 1, msg_id=f"id-{one.label}")
    return one


def handed(ledger: Ledger, one: Sent, to: str = BOB, life: int = 0, at: float = 0.0) -> None:
    ledger.hand(Handed(one.label, to, life, at or one.sent_at + 2))


def failed(ledger: Ledger, one: Sent, to: str = BOB) -> None:
    ledger.fail(Failed(one.msg_id, to, "expired", one.sent_at + 31))


def broken(ledger: Ledger) -> list[tuple[str, str]]:
    return [(one.promise, one.label) for one in judge(ledger, END).broken]


def test_a_balanced_ledger_breaks_no_promise() -> None:
    ledger = Ledger()
    handed(ledger, admitted(ledger, message(1)))
    failed(ledger, admitted(ledger, message(2)))
    both = admitted(ledger, message(3, to=(BOB, CAROL)))
    handed(ledger, both)
    failed(ledger, both, CAROL)
    refused = message(4)
    ledger.send(refused)
    ledger.settle(refused, Fate.REFUSED, 45.0, code="AGENT_ABSENT")
    dead = message(5)
    ledger.send(dead)
    ledger.settle(dead, Fate.UNKNOWN, 55.0)
    judgement = judge(ledger, END)
    assert judgement.broken == ()
    assert judgement.counts["messages admitted"] == 3
    assert judgement.counts["refused AGENT_ABSENT"] == 1
    assert judgement.counts["failure expired"] == 2
    assert judgement.counts["handed to applications"] == 2
    assert not unfinished(ledger, END)


def test_a_lost_message_is_found() -> None:
    ledger = Ledger()
    one = admitted(ledger, message(1, to=(BOB, CAROL)))
    handed(ledger, one, BOB)
    assert unfinished(ledger, END) == [one.label]
    assert broken(ledger) == [("nothing is lost", one.label)]
    assert "agent://carol" in str(judge(ledger, END).broken[0])


def test_a_message_that_got_no_answer_is_found() -> None:
    ledger = Ledger()
    ledger.send(message(1))
    assert unfinished(ledger, END)
    assert broken(ledger) == [("every message gets an answer", "alice.0.1")]


def test_a_copy_is_found_under_once_and_counted_under_at_least_once() -> None:
    ledger = Ledger()
    for number, once in ((1, True), (2, False)):
        one = admitted(ledger, message(number, once=once))
        handed(ledger, one)
        handed(ledger, one)
    assert broken(ledger) == [("no copy under once", "alice.0.1")]
    assert judge(ledger, END).counts["copies under at least once"] == 1


def test_a_copy_for_a_new_life_of_the_application_is_no_lie() -> None:
    """A program that was killed remembers nothing, and its acknowledgement may have been lost."""
    ledger = Ledger()
    first, second = (admitted(ledger, message(number)) for number in (1, 2))
    for one in (first, second):
        handed(ledger, one, life=0)
    handed(ledger, second, life=1)
    handed(ledger, first, life=1)
    assert broken(ledger) == []
    assert judge(ledger, END).counts["handed again to a new life"] == 2


def test_what_came_out_of_order_is_found() -> None:
    ledger = Ledger()
    first, second = (admitted(ledger, message(number)) for number in (1, 2))
    handed(ledger, second)
    handed(ledger, first)
    assert broken(ledger) == [("order is kept", first.label)]


def test_order_is_kept_for_each_recipient_and_sender_alone() -> None:
    ledger = Ledger()
    first = admitted(ledger, message(1, to=(BOB, CAROL)))
    second = admitted(ledger, message(2, to=(BOB, CAROL)))
    other = admitted(ledger, message(3, sender="agent://dave", label="dave.0.1", order=(0, 1)))
    for one, to in ((first, BOB), (second, CAROL), (other, BOB), (second, BOB)):
        handed(ledger, one, to)
    assert ("order is kept", first.label) not in broken(ledger)
    handed(ledger, first, CAROL)
    assert broken(ledger) == [("order is kept", first.label)]


def test_a_new_life_of_the_sender_comes_after_its_last() -> None:
    ledger = Ledger()
    old = admitted(ledger, message(9))
    new = admitted(ledger, message(10, label="alice.1.1", order=(1, 1)))
    handed(ledger, new)
    handed(ledger, old)
    assert broken(ledger) == [("order is kept", old.label)]


def test_a_repeat_of_what_came_is_not_out_of_order() -> None:
    ledger = Ledger()
    first, second = (admitted(ledger, message(number, once=False)) for number in (1, 2))
    for one in (first, second, first):
        handed(ledger, one)
    assert broken(ledger) == []


def test_what_was_refused_and_came_all_the_same_is_found() -> None:
    ledger = Ledger()
    one = message(1)
    ledger.send(one)
    ledger.settle(one, Fate.REFUSED, 11.0, code="OVERLOADED")
    handed(ledger, one)
    assert broken(ledger) == [("what is refused has no effect", one.label)]
    ledger.deaths.append(10.5)  # the life that delivered it could not say so any more
    assert broken(ledger) == []


def test_what_comes_to_somebody_else_or_from_nowhere_is_found() -> None:
    ledger = Ledger()
    one = admitted(ledger, message(1))
    handed(ledger, one)
    handed(ledger, one, CAROL)
    ledger.hand(Handed("nobody.0.1", BOB, 0, 12.0))
    assert broken(ledger) == [
        ("only who is addressed gets it", one.label),
        ("only what was sent arrives", "nobody.0.1"),
    ]


def test_a_failure_that_is_told_twice_is_found() -> None:
    ledger = Ledger()
    one = admitted(ledger, message(1))
    failed(ledger, one)
    failed(ledger, one)
    assert broken(ledger) == [("a failure is told once", one.label)]


def test_when_nothing_is_wrong_any_more_a_message_has_to_arrive() -> None:
    """An agent that was hurt for good would let everything expire, and every sum would be right."""
    ledger = Ledger()
    expired = admitted(ledger, message(1, in_peace=True))
    failed(ledger, expired)
    refused = message(2, in_peace=True)
    ledger.send(refused)
    ledger.settle(refused, Fate.REFUSED, 21.0, code="RECIPIENT_OVERLOADED")
    handed(ledger, admitted(ledger, message(3, in_peace=True)))
    promise = "in peace everything arrives"
    assert broken(ledger) == [(promise, expired.label), (promise, refused.label)]


def test_a_session_that_ends_for_good_is_found() -> None:
    ledger = Ledger()
    ledger.sessions_lost.append("agent://bob: Replaced()")
    assert broken(ledger) == [("a session lives on", "")]


# ------------------------------------------------------------------ a gateway that is killed


@pytest.mark.parametrize(("died_at", "is_excused"), [(25.0, True), (11.0 + 30 + GRACE + 1, False)])
def test_only_what_the_gateway_could_hold_when_it_died_may_be_lost_with_it(
    died_at: float, is_excused: bool
) -> None:
    ledger = Ledger(deaths=[died_at])
    one = admitted(ledger, message(1))
    assert may_be_lost(ledger, one) is is_excused
    assert bool(broken(ledger)) is not is_excused
    assert bool(unfinished(ledger, one.settled_at + one.ttl + LATE + 1)) is not is_excused


def test_a_durable_message_may_never_be_lost() -> None:
    ledger = Ledger(deaths=[25.0])
    one = admitted(ledger, message(1, durable=True))
    assert broken(ledger) == [("nothing is lost", one.label)]


def test_nobody_is_owed_a_topic_that_was_called_while_the_gateway_died() -> None:
    """Who listens is settled when the message is admitted, by a gateway that knows nobody yet."""
    ledger = Ledger(deaths=[15.0])
    admitted(ledger, message(1, durable=True, mode="topic"), at=20.0)
    late = admitted(ledger, message(4, durable=True, mode="topic"), at=41.0)
    assert broken(ledger) == [("nothing is lost", late.label)]


@pytest.mark.parametrize("early_is_durable", [True, False])
@pytest.mark.parametrize("handed_at", [20.4, 26.0])
def test_only_what_the_dead_gateway_had_admitted_may_overtake(
    early_is_durable: bool, handed_at: float
) -> None:
    """What it lost, or had refused without being heard, is admitted anew by the next life."""
    ledger = Ledger(deaths=[20.5])
    first = admitted(ledger, message(1), at=25.0)
    second = admitted(ledger, message(2, durable=early_is_durable), at=26.0)
    handed(ledger, second, at=handed_at)
    handed(ledger, first, at=27.0)
    assert (broken(ledger) == []) is (early_is_durable or handed_at < 20.5)
    ledger.deaths[:] = [30.0]
    assert broken(ledger) == [("order is kept", first.label)]


@pytest.mark.parametrize("to", [(), (BOB,)])
@pytest.mark.parametrize("struck", ["agent://alice", "agent://carol"])
def test_what_had_no_audience_may_be_overtaken_when_its_batch_was_cut_short(
    to: tuple[str, ...], struck: str
) -> None:
    """It was refused unheard, and its group was there when the batch came again."""
    ledger = Ledger()
    first = admitted(ledger, message(1, to=to, mode="group", allowed=frozenset((BOB,))), at=25.0)
    second = admitted(ledger, message(2, durable=True), at=25.0)
    ledger.strike(Struck(20.0, "cut by reset", (struck,)))
    handed(ledger, second, at=26.0)
    handed(ledger, first, at=27.0)
    is_excused = not to and struck == "agent://alice"
    assert broken(ledger) == ([] if is_excused else [("order is kept", first.label)])


def test_a_receipt_for_what_nobody_had_is_found() -> None:
    ledger = Ledger()
    one = admitted(ledger, message(1, to=(BOB, CAROL)))
    handed(ledger, one, BOB)
    failed(ledger, one, CAROL)
    ledger.receipted[one.label] = frozenset((BOB,))
    assert broken(ledger) == []
    ledger.receipted[one.label] = frozenset((BOB, CAROL))
    assert broken(ledger) == [("a receipt is true", one.label)]


def test_nobody_is_owed_a_topic_after_a_good_bye_but_what_is_sent_to_it_waits() -> None:
    ledger = Ledger()
    ledger.absences[BOB].append((5.0, 30.0))
    admitted(ledger, message(1, mode="topic"))
    assert broken(ledger) == []
    assert not unfinished(ledger, END)
    late = admitted(ledger, message(6, mode="topic"))
    direct = admitted(ledger, message(2))
    assert broken(ledger) == [("nothing is lost", late.label), ("nothing is lost", direct.label)]


# ------------------------------------------------------------------ negotiations


def call(ledger: Ledger, fate: Fate = Fate.ADMITTED, **fields: object) -> Called:
    one = Called(
        "alice.0.call1", "agent://alice", durable=bool(fields.pop("durable", False)), called_at=10.0
    )
    one.negotiation_id, one.winners = "n1", frozenset((BOB,))
    ledger.called[one.label] = one
    ledger.settle(one, fate, 15.0, code="committed")
    for name, value in fields.items():
        setattr(one, name, value)
    return one


def judged(ledger: Ledger, who: str, *, won: bool, negotiation: str = "n1") -> None:
    ledger.judged.append(Judged("alice.0.call1", negotiation, who, 0, won, 16.0))


def test_a_negotiation_that_ends_well_breaks_no_promise() -> None:
    ledger = Ledger()
    call(ledger)
    judged(ledger, BOB, won=True)
    judged(ledger, CAROL, won=False)
    assert broken(ledger) == []
    assert judge(ledger, END).counts["calls: committed"] == 1


@pytest.mark.parametrize("fate", [Fate.OPEN, Fate.LOST])
def test_a_negotiation_without_an_outcome_is_found(fate: Fate) -> None:
    ledger = Ledger()
    call(ledger, fate)
    assert broken(ledger) == [("every negotiation has an outcome", "alice.0.call1")]
    ledger.deaths.append(12.0)
    assert bool(broken(ledger)) is (fate is Fate.OPEN)
    call(ledger, fate, durable=True)
    assert broken(ledger) == [("every negotiation has an outcome", "alice.0.call1")]


def test_a_winner_that_the_initiator_does_not_know_is_found() -> None:
    ledger = Ledger()
    call(ledger)
    judged(ledger, BOB, won=True)
    judged(ledger, CAROL, won=True)
    assert broken(ledger) == [("verdicts agree", "alice.0.call1")]


def test_a_winner_that_hears_nothing_is_found() -> None:
    ledger = Ledger()
    call(ledger)
    assert broken(ledger) == [("a winner hears of it", "alice.0.call1")]
    ledger.agent_deaths[BOB].append(14.0)
    assert broken(ledger) == []


def test_a_verdict_that_is_told_twice_is_found() -> None:
    ledger = Ledger()
    call(ledger)
    judged(ledger, BOB, won=True)
    judged(ledger, BOB, won=True)
    assert broken(ledger) == [("a verdict is told once", "alice.0.call1")]


def test_a_durable_negotiation_is_awarded_once_over_all_lives_of_the_gateway() -> None:
    ledger = Ledger(deaths=[12.0])
    call(ledger, durable=True)
    judged(ledger, BOB, won=True)
    judged(ledger, CAROL, won=True, negotiation="n0")
    assert broken(ledger) == [("one outcome", "alice.0.call1")]
    ledger.called["alice.0.call1"].durable = False
    assert broken(ledger) == []


# ------------------------------------------------------------------ the trace


def test_the_trace_of_a_message_tells_what_became_of_it_and_what_hit_its_parties() -> None:
    ledger = Ledger()
    one = admitted(ledger, message(1, to=(BOB, CAROL)))
    handed(ledger, one)
    failed(ledger, one, CAROL)
    ledger.strike(Struck(10.5, "cut by reset", (BOB,)))
    ledger.strike(Struck(10.6, "cut by reset", ("agent://dave",)))
    ledger.strike(Struck(10.7, "gateway frozen"))
    told = [line.strip().partition("  ")[2] for line in story(ledger, one.label)]
    assert told == [
        "agent://alice sends alice.0.1 (once, direct, for 30 s), owed to agent://bob, agent://carol",
        "-- cut by reset: agent://bob",
        "-- gateway frozen: the gateway",
        "agent://alice hears admitted  id-alice.0.1",
        "agent://bob (life 0) is handed alice.0.1",
        "agent://alice hears failure: agent://carol, expired",
    ]


def test_the_trace_of_a_call_tells_its_verdicts() -> None:
    ledger = Ledger()
    call(ledger, durable=True)
    judged(ledger, BOB, won=True)
    assert [line.strip().partition("  ")[2] for line in story(ledger, "alice.0.call1")] == [
        "agent://alice calls durably alice.0.call1",
        "agent://alice hears admitted committed of n1, won by agent://bob",
        "agent://bob (life 0) hears it won n1",
    ]
    assert story(ledger, "unheard of") == []
