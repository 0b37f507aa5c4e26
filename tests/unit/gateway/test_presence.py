"""What a gateway makes of the words of others about agents, groups and schemas."""

from __future__ import annotations

from federation.commons import SchemaAt
from gateway.members import NOBODY_YET, Member, MemberGroup
from gateway.outbox import Parcel
from gateway.presence import CHECK_LOOKS
from llmx.v1.envelope_pb2 import Act
from tests.support.cluster_parts import GRACE, ClusterParts, FederatedParts
from tests.support.gateway_parts import envelope, received, stream_of


def agents(gateway: FederatedParts) -> set[str]:
    tenant = gateway.members.tenants.get("acme")
    return set() if tenant is None else set(tenant.everyone)


def test_every_gateway_knows_the_agents_of_all() -> None:
    cluster = ClusterParts("a", "b", "c")
    for name in "abc":
        cluster[name].arrive(f"from-{name}", "gpu", capabilities=["propose"])
    cluster.run()
    for name in "abc":
        assert agents(cluster[name]) == {f"agent://from-{one}" for one in "abc"}
        assert len(cluster[name].members.tenants["acme"].topics["gpu"]) == 3
    known = cluster["a"].remote("from-b")
    assert known.capabilities == {"propose"} and known.topics == {"gpu"} and known.consents


def test_a_gateway_that_joins_hears_of_everybody_at_once() -> None:
    cluster = ClusterParts("a")
    cluster["a"].arrive("alice")
    late = FederatedParts(cluster, "b", "local")
    cluster.gateways["b"] = late
    cluster["a"].presence.begun("b", "local")
    late.presence.begun("a", "local")
    cluster.run()
    assert agents(late) == {"agent://alice"}


def test_what_an_agent_takes_back_is_gone_everywhere() -> None:
    cluster = ClusterParts("a", "b")
    bob = cluster["b"].arrive("bob", "gpu", capabilities=["propose"])
    cluster.run()
    bob.tenant.listen(bob, ())
    bob.consents.clear()
    cluster["b"].members.changed(bob)
    cluster.run()
    known = cluster["a"].remote("bob")
    assert not known.topics and not known.consents
    alice = cluster["a"].arrive("alice")
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    assert stream_of(alice).codes() == ["CONSENT_MISSING"]


def test_an_agent_that_is_forgotten_is_forgotten_everywhere_when_its_grace_is_over() -> None:
    cluster = ClusterParts("a", "b")
    bob = cluster["b"].arrive("bob", "gpu")
    cluster.run()
    cluster["b"].absences.forget(bob)
    cluster.run()
    assert agents(cluster["a"]) == {"agent://bob"}
    cluster.advance(GRACE + 1)
    assert "acme" not in cluster["a"].members.tenants


def test_agents_of_a_dead_gateway_are_kept_for_the_grace() -> None:
    cluster = ClusterParts("a", "b")
    cluster["b"].arrive("bob", "gpu")
    cluster.run()
    cluster.kill("b")
    cluster.advance(GRACE - 1)
    assert cluster["a"].remote("bob").stream is None and not cluster["a"].remote("bob").is_away
    cluster.advance(2)
    assert not agents(cluster["a"])


def test_what_is_owed_to_a_lost_agent_expires_in_its_time_and_is_told() -> None:
    cluster = ClusterParts("a", "b")
    alice = cluster["a"].arrive("alice")
    cluster["b"].arrive("bob")
    cluster.run()
    cluster.kill("b")
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    cluster.advance(GRACE + 1)
    assert agents(cluster["a"]) == {"agent://alice", "agent://bob"}
    cluster.advance(3600)
    cluster.advance(1)
    (failure,) = received(alice, cluster["a"].now)
    assert failure.act == Act.ACT_FAILURE and agents(cluster["a"]) == {"agent://alice"}


def test_an_agent_that_goes_away_is_called_no_more_from_anywhere() -> None:
    cluster = ClusterParts("a", "b")
    alice = cluster["a"].arrive("alice")
    bob = cluster["b"].arrive("bob", "gpu")
    cluster.run()
    bob.is_away = True
    cluster["b"].members.changed(bob)
    cluster.run()
    body = {"act": "cfp", "task": "four GPUs", "reply_within": 5}
    call = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="call", body=body)
    cluster.admit("a", alice, call)
    assert stream_of(alice).codes() == ["NO_RECIPIENTS"]


def test_an_agent_that_comes_back_is_called_again_from_everywhere() -> None:
    cluster = ClusterParts("a", "b")
    alice = cluster["a"].arrive("alice")
    bob = cluster["b"].arrive("bob", "gpu")
    for is_away in (True, False):
        bob.is_away = is_away
        cluster["b"].members.changed(bob)
        cluster.run()
        assert cluster["a"].remote("bob").is_away == is_away
    body = {"act": "cfp", "task": "four GPUs", "reply_within": 5}
    call = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="call", body=body)
    cluster.admit("a", alice, call)
    assert stream_of(alice).codes() == []


def test_a_message_for_an_agent_that_is_away_waits_at_its_home() -> None:
    cluster = ClusterParts("a", "b")
    alice, bob = cluster["a"].arrive("alice"), cluster["b"].arrive("bob")
    cluster.run()
    bob.stream = None
    cluster["b"].members.part(bob, cluster["b"].now)
    cluster["b"].absences.leave(bob)
    cluster["b"].members.changed(bob)
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    assert cluster["b"].mailbox.index.waiting(bob.key) == 1
    assert len(cluster["a"].remote("bob").outbox) == 1


