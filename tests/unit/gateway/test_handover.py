"""Agents that move between gateways: their sessions, and what is owed to them."""

from __future__ import annotations

import asyncio

from gateway.outbox import Parcel
from gateway.remote_members import RemoteMember
from llmx.v1.envelope_pb2 import Act
from llmx.v1.refusal_pb2 import Refusal
from tests.support.cluster_calls import fetched, moved
from tests.support.cluster_parts import ClusterParts
from tests.support.gateway_parts import envelope, received, stream_of


def test_an_agent_whose_home_is_here_is_fetched_from_nowhere() -> None:
    cluster = ClusterParts("a", "b")
    cluster["a"].arrive("bob")
    cluster.run()
    assert fetched(cluster, "a", "bob") is None
    assert fetched(cluster, "a", "nobody") is None


def test_an_agent_that_comes_takes_its_session_with_it() -> None:
    cluster = ClusterParts("a", "b")
    bob = cluster["a"].arrive("bob", "gpu", capabilities=["propose"])
    stream = stream_of(bob)
    stream.link.handled = 7
    bob.answer_refused(Refusal(msg_id="m6").SerializeToString())
    cluster.run()
    arrival = fetched(cluster, "b", "bob")
    assert arrival is not None and arrival.link is not None
    assert arrival.link.handled == 7
    assert [Refusal.FromString(one).msg_id for one in arrival.link.pending.refusals] == ["m6"]
    assert stream.closed == ["replaced"]
    member = arrival.member
    assert member.capabilities == {"propose"} and member.topics == {"gpu"} and member.consents
    assert cluster["a"].remote("bob").home == "b"
    assert cluster["a"].members.count == 0 and cluster["b"].members.count == 1


def test_a_wrong_token_moves_the_agent_and_not_its_session() -> None:
    cluster = ClusterParts("a", "b")
    cluster["a"].arrive("bob")
    cluster.run()
    arrival = fetched(cluster, "b", "bob", token="guessed")
    assert arrival is not None and arrival.link is None


def test_what_was_owed_to_an_agent_follows_it() -> None:
    """From its last home, from a third gateway, and to the gateway that owes it itself."""
    cluster = ClusterParts("a", "b", "c")
    cluster["b"].arrive("bob")
    senders = {name: cluster[name].arrive(f"from-{name}") for name in "abc"}
    cluster.run()
    for name, sender in senders.items():
        cluster.admit(
            name, sender, envelope(f"from-{name}", Act.ACT_MESSAGE, "agent://bob", msg_id=name)
        )
    bob = moved(cluster, "c", "bob")
    assert sorted(one.msg_id for one in received(bob)) == ["a", "b", "c"]
    cluster.acknowledge("c", bob, "a", "b", "c")
    assert cluster["a"].remote("bob").owes_nothing and cluster["b"].remote("bob").owes_nothing


def test_what_waits_in_a_mailbox_follows_too() -> None:
    cluster = ClusterParts("a", "b")
    alice, bob = cluster["a"].arrive("alice"), cluster["a"].arrive("bob")
    cluster.run()
    bob.stream = None
    cluster["a"].members.part(bob, cluster["a"].now)
    cluster["a"].absences.leave(bob)
    for number in range(3):
        cluster.admit(
            "a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id=f"m{number}")
        )
    bob = moved(cluster, "b", "bob")
    asyncio.run(cluster["a"].absences.refill(cluster["a"].remote("bob")))
    cluster.run()
    assert [one.msg_id for one in received(bob)] == ["m0", "m1", "m2"]


def test_a_silent_home_is_not_waited_for() -> None:
    cluster = ClusterParts("a", "b")
    bob = cluster["a"].arrive("bob")
    cluster.run()
    stream = stream_of(bob)
    cluster.cut.update({("a", "b"), ("b", "a")})
    handover = cluster["b"].handover
    handover.patience = 0.01
    arrival = asyncio.run(handover.fetch("acme", "agent://bob", "token", 0))
    assert arrival is not None and arrival.link is None
    cluster["b"].settle(arrival)
    cluster.cut.clear()
    cluster.run()
    assert stream.closed and cluster["a"].remote("bob").home == "b"


def test_a_repeat_whose_message_has_expired_is_followed_no_longer() -> None:
    cluster = ClusterParts("a", "b", "c")
    cluster["c"].arrive("bob")
    cluster.run()
    parcel = Parcel("m1", b"", cluster["a"].now + 60, "", "", True)
    for name in "ab":
        cluster[name].router.deliver(cluster[name].remote("bob"), parcel)
        cluster.run()
    peers = cluster["c"].peers
    peers.retry()
    assert len(peers._followers) == 1
    cluster["c"].now += 61
    peers.retry()
    assert not peers._followers


def test_a_home_without_a_link_is_not_asked() -> None:
    """The agent would wait for the patience of its new home."""
    cluster = ClusterParts("a", "b")
    cluster["a"].arrive("bob")
    cluster.run()
    handover = cluster["b"].handover
    handover.reaches = lambda gateway_id: gateway_id != "a"
    handover.patience = 60.0
    arrival = asyncio.run(handover.fetch("acme", "agent://bob", "token", 0))
    assert arrival is not None and arrival.link is None


def test_an_agent_keeps_moving_without_leaving_anything_behind() -> None:
    cluster = ClusterParts("a", "b", "c")
    cluster["a"].arrive("bob", "gpu")
    cluster.run()
    for gateway_id in "bcabcb":
        moved(cluster, gateway_id, "bob")
    assert [cluster[name].members.count for name in "abc"] == [0, 1, 0]
    for name in "ac":
        assert cluster[name].remote("bob").home == "b"
        (listener,) = cluster[name].members.tenants["acme"].topics["gpu"].values()
        assert isinstance(listener, RemoteMember)


def test_a_repeat_that_comes_by_two_ways_is_told_to_both_and_delivered_once() -> None:
    cluster = ClusterParts("a", "b", "c")
    bob = cluster["c"].arrive("bob")
    cluster.run()
    parcel = Parcel("m1", b"", cluster["a"].now + 60, "", "", True)
    for name in "ab":
        cluster[name].router.deliver(cluster[name].remote("bob"), parcel)
        cluster.run()
    assert len(bob.outbox) == 1
    bob.outbox.take(cluster["c"].now, 1 << 20)
    cluster.acknowledge("c", bob, "m1")
    assert cluster["a"].remote("bob").owes_nothing and cluster["b"].remote("bob").owes_nothing
