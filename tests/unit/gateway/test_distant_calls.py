"""Initiators hear at once that the gateway is gone which decided their calls."""

from __future__ import annotations

import pytest

from gateway.members import Member
from llmx.v1.envelope_pb2 import Act
from llmx.v1.peering_pb2 import OwnedCall, PeerMessage
from tests.support.cluster_calls import Market, moved
from tests.support.cluster_parts import GRACE
from tests.support.gateway_parts import envelope, received, stream_of


@pytest.fixture
def market() -> Market:
    return Market()


def lost(member: Member) -> list[tuple[str, str]]:
    """Return the calls that an agent was told are lost, with their negotiations."""
    return [
        (refusal.msg_id, refusal.negotiation_id)
        for refusal, code in zip(stream_of(member).refusals, stream_of(member).codes(), strict=True)
        if code == "NEGOTIATION_LOST"
    ]


def call_again(market: Market, home: str, alice: Member) -> str:
    """Let alice call again as before; returns the negotiation that was opened."""
    body = {"act": "cfp", "task": "four GPUs", "reply_within": 5, "policy": "high"}
    call = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="call", body=body)
    market.cluster.admit(home, alice, call)
    return stream_of(alice).opened[-1].negotiation_id


def test_an_initiator_that_moved_hears_that_the_owner_is_gone(market: Market) -> None:
    alice = moved(market.cluster, "b", "alice")
    market.cluster.kill("a")
    assert lost(alice) == [("call", market.heard.negotiation_id)]
    assert call_again(market, "b", alice).startswith("b.")


def test_an_initiator_at_a_third_gateway_hears_that_the_heir_is_gone(market: Market) -> None:
    """It has moved before the heir took over, or after that, and the first owner is gone too."""
    cluster = market.cluster
    cluster["a"].inheritance.hand_over()
    cluster.run()
    (heir,) = market.owners
    (third,) = {"b", "c"} - {heir}
    alice = moved(cluster, third, "alice")
    cluster.kill("a")
    assert lost(alice) == []
    cluster.kill(heir)
    assert lost(alice) == [("call", market.heard.negotiation_id)]
    assert call_again(market, third, alice).startswith(f"{third}.")


def test_an_initiator_that_stayed_hears_that_the_heir_is_gone_and_may_call_again(
    market: Market,
) -> None:
    """Its gateway had admitted the call, and must not take it for a repeat now."""
    cluster = market.cluster
    cluster["a"].inheritance.hand_over()
    cluster.run()
    (heir,) = market.owners
    cluster.kill(heir)
    assert lost(market.alice) == [("call", market.heard.negotiation_id)]
    assert call_again(market, "a", market.alice) != market.heard.negotiation_id
    assert "DUPLICATE" not in stream_of(market.alice).codes()


def test_only_the_home_of_an_initiator_tells_it(market: Market) -> None:
    moved(market.cluster, "b", "alice")
    alice = moved(market.cluster, "c", "alice")
    before = market.cluster["b"].metrics.refused["NEGOTIATION_LOST"]
    market.cluster.kill("a")
    assert market.cluster["b"].metrics.refused["NEGOTIATION_LOST"] == before == 0
    assert len(lost(alice)) == 1
    assert len(market.cluster["b"].distant_calls) == len(market.cluster["c"].distant_calls) == 0


def test_nothing_is_told_of_a_call_that_has_its_outcome(market: Market) -> None:
    cluster = market.cluster
    alice = moved(cluster, "b", "alice")
    assert len(cluster["b"].distant_calls) == 1
    cluster.admit("b", market.bob, market.offer("bob", 40))
    cluster.admit("c", market.carol, market.offer("carol", 30))
    assert [one.act for one in received(alice)][-1] == Act.ACT_INFORM
    assert len(cluster["b"].distant_calls) == 0
    cluster.kill("a")
    assert lost(alice) == []


def test_a_gateway_that_is_gone_takes_no_calls_of_others_with_it(market: Market) -> None:
    alice = moved(market.cluster, "b", "alice")
    market.cluster.kill("c")
    assert lost(alice) == []


def test_a_call_that_comes_home_to_its_initiator_is_watched_no_more(market: Market) -> None:
    """The heir is where the initiator has moved."""
    cluster = market.cluster
    alice = moved(cluster, "b", "alice")
    cluster["a"].inheritance.heirs = lambda: ["b"]
    cluster["a"].inheritance.hand_over()
    cluster.run()
    assert market.owners == ["b"]
    cluster.kill("a")
    assert lost(alice) == []
    assert len(cluster["b"].distant_calls) == 0


def test_a_durable_call_is_lost_when_its_owner_has_not_come_back_in_time(market: Market) -> None:
    told = OwnedCall(tenant="acme", agent_id="agent://alice", msg_id="kept", negotiation_id="b.0.1")
    told.durable = True
    market.cluster.send("b", "a", PeerMessage(call=told).SerializeToString())
    market.cluster.run()
    market.cluster.kill("b")
    assert lost(market.alice) == []
    market.cluster.advance(GRACE - 1)
    assert lost(market.alice) == []
    market.cluster.advance(1.0)
    assert lost(market.alice) == [("kept", "b.0.1")]


def test_a_durable_call_whose_owner_tells_of_it_again_is_not_lost(market: Market) -> None:
    told = OwnedCall(tenant="acme", agent_id="agent://alice", msg_id="kept", negotiation_id="b.0.1")
    told.durable = True
    message = PeerMessage(call=told).SerializeToString()
    market.cluster.send("b", "a", message)
    market.cluster.run()
    market.cluster["a"].distant_calls.ended("b")
    market.cluster.send("b", "a", message)
    market.cluster.run()
    market.cluster.advance(GRACE)
    assert lost(market.alice) == []


def test_calls_of_an_agent_that_is_forgotten_are_forgotten(market: Market) -> None:
    alice = moved(market.cluster, "b", "alice")
    b = market.cluster["b"]
    assert len(b.distant_calls) == 1
    b.members.forget(alice)
    assert len(b.distant_calls) == 0