def test_of_two_homes_the_younger_one_keeps_the_agent() -> None:
    """They could not hear each other while it moved."""
    cluster = ClusterParts("a", "b")
    cluster.cut.update({("a", "b"), ("b", "a")})
    old, young = cluster["a"].arrive("bob"), cluster["b"].arrive("bob")
    young.generation = 1
    cluster["b"].members.changed(young)
    stream = stream_of(old)
    cluster.cut.clear()
    cluster.run()
    assert stream.closed == ["stopping"] and cluster["a"].remote("bob").home == "b"
    assert isinstance(cluster["b"].members.tenants["acme"].everyone["agent://bob"], Member)


def test_when_the_younger_home_forgets_an_agent_the_older_one_still_has_it() -> None:
    cluster = ClusterParts("a", "b", "c")
    cluster.cut.update({("a", "b"), ("b", "a")})
    cluster["a"].arrive("bob")
    young = cluster["b"].arrive("bob")
    young.generation = 1
    cluster["b"].members.changed(young)
    cluster.run()
    assert cluster["c"].remote("bob").home == "b"
    cluster["b"].absences.forget(young)
    cluster.run()
    assert cluster["c"].remote("bob").home == "a"


def mail_waits_at(gateway: FederatedParts, name: str) -> Member:
    """Have a gateway start again that has messages for an agent of another one in its store."""
    bob = gateway.members.join("acme", f"agent://{name}", gateway.now)
    assert bob is not None
    bob.generation, bob.is_boxed = NOBODY_YET, True
    parcel = Parcel("m1", b"hello", gateway.now + 60, "agent://alice", "", True)
    gateway.mailbox.keep(bob.key, parcel)
    gateway.presence.announce(bob)
    return bob


def test_a_gateway_that_only_keeps_messages_for_an_agent_is_not_taken_for_its_home() -> None:
    """It would have outranked the home of an agent that had never moved, and told all who
    sent to that agent that it had revoked its consent."""
    cluster = ClusterParts("a", "b")
    bob = cluster["a"].arrive("bob", "gpu")
    late = FederatedParts(cluster, "c", "local")
    mail_waits_at(late, "bob")
    cluster.gateways["c"] = late
    for known in "ab":
        late.presence.begun(known, "local")
    cluster.run()
    assert cluster["b"].remote("bob").home == "a" and not stream_of(bob).closed
    cluster["a"].presence.begun("c", "local")
    cluster.run()
    found = late.remote("bob")
    assert found.home == "a" and found.topics == {"gpu"} and found.consents and found.is_boxed


def test_an_agent_that_comes_to_where_messages_wait_for_it_is_at_home_there() -> None:
    cluster = ClusterParts("a", "b")
    bob = mail_waits_at(cluster["b"], "bob")
    cluster.run()
    assert not agents(cluster["a"])
    assert cluster["b"].arrive("bob") is bob
    cluster.run()
    assert cluster["a"].remote("bob").home == "b"


def test_a_regional_topic_is_heard_in_its_region_only() -> None:
    cluster = ClusterParts("a@eu", "b@eu", "c@us", regional=["local/*"])
    alice = cluster["a"].arrive("alice")
    near = cluster["b"].arrive("near", "local/gpu", "gpu")
    far = cluster["c"].arrive("far", "local/gpu", "gpu")
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "topic://local/gpu"))
    assert len(received(near)) == 1 and not received(far)
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "topic://gpu", msg_id="m2"))
    assert [one.msg_id for one in received(far)] == ["m2"]


def test_a_group_that_was_put_somewhere_is_known_everywhere_and_outlives_its_gateway() -> None:
    cluster = ClusterParts("a", "b", "c")
    alice, bob = cluster["a"].arrive("alice"), cluster["b"].arrive("bob")
    group = MemberGroup("team", "agent://bob", ("agent://bob",))
    bob.tenant.groups["team"] = group
    cluster["b"].presence.announce_group(bob.tenant, group)
    cluster.run()
    cluster.admit("a", alice, envelope("alice", Act.ACT_MESSAGE, "group://team"))
    assert [one.msg_id for one in received(bob)] == ["m1"]
    cluster.kill("b")
    late = FederatedParts(cluster, "d", "local")
    cluster.gateways["d"] = late
    for name in "ac":
        cluster[name].presence.begun("d", "local")
    cluster.run()
    assert late.members.tenants["acme"].groups["team"].members == ("agent://bob",)


def test_a_group_without_members_is_gone_everywhere() -> None:
    cluster = ClusterParts("a", "b")
    bob = cluster["b"].arrive("bob")
    for members in (("agent://bob",), ()):
        group = MemberGroup("team", "agent://bob", members)
        cluster["b"].presence.announce_group(bob.tenant, group)
        cluster.run()
        assert ("team" in cluster["a"].members.tenants["acme"].groups) is bool(members)


def test_a_schema_that_was_registered_somewhere_is_told_to_everybody() -> None:
    cluster = ClusterParts("a", "b")
    heard: list[SchemaAt] = []
    cluster["a"].presence.on_schema = heard.append
    for _ in range(2):
        cluster["b"].presence.announce_schema("acme", b'{"$id": "x"}')
        cluster.run()
    assert heard == [SchemaAt("acme", b'{"$id": "x"}')]


def test_a_change_that_found_no_room_is_noticed_by_the_next_check() -> None:
    cluster = ClusterParts("a", "b")
    send = cluster["b"].peers.send
    cluster["b"].peers.send = lambda to, message: False
    cluster["b"].arrive("bob")
    cluster.run()
    cluster["b"].peers.send = send
    assert not agents(cluster["a"])
    for _ in range(CHECK_LOOKS):
        cluster["b"].presence.look()
    cluster.run()
    assert agents(cluster["a"]) == {"agent://bob"}
