"""Messages, acts and answers between gateways: what arrives, once, and what becomes of it."""

from __future__ import annotations

from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.negotiation_pb2 import NegotiationOpened
from tests.support.cluster_parts import ClusterParts
from tests.support.gateway_parts import envelope, received, stream_of


def call(*to: str, policy: str = "high", **fields: object) -> Envelope:
    return envelope(
        "alice",
        Act.ACT_CFP,
        *to,
        msg_id="call",
        body={"act": "cfp", "task": "four GPUs", "reply_within": 5, "policy": policy},
        **fields,
    )


def offer(sender: str, heard: Envelope, value: float) -> Envelope:
    return envelope(
        sender,
        Act.ACT_OFFER,
        msg_id=f"offer-{sender}",
        body={"act": "offer", "value": value},
        negotiation_id=heard.negotiation_id,
        in_reply_to=heard.msg_id,
    )


def test_a_message_reaches_an_agent_of_another_gateway() -> None:
    cluster = ClusterParts("a", "b")
    alice, bob = cluster["a"].arrive("alice"), cluster["b"].arrive("bob")
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    (heard,) = received(bob)
    assert heard.msg_id == "m1" and heard.sender == "agent://alice"
    assert stream_of(alice).codes() == []


def test_what_is_acknowledged_is_owed_nowhere_any_more() -> None:
    cluster = ClusterParts("a", "b")
    alice, bob = cluster["a"].arrive("alice"), cluster["b"].arrive("bob")
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", receipt=2))
    received(bob)
    assert len(cluster["a"].remote("bob").outbox) == 1
    cluster.acknowledge("b", bob, "m1")
    assert cluster["a"].remote("bob").owes_nothing and not len(bob.outbox)
    (receipt,) = stream_of(alice).receipts
    assert receipt.msg_id == "m1" and receipt.recipient == "agent://bob"


def test_a_broadcast_goes_once_to_each_gateway_that_has_listeners() -> None:
    cluster = ClusterParts("a", "b", "c")
    alice = cluster["a"].arrive("alice")
    listeners = [cluster["b"].arrive(f"b{number}", "gpu") for number in range(5)]
    cluster["c"].arrive("carol", "cpu")
    cluster.run()
    sent: list[tuple[str, str]] = []
    send = cluster.send

    def counted(sender: str, receiver: str, message: bytes) -> bool:
        sent.append((sender, receiver))
        return send(sender, receiver, message)

    cluster.send = counted  # type: ignore[method-assign]
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "topic://gpu"))
    assert sent == [("a", "b")]
    assert [len(received(one)) for one in listeners] == [1] * 5


def test_a_negotiation_spans_gateways_and_everybody_hears_its_outcome() -> None:
    cluster = ClusterParts("a", "b", "c")
    alice = cluster["a"].arrive("alice")
    bob = cluster["b"].arrive("bob", "gpu")
    carol = cluster["c"].arrive("carol", "gpu")
    cluster.run()
    cluster.admit("a", alice, call("topic://gpu"))
    (opened,) = stream_of(alice).opened
    assert sorted(opened.eligible) == ["agent://bob", "agent://carol"]
    for gateway_id, member, value in (("b", bob, 40), ("c", carol, 30)):
        (heard,) = received(member)
        assert heard.negotiation_id == opened.negotiation_id
        cluster.admit(gateway_id, member, offer(member.agent_id[8:], heard, value))
    assert [one.act for one in received(alice)] == [Act.ACT_OFFER, Act.ACT_OFFER, Act.ACT_INFORM]
    assert [one.act for one in received(carol)] == [Act.ACT_ACCEPT]
    assert [one.act for one in received(bob)] == [Act.ACT_REJECT]


