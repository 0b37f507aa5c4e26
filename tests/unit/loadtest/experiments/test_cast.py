"""What agents see of a round is kept, counted once, and handed over when it is over."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from loadtest.experiments.cases import Case, Faults
from loadtest.experiments.cast import Cast, Message, Round
from loadtest.run_records import Happened

CASE = Case("flow/high", 2, 1.0, 60.0)


class Seen:
    def __init__(self, case: Case = CASE) -> None:
        self.told: list[Happened] = []
        self.closed: list[Round] = []
        self.cast = Cast(case, "case-7", self.told.append, self.closed.append, 100.0)
        self.bob, self.carol = self.cast.contractors
        self.alice = self.cast.alice

    def call(self, number: int = 1, now: float = 101.0) -> Message:
        call = self.cast.call(number, now)
        self.cast.named(call.msg_id, f"n{number}")
        return call

    def deliver(self, agent: str, call: Message, now: float = 101.5) -> list[Message]:
        heard = Message(call.sender, "cfp", call.msg_id, call.payload, "n1")
        sent = [due.message for due in self.cast.hear(agent, heard, now)]
        for message in sent:
            self.cast.sent(message, now)
        return sent

    def tell(self, agent: str, act: str, msg_id: str, **body: Any) -> list[Message]:
        message = Message("gateway://g", act, msg_id, b"", "n1", "", body)
        return [due.message for due in self.cast.hear(agent, message, 103.0)]

    def outcome(self, msg_id: str = "n1:9", policy: str = "flow/high@1") -> None:
        self.tell(self.alice, "inform", msg_id, outcome={"state": "committed", "policy": policy})


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_a_round_is_watched_until_nothing_more_can_come(seen: Seen) -> None:
    call = seen.call()
    (offer,) = seen.deliver(seen.bob, call)
    seen.cast.hear(seen.alice, offer, 102.0)
    assert not seen.cast.is_over
    seen.tell(seen.bob, "accept", "n1:1")
    seen.outcome()
    assert seen.cast.is_over
    seen.call(2, now=110.0)
    assert not seen.closed, "what comes twice may still come"
    seen.call(3, now=103.0 + CASE.reply_within + 6)
    (round_,) = seen.closed
    assert round_.decided_at == 103.0
    assert (round_.received, round_.offered) == ({seen.bob: 102.0}, {seen.bob: offer.msg_id})


def test_times_are_told_from_the_beginning_of_the_run(seen: Seen) -> None:
    seen.deliver(seen.bob, seen.call())
    assert [(one.at, one.kind, one.agent) for one in seen.told] == [
        (1.0, "call_sent", seen.alice),
        (1.5, "call_heard", seen.bob),
        (1.5, "offer_sent", seen.bob),
    ]


def test_the_same_message_again_is_a_copy_another_verdict_is_a_second_final(seen: Seen) -> None:
    seen.deliver(seen.bob, seen.call())
    for msg_id in ("n1:1", "n1:1", "n1:2"):
        seen.tell(seen.bob, "accept", msg_id)
    seen.outcome("n1:9")
    seen.outcome("n1:9")
    seen.outcome("n1:10")
    seen.cast.end()
    (round_,) = seen.closed
    assert (round_.copies, len(round_.verdicts[seen.bob]), len(round_.outcomes)) == (2, 2, 2)


@pytest.mark.parametrize(
    ("policy", "untold"), [("flow/high@1", 1), ("paper-replay/high@1", 0), ("lab/live@2", 1)]
)
def test_who_offered_has_to_be_told_where_the_profile_says_so(policy: str, untold: int) -> None:
    seen = Seen()
    call = seen.call()
    seen.deliver(seen.bob, call)
    seen.deliver(seen.carol, call)
    seen.tell(seen.bob, "reject", "n1:1")
    seen.outcome(policy=policy)
    assert seen.cast.is_over is not bool(untold)
    seen.cast.end()
    assert seen.closed[0].untold == [seen.carol][:untold]


def test_a_refusal_is_an_answer_too_and_finds_its_round(seen: Seen) -> None:
    (offer,) = seen.deliver(seen.bob, seen.call())
    seen.outcome()
    assert not seen.cast.is_over
    seen.cast.refused(seen.bob, offer.msg_id, "LATE", 104.0)
    assert seen.cast.is_over
    seen.cast.refused(seen.bob, "case-7-000099-00", "LATE", 104.0)
    assert seen.cast.strays == 1


def test_a_winner_that_is_asked_confirms_its_offer(seen: Seen) -> None:
    (offer,) = seen.deliver(seen.bob, seen.call())
    accept = {"offer_id": offer.msg_id, "award": {"confirm_within": 10.0}}
    (confirm,) = seen.tell(seen.bob, "accept", "n1:1", **accept)
    assert (confirm.act, confirm.in_reply_to) == ("confirm", offer.msg_id)
    assert orjson.loads(confirm.payload)["offer_id"] == offer.msg_id
    assert seen.tell(seen.bob, "accept", "n1:1", **accept) == [], "a copy is confirmed once"


def test_a_call_that_never_ends_is_handed_over_unfinished(seen: Seen) -> None:
    seen.call()
    seen.cast.end()
    assert seen.closed[0].outcome is None


def test_an_offer_that_comes_twice_is_the_same_message_or_another() -> None:
    seen = Seen(Case("flow/high", 2, 1.0, 60.0, faults=Faults("twice", duplicate=1.0)))
    kinds = set()
    for number in range(1, 30):
        call = seen.call(number)
        first, again = seen.deliver(seen.bob, call)
        kinds.add(first.msg_id == again.msg_id)
        assert first.payload == again.payload
    assert kinds == {True, False}
