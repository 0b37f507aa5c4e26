"""Negotiations that change their owner while they go on."""

from __future__ import annotations

import orjson

from gateway.headers import Sender
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.cluster_calls import Market
from tests.support.gateway_parts import received, stream_of


def winners(heard: list[Envelope]) -> list[str]:
    (told,) = [one for one in heard if one.act == Act.ACT_INFORM]
    return [winner["agent"] for winner in orjson.loads(told.payload)["outcome"]["winners"]]


def test_an_heir_goes_on_where_the_owner_stopped() -> None:
    market = Market()
    cluster = market.cluster
    cluster.admit("b", market.bob, market.offer("bob", 40))
    assert cluster["a"].inheritance.hand_over() == 1
    cluster.run()
    (heir,) = market.owners
    assert heir != "a"
    cluster.admit("c", market.carol, market.offer("carol", 30))
    assert winners(received(market.alice)) == ["agent://carol"]
    assert [one.act for one in received(market.bob)] == [Act.ACT_REJECT]
    assert [one.act for one in received(market.carol)] == [Act.ACT_ACCEPT]
    assert not cluster["a"].inheritance.hand_over()


def test_what_is_sent_to_the_old_owner_reaches_the_heir() -> None:
    """Before the notice has come, and when the old owner is gone."""
    market = Market()
    cluster = market.cluster
    cluster.cut.update({("b", "c"), ("c", "b")})  # neither hears what the other inherits
    cluster["a"].inheritance.hand_over()
    cluster.run()
    cluster.admit("b", market.bob, market.offer("bob", 40))
    cluster.admit("c", market.carol, market.offer("carol", 30))
    assert stream_of(market.bob).codes() == stream_of(market.carol).codes() == []
    cluster.cut.clear()
    cluster.run()
    assert winners(received(market.alice)) == ["agent://carol"]


def test_the_heir_decides_when_the_old_owner_is_gone() -> None:
    market = Market()
    cluster = market.cluster
    cluster["a"].inheritance.hand_over()
    cluster.run()
    cluster.kill("a")
    alice = cluster["b"].arrive_again("alice")
    cluster.run()
    cluster.admit("b", market.bob, market.offer("bob", 40))
    cluster.admit("c", market.carol, market.offer("carol", 30))
    assert winners(received(alice)) == ["agent://carol"]


def test_a_deadline_passes_at_the_heir() -> None:
    market = Market()
    market.cluster["a"].inheritance.hand_over()
    market.cluster.run()
    market.cluster.advance(6.0)
    assert winners(received(market.alice, market.cluster["a"].now)) == []


def test_what_waited_in_the_old_owners_queue_goes_on_to_the_heir() -> None:
    market = Market()
    cluster = market.cluster
    raw = market.offer("bob", 40).SerializeToString()
    assert cluster["b"].admission.admit(Sender(market.bob), raw) is None
    cluster.carry("b", "a")
    assert sum(shard.queued for shard in cluster["a"].negotiations.shards) == 1
    cluster["a"].inheritance.hand_over()
    cluster.run()
    cluster.admit("c", market.carol, market.offer("carol", 50))
    assert winners(received(market.alice)) == ["agent://bob"]


def unconfirmed_offer(market: Market) -> list[bytes]:
    """Let bob offer, and return what his gateway has told a and a has not confirmed."""
    raw = market.offer("bob", 40).SerializeToString()
    assert market.cluster["b"].admission.admit(Sender(market.bob), raw) is None
    return market.cluster.lost("b", "a")


def test_an_act_that_a_dead_owner_had_not_confirmed_is_refused_when_it_is_no_member() -> None:
    """Its agent was told that it was admitted, and must not wait for a verdict."""
    market = Market()
    acts = unconfirmed_offer(market)
    market.cluster.kill("a")
    market.cluster["b"].inheritance.ended("a", acts)
    (refusal,) = stream_of(market.bob).refusals
    assert refusal.msg_id == "offer-bob"
    assert stream_of(market.bob).codes() == ["UNKNOWN_NEGOTIATION"]


def test_an_act_that_an_owner_had_not_confirmed_reaches_its_next_life() -> None:
    market = Market()
    acts = unconfirmed_offer(market)
    market.cluster["b"].inheritance.ended("a", acts)
    assert stream_of(market.bob).codes() == []
    market.cluster["b"].inheritance.begun("a")
    market.cluster.run()
    market.cluster.admit("c", market.carol, market.offer("carol", 50))
    assert winners(received(market.alice)) == ["agent://bob"]
    market.cluster["b"].inheritance.begun("a")
    market.cluster.run()
    assert stream_of(market.bob).codes() == []


def test_a_breach_of_the_schema_reaches_the_heir_too() -> None:
    market = Market()
    cluster = market.cluster
    cluster.cut.update({("b", "c"), ("c", "b")})  # neither hears what the other inherits
    cluster["a"].inheritance.hand_over()
    cluster.run()
    for name, member in (("b", market.bob), ("c", market.carol)):
        broken = market.offer(member.agent_id[8:], 40)
        broken.payload = broken.payload.replace(b"40", b'"forty"')
        cluster.admit(name, member, broken)
    cluster.cut.clear()
    cluster.run()
    (owner,) = market.owners
    shard = cluster[owner].negotiations.shard_of(market.heard.negotiation_id, market.alice.tenant)
    assert shard is not None
    state = shard.table.state(market.heard.negotiation_id)
    assert state is not None and state.aside.malformed == {"agent://bob", "agent://carol"}


def test_who_leaves_too_inherits_nothing() -> None:
    """Two that leave at once would hand it to each other, and it would be gone with both."""
    market = Market()
    market.cluster["a"].inheritance.heirs = lambda: ["c"]
    assert market.cluster["a"].inheritance.hand_over() == 1
    market.cluster.run()
    assert market.owners == ["c"]


def test_nobody_inherits_where_nobody_else_lives() -> None:
    market = Market()
    market.cluster.kill("b")
    market.cluster.kill("c")
    assert market.cluster["a"].inheritance.hand_over() == 0
    assert market.owners == ["a"]
