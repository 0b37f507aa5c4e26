"""Who is on the gateway, whom each member hears, and what tenants see of each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.allowances import AllowanceLimits
from gateway.members import (
    AGENT_ADDRESS,
    CAPABILITY,
    NAME,
    Member,
    MemberGroup,
    MemberLimits,
    Members,
)

LIMITS = MemberLimits(
    agents_max=3,
    allowance=AllowanceLimits(rate=10, burst=10),
    outbox_messages_max=10,
    outbox_bytes_max=1000,
    window_messages=10,
    retry_first=1,
    retry_max=8,
    duplicates_window=60,
    duplicates_ids_max=100,
)


def gateway() -> Members:
    return Members(LIMITS, now=0.0)


def joined(members: Members, name: str, tenant: str = "acme") -> Member:
    member = members.join(tenant, f"agent://{name}", now=0.0)
    assert member is not None
    return member


def test_to_listen_replaces_what_the_member_listened_to() -> None:
    members = gateway()
    bob, carol = joined(members, "bob"), joined(members, "carol")
    tenant = bob.tenant
    tenant.listen(bob, ["gpu", "cpu"])
    tenant.listen(carol, ["gpu"])
    tenant.listen(bob, ["cpu", "disk"])
    assert bob.topics == {"cpu", "disk"}
    assert tenant.topics == {
        "gpu": {carol.agent_id: carol},
        "cpu": {bob.agent_id: bob},
        "disk": {bob.agent_id: bob},
    }


def test_a_topic_without_listeners_takes_no_room() -> None:
    bob = joined(gateway(), "bob")
    bob.tenant.listen(bob, ["gpu"])
    bob.tenant.listen(bob, [])
    assert bob.tenant.topics == {}


def test_an_agent_that_comes_back_is_the_same_member() -> None:
    members = gateway()
    bob = joined(members, "bob")
    assert joined(members, "bob") is bob
    assert members.count == 1


def test_tenants_with_agents_of_the_same_name_do_not_meet() -> None:
    members = gateway()
    bob, other = joined(members, "bob", "acme"), joined(members, "bob", "umbrella")
    bob.tenant.listen(bob, ["gpu"])
    assert bob is not other and bob.key != other.key
    assert other.tenant.topics == {} and list(other.tenant.members.values()) == [other]


def test_a_full_gateway_takes_no_new_agent_but_knows_the_old_ones() -> None:
    members = gateway()
    bob, *_ = (joined(members, name) for name in ("bob", "carol", "dave"))
    assert members.join("acme", "agent://eve", 0.0) is None
    assert joined(members, "bob") is bob


def test_a_full_gateway_keeps_nothing_of_those_it_turns_away() -> None:
    """A thousand tenants that do not get in must not fill the memory."""
    members = gateway()
    for name in ("bob", "carol", "dave"):
        joined(members, name)
    for number in range(1000):
        assert members.join(f"tenant-{number}", "agent://eve", 0.0) is None
    assert list(members.tenants) == ["acme"]


def test_a_forgotten_member_leaves_room_and_listens_no_more() -> None:
    members = gateway()
    bob = joined(members, "bob")
    carol = joined(members, "carol")
    bob.tenant.listen(bob, ["gpu"])
    members.forget(bob)
    assert members.count == 1
    assert carol.tenant.topics == {} and bob.agent_id not in carol.tenant.members


def test_a_tenant_goes_with_its_last_agent_unless_it_has_groups() -> None:
    members = gateway()
    bob, eve = joined(members, "bob", "acme"), joined(members, "eve", "umbrella")
    bob.tenant.groups["night"] = MemberGroup("night", bob.agent_id, (bob.agent_id,))
    members.forget(bob)
    members.forget(eve)
    assert list(members.tenants) == ["acme"]
    assert joined(members, "bob").tenant.groups.keys() == {"night"}


@pytest.mark.parametrize(
    "address", ["agent://alice", "agent://a.b_c~d-1/x/y", "agent://" + "a" * 128]
)
def test_addresses_of_agents(address: str) -> None:
    assert AGENT_ADDRESS.fullmatch(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "agent://",
        "agent:///x",
        "agent://a/",
        "agent://a//b",
        "agent://a b",
        "agent://a|b",
        "agent://alice\n",
        "agent://älice",
        "Agent://alice",
        "topic://gpu",
        "agent://" + "a" * 129,
        "agent://a/1/2/3/4/5",
    ],
)
def test_what_is_no_address_of_an_agent(address: str) -> None:
    assert not AGENT_ADDRESS.fullmatch(address)


@pytest.mark.parametrize("name", ["", "*", "a|b", "a b", "gpu\n", "topic://gpu", "a" * 129])
def test_what_is_no_name_of_a_topic_or_group(name: str) -> None:
    assert not NAME.fullmatch(name)


def test_a_capability_may_have_a_version_and_a_namespace() -> None:
    assert CAPABILITY.fullmatch("acme:gpu/lease@1.2")
    assert not CAPABILITY.fullmatch("gpu lease")


def test_the_agents_of_a_tenant_share_its_allowance_and_leave_it_one_by_one() -> None:
    limits = replace(LIMITS, allowance=AllowanceLimits(10, 10, 10, 10, reserve=0.0))
    members = Members(limits, now=0.0)
    bob, carol = joined(members, "bob"), joined(members, "carol")
    eve = joined(members, "eve", "umbrella")
    while bob.allowance.take(0.0, 1) is None:
        pass
    assert carol.allowance.take(0.0, 1) is not None
    members.forget(bob)
    assert joined(members, "bob").allowance.take(0.0, 1) is not None
    assert eve.allowance.take(0.0, 1) is None
