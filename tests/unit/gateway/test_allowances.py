"""What agents and tenants may send: negotiation.md N-8.2 and N-8.3, several buckets at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.allowances import LIMIT_NAMES, Allowance, AllowanceLimits, Allowances
from gateway.refusals import Fault

RATES_ONLY = AllowanceLimits(1.0, 4.0, 2.0, 6.0, reserve=0.5)
"""An agent has 4 messages, its tenant 6, of which 3 are for everybody."""

GENEROUS = AllowanceLimits(1000.0, 1000.0, 1000.0, 1000.0, reserve=0.0)


class Tenants:
    """Agents of tenants, and a time that is told."""

    def __init__(self, limits: AllowanceLimits = RATES_ONLY, remembered_max: int = 10) -> None:
        self.all = Allowances(limits, remembered_max)

    def join(self, name: str, tenant: str = "acme", now: float = 0.0) -> Allowance:
        return self.all.join(tenant, f"{tenant}|agent://{name}|", now)


def taken(allowance: Allowance, now: float = 0.0, *, system: bool = False) -> int:
    """Return how many messages pass until one is refused."""
    count = 0
    while allowance.take(now, 100, system) is None:
        count += 1
    return count


def refused(
    allowance: Allowance, now: float = 0.0, size: int = 100, *, system: bool = False
) -> Fault:
    fault = allowance.take(now, size, system)
    assert fault is not None
    return fault


def test_who_is_too_fast_hears_when_to_come_again() -> None:
    tenants = Tenants(replace(RATES_ONLY, tenant_burst=100.0))
    alice = tenants.join("alice")
    assert taken(alice) == 4
    fault = refused(alice, 0.75)
    assert (fault.code, fault.retry_after) == ("RATE_EXCEEDED", 0.25)
    assert "the agent sends" in fault.reason and "0.250 seconds" in fault.remedy
    assert alice.take(1.0, 100) is None


def test_a_noisy_agent_takes_nothing_from_the_others_by_what_is_refused() -> None:
    """N-8.2: a message takes from all of its buckets or from none."""
    tenants = Tenants(replace(RATES_ONLY, tenant_burst=14.0))
    alice, bob = tenants.join("alice"), tenants.join("bob")
    for _ in range(1000):
        alice.take(0.0, 100)
    assert taken(bob) == 3  # of the 7 that are for everybody
    assert "tenant" in refused(bob).reason


def test_what_the_tenant_lacks_costs_the_agent_nothing() -> None:
    tenants = Tenants(replace(RATES_ONLY, rate=0.0625))
    alice, bob = tenants.join("alice"), tenants.join("bob")
    assert taken(alice) == 3
    for _ in range(1000):
        assert refused(bob).retry_after == 0.5
    assert taken(bob, 1.0) == 2
    assert taken(bob, 100.0) == 3


def test_the_agents_of_a_tenant_share_its_rate_and_no_other_tenant_does() -> None:
    """N-8.2: for the tenant too, however many agents it has."""
    tenants = Tenants()
    agents = [tenants.join(f"a{number}") for number in range(5)]
    stranger = tenants.join("a0", "umbrella")
    assert sum(taken(agent) for agent in agents) == 3
    assert taken(stranger) == 3
    assert sum(taken(agent, 1.0) for agent in agents) == 2


def test_a_tenant_hears_of_its_own_limits_only() -> None:
    tenants = Tenants()
    assert taken(tenants.join("alice")) == 3
    fault = refused(tenants.join("bob"))
    assert fault.reason == "the agents of the tenant together send faster than its rate"
    for text in (fault.reason, fault.remedy):
        assert "acme" not in text and "alice" not in text


def test_an_agent_of_the_system_class_gets_through_when_the_others_took_all_they_may() -> None:
    """N-8.3: normal agents leave the reserve, system agents may empty the bucket."""
    tenants = Tenants()
    alice, watchdog = tenants.join("alice"), tenants.join("watchdog")
    assert taken(alice) == 3
    assert taken(watchdog, system=True) == 3
    assert refused(watchdog, system=True).retry_after == 0.5
    assert refused(alice).retry_after == 2.0


def test_its_own_rate_binds_an_agent_of_the_system_class_too() -> None:
    tenants = Tenants(replace(RATES_ONLY, tenant_burst=100.0))
    assert taken(tenants.join("watchdog"), system=True) == 4


@pytest.mark.parametrize(
    ("limits", "size", "reason", "wait"),
    [
        ({"quota_messages": 36}, 1, "the agent has used up its quota of messages", 100.0),
        ({"quota_bytes": 3600}, 100, "the agent has used up its quota of bytes", 100.0),
        (
            {"tenant_quota_messages": 36},
            1,
            "the agents of the tenant have together used up its quota of messages",
            100.0,
        ),
        (
            {"tenant_quota_bytes": 3600},
            100,
            "the agents of the tenant have together used up its quota of bytes",
            100.0,
        ),
    ],
)
def test_a_quota_is_used_up_at_once_and_comes_back_over_an_hour(
    limits: dict[str, int], size: int, reason: str, wait: float
) -> None:
    alice = Tenants(replace(GENEROUS, **limits)).join("alice")
    for _ in range(36):
        assert alice.take(0.0, size) is None
    fault = refused(alice, size=size)
    assert (fault.code, fault.reason) == ("QUOTA_EXCEEDED", reason)
    assert fault.retry_after == pytest.approx(wait)
    assert alice.take(fault.retry_after, size) is None
    assert refused(alice, fault.retry_after, size).code == "QUOTA_EXCEEDED"
    assert all(alice.take(3600.0 + wait, size) is None for _ in range(36))


def test_a_tenants_quota_has_a_reserve_too() -> None:
    tenants = Tenants(replace(GENEROUS, tenant_quota_messages=36, reserve=0.25))
    alice, watchdog = tenants.join("alice"), tenants.join("watchdog")
    assert taken(alice) == 27
    assert taken(watchdog, system=True) == 9


def test_a_message_that_no_quota_can_ever_hold_is_not_told_to_wait() -> None:
    alice = Tenants(replace(GENEROUS, quota_bytes=3600)).join("alice")
    fault = refused(alice, size=3601)
    assert (fault.code, fault.retry_after) == ("QUOTA_EXCEEDED", 0.0)
    assert fault.remedy == "send at most 3600 bytes"


def test_of_several_limits_the_longest_wait_is_told() -> None:
    limits = AllowanceLimits(
        1.0, 2.0, 100.0, 100.0, quota_messages=3600, quota_bytes=36_000, tenant_quota_bytes=3600
    )
    alice = Tenants(replace(limits, reserve=0.0)).join("alice")
    assert alice.take(0.0, 3600) is None
    assert alice.take(0.0, 0) is None
    fault = refused(alice, size=100)
    assert (fault.code, fault.retry_after) == ("QUOTA_EXCEEDED", 100.0)
    assert "the agents of the tenant" in fault.reason
    assert refused(alice, size=0).code == "RATE_EXCEEDED"


def test_what_is_refused_takes_from_no_quota() -> None:
    limits = AllowanceLimits(
        1.0, 1.0, 1000.0, 1000.0, reserve=0.0, quota_messages=3, tenant_quota_messages=4
    )
    tenants = Tenants(limits)
    alice, bob = tenants.join("alice"), tenants.join("bob")
    assert alice.take(0.0, 1) is None
    for _ in range(100):
        assert refused(alice).code == "RATE_EXCEEDED"
    assert [bob.take(at, 1) for at in (0.0, 1.0, 2.0)] == [None, None, None]
    assert "the agents of the tenant" in refused(alice, 3.0).reason


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 64).map(lambda n: n / 16),
            st.integers(0, 4).map(lambda n: n * 256),
            st.booleans(),
        ),
        max_size=80,
    ),
    st.booleans(),
)
def test_nobody_gets_more_than_any_of_its_buckets_gives(
    requests: list[tuple[int, float, int, bool]], with_quotas: bool
) -> None:
    """N-8.2, N-8.3: for every bucket at once, and the wait is exact for all of them."""
    limits = AllowanceLimits(0.5, 4.0, 1.0, 6.0, reserve=0.25)
    if with_quotas:
        limits = replace(limits, quota_bytes=2048, tenant_quota_messages=20)
    tenants, now = Tenants(limits), 0.0
    agents = [tenants.join(f"a{number}") for number in range(3)]
    sent: list[tuple[float, int, int]] = []
    for who, pause, size, system in requests:
        now += pause
        fault = agents[who].take(now, size, system)
        if fault is not None and fault.retry_after:
            now += fault.retry_after
            fault = agents[who].take(now, size, system)
            assert fault is None
        if fault is None:
            sent.append((now, who, size))
    hour = 3600.0
    for first, (start, who, _) in enumerate(sent):
        for last in range(first, len(sent)):
            part, passed = sent[first : last + 1], sent[last][0] - start
            mine = [size for _, one, size in part if one == who]
            assert len(mine) <= 4 + 0.5 * passed
            assert len(part) <= 6 + passed
            if with_quotas:
                assert sum(mine) <= 2048 * (1 + passed / hour) + 1e-6
                assert len(part) <= 20 * (1 + passed / hour) + 1e-6


def test_who_leaves_and_comes_back_finds_its_quota_as_it_left_it() -> None:
    """Or everybody would leave when it is used up."""
    tenants = Tenants(replace(GENEROUS, quota_messages=5, tenant_quota_messages=8))
    alice = tenants.join("alice")
    assert taken(alice) == 5
    tenants.all.leave(alice)
    again = tenants.join("alice")
    assert refused(again).reason == "the agent has used up its quota of messages"
    assert taken(tenants.join("bob")) == 3


def test_so_many_who_left_are_remembered_and_the_first_are_forgotten() -> None:
    tenants = Tenants(replace(GENEROUS, quota_messages=5), remembered_max=2)
    stays = tenants.join("stays")
    for name in ("alice", "bob", "carol"):
        agent = tenants.join(name)
        assert taken(agent) == 5
        tenants.all.leave(agent)
    assert taken(tenants.join("carol")) == 0
    assert taken(tenants.join("bob")) == 0
    assert taken(tenants.join("alice")) == 5
    assert taken(stays) == 5


def test_without_quotas_nothing_is_remembered() -> None:
    tenants = Tenants()
    tenants.all.leave(tenants.join("alice"))
    assert tenants.all._left == {} and tenants.all._tenants == {}


def test_a_tenants_rate_outlasts_the_agents_that_come_and_go() -> None:
    tenants = Tenants()
    stays = tenants.join("stays")
    for number in range(3):
        agent = tenants.join(f"a{number}")
        assert agent.take(0.0, 1) is None
        tenants.all.leave(agent)
    assert "tenant" in refused(stays).reason


def test_refusals_are_counted_by_whose_limit_it_was() -> None:
    """The names are few, whoever sends."""
    limits = replace(RATES_ONLY, reserve=0.0, quota_messages=2, tenant_quota_bytes=3600)
    tenants = Tenants(limits)
    assert dict(tenants.all.over) == dict.fromkeys(LIMIT_NAMES, 0)
    alice, bob = tenants.join("alice"), tenants.join("bob")
    assert taken(alice) == 2
    refused(bob, size=3500)
    assert dict(tenants.all.over) == {
        "agent_rate": 0,
        "tenant_rate": 0,
        "agent_quota": 1,
        "tenant_quota": 1,
    }
