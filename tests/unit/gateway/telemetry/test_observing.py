"""Whoever wants to hear of messages hears of each of them once."""

from __future__ import annotations

from gateway.envelope_head import Head
from gateway.members import Member
from gateway.refusals import Fault
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.gateway_parts import Parts, envelope, stream_of
from tests.support.observed_parts import observed


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def admitted(self, member: Member, head: Head | Envelope, negotiation_id: str) -> None:
        self.heard.append(("admitted", member.agent_id, head.msg_id, negotiation_id))

    def refused(self, member: Member, msg_id: str, fault: Fault, negotiation_id: str) -> None:
        self.heard.append(("refused", member.agent_id, msg_id, fault.code))


def test_each_observer_hears_of_each_message() -> None:
    first, second = Ear(), Ear()
    parts = observed(Parts(), first, second)
    alice = parts.join("alice")
    parts.join("bob")
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="a"))
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="a"))
    parts.admit(
        alice,
        envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="c", body={"reply_within": 5}),
    )
    (opened,) = stream_of(alice).opened
    assert first.heard == second.heard
    assert first.heard == [
        ("admitted", "agent://alice", "a", ""),
        ("refused", "agent://alice", "a", "DUPLICATE"),
        ("admitted", "agent://alice", "c", opened.negotiation_id),
    ]


def test_the_answers_are_those_of_a_gateway_that_nobody_observes() -> None:
    told = []
    for parts in (Parts(), observed(Parts(), Ear())):
        alice = parts.join("alice")
        for name in ("alice", "nobody", "eve"):
            message = envelope("alice", Act.ACT_MESSAGE, f"agent://{name}", msg_id=name)
            parts.admit(alice, message)
        told.append((stream_of(alice).codes(), parts.metrics.refused, parts.metrics.admitted))
    assert told[0] == told[1]
