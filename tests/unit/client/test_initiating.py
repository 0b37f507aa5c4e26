"""What every negotiation has that an agent calls for."""

from __future__ import annotations

import pytest

import llmx
from llmx.initiating import Initiated, call_body
from llmx.messages import Message
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.negotiation_pb2 import NegotiationOpened
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker


def test_a_call_gets_a_time_to_reply_and_its_policy() -> None:
    assert call_body({"task": "x"}, None) == {"task": "x", "reply_within": 10.0}
    assert call_body({"reply_within": 2}, "high") == {"reply_within": 2, "policy": "high"}
    assert call_body({"act": "cfp", "deadline": "2030-01-01T00:00Z"}, {"quorum": 1}) == {
        "deadline": "2030-01-01T00:00Z",
        "policy": {"quorum": 1},
    }


class Heard(Initiated):
    """A negotiation that keeps what it hears."""

    def _hear(self, message: Message) -> bool:
        self.messages = [*getattr(self, "messages", []), message.msg_id]
        return True


async def heard(agent: AgentMaker, gateway: TinyGateway) -> Heard:
    """Return a negotiation that no gateway knows yet."""
    alice = agent("alice", gateway.address)
    made = alice.negotiate({}, to="topic://gpu")
    return Heard(
        made._session,
        made._drafts,
        made.call,
        {"reply_within": 5},
        enter=lambda one: None,
        leave=lambda one: None,
        patience=1.0,
    )


async def test_what_comes_for_a_negotiation_that_was_lost_is_passed_over(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        negotiation = await heard(agent, gateway)
        negotiation.opened(NegotiationOpened(negotiation_id="n1", eligible=["agent://bob"]))
        negotiation.opened(NegotiationOpened(negotiation_id="n2"))
        for number, id_ in enumerate(("n1", "n2")):
            envelope = Envelope(msg_id=f"m{number}", negotiation_id=id_, act=Act.ACT_OFFER)
            assert negotiation.hear(Message(envelope))
        assert negotiation.messages == ["m1"] and negotiation.negotiation_id == "n2"


async def test_a_session_that_ends_is_a_negotiation_lost_once_it_was_open(
    agent: AgentMaker,
) -> None:
    async with TinyGateway() as gateway:
        early, late = await heard(agent, gateway), await heard(agent, gateway)
        late.is_known_as("n1")
        for negotiation, error in ((early, llmx.SessionClosed), (late, llmx.NegotiationLost)):
            negotiation.fail(llmx.SessionClosed("closed"))
            with pytest.raises(error):
                negotiation._raise_failure()
        assert early.negotiation_id == "" and early.outcome is None


async def test_a_negotiation_of_no_kind_hears_nothing(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        negotiation = await heard(agent, gateway)
        with pytest.raises(AssertionError, match="each kind"):
            Initiated._hear(negotiation, Message(Envelope()))