def test_what_the_owner_refuses_is_told_to_the_agent_at_its_home() -> None:
    cluster = ClusterParts("a", "b")
    alice, bob = cluster["a"].arrive("alice"), cluster["b"].arrive("bob", "gpu")
    cluster["b"].arrive("carol", "gpu")
    cluster.run()
    cluster.admit("a", alice, call("topic://gpu"))
    (heard,) = received(bob)
    cluster.admit("b", bob, offer("bob", heard, 40))
    again = offer("bob", heard, 41)
    again.msg_id = "offer-again"
    cluster.admit("b", bob, again)
    (refusal,) = stream_of(bob).refusals
    assert refusal.msg_id == "offer-again" and stream_of(bob).codes() == ["ALREADY_ANSWERED"]


def test_an_act_in_a_negotiation_of_nobody_is_refused() -> None:
    cluster = ClusterParts("a", "b")
    bob = cluster["b"].arrive("bob")
    lost = NegotiationOpened(negotiation_id=f"z.0.0011223344556677{bob.tenant.tag}", msg_id="call")
    cluster.admit("b", bob, offer("bob", Envelope(negotiation_id=lost.negotiation_id), 1))
    assert stream_of(bob).codes() == ["UNKNOWN_NEGOTIATION"]


def test_a_message_that_expires_at_the_other_gateway_is_told_as_a_failure() -> None:
    cluster = ClusterParts("a", "b")
    alice = cluster["a"].arrive("alice")
    cluster["b"].arrive("bob")
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    cluster.advance(3600.0)
    (failure,) = received(alice, cluster["a"].now)
    assert failure.act == Act.ACT_FAILURE and failure.in_reply_to == "m1"


def test_consent_is_looked_at_again_where_the_recipient_is() -> None:
    """It may have been revoked while the message was on its way."""
    cluster = ClusterParts("a", "b")
    alice, bob = cluster["a"].arrive("alice"), cluster["b"].arrive("bob")
    cluster.run()
    cluster.cut.add(("b", "a"))  # alice's gateway does not hear of the revocation
    del bob.consents["all"]
    cluster["b"].members.changed(bob)
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    assert received(bob) == []
    cluster.cut.clear()
    cluster.run()
    (failure,) = received(alice)
    assert failure.act == Act.ACT_FAILURE and b"consent_revoked" in failure.payload


def test_what_a_dead_gateway_had_not_delivered_goes_to_the_agents_next_home() -> None:
    cluster = ClusterParts("a", "b", "c")
    alice = cluster["a"].arrive("alice")
    cluster["b"].arrive("bob")
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    cluster.kill("b")
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m2"))
    bob = cluster["c"].arrive_again("bob")
    cluster.run()
    assert [one.msg_id for one in received(bob)] == ["m1", "m2"]


def test_an_agent_that_comes_to_its_senders_gateway_finds_what_it_was_owed_there() -> None:
    cluster = ClusterParts("a", "b")
    alice = cluster["a"].arrive("alice")
    cluster["b"].arrive("bob")
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    cluster.kill("b")
    bob = cluster["a"].arrive_again("bob")
    cluster.run()
    assert [one.msg_id for one in received(bob)] == ["m1"]


def test_negotiations_hear_of_an_agent_whose_gateway_died_only_after_the_grace() -> None:
    """Most come back elsewhere within seconds, and their offers stand."""
    cluster = ClusterParts("a", "b")
    alice = cluster["a"].arrive("alice")
    bob = cluster["b"].arrive("bob", "gpu")
    cluster["a"].arrive("carol", "gpu")
    cluster.run()
    cluster.admit("a", alice, call("topic://gpu", policy="high"))
    (heard,) = received(bob)
    cluster.admit("b", bob, offer("bob", heard, 40))
    carol = cluster["a"].members.tenants["acme"].members["agent://carol"]
    received(carol)
    cluster.kill("b")
    assert [one.act for one in received(alice)] == [Act.ACT_OFFER]
    bob = cluster["a"].arrive_again("bob")
    cluster.admit("a", carol, offer("carol", heard, 50))
    assert [one.act for one in received(bob)][-1] == Act.ACT_ACCEPT
