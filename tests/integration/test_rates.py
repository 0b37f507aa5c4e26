"""Agents that send more than they may, and those around them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from llmx.v1.refusal_pb2 import RefusalCode
from tests.support.gateways import Gateway, command, environment, running
from tests.support.raw_agent import Crowd, RawAgent, honour

pytestmark = pytest.mark.slow

BURST = 20
TENANT_BURST = 30
RESERVE = 0.2
FOR_ALL = 24
"""What is left of the tenant's burst for those who may not use the reserve."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway on which nothing comes back for a minute."""
    with running(
        tmp_path_factory.mktemp("strict"),
        limits__rate_per_second=0.1,
        limits__burst=BURST,
        limits__tenant_rate_per_second=0.1,
        limits__tenant_burst=TENANT_BURST,
        limits__rate_reserve=RESERVE,
    ) as gateway:
        yield gateway


async def admitted_of(agent: RawAgent, count: int) -> int:
    """Send messages to oneself; returns how many were admitted."""
    many = [agent.text("hi", agent.address) for _ in range(count)]
    await agent.send(*many)
    await agent.confirmation()
    return count - sum(len(agent.refused(one.msg_id)) for one in many)


def tenant(crowd: Crowd, **claims: Any) -> dict[str, Any]:
    """Return the claims of an agent of this test's own tenant."""
    return {"tenant": f"t-{crowd.tag}", **claims}


async def test_a_noisy_agent_is_slowed_and_nobody_else_is(crowd: Crowd) -> None:
    noisy = await crowd.open("noisy", claims=tenant(crowd))
    quiet = await crowd.open("quiet", claims=tenant(crowd))
    stranger = await crowd.open("stranger", claims={"tenant": f"u-{crowd.tag}"})
    for _ in range(5):
        await admitted_of(noisy, 100)
    assert len(noisy.refusals) == 500 - BURST
    assert {one.code for one in noisy.refusals} == {RefusalCode.REFUSAL_CODE_RATE_EXCEEDED}
    assert all("the agent sends" in one.reason for one in noisy.refusals)
    assert await admitted_of(quiet, FOR_ALL - BURST) == FOR_ALL - BURST
    assert await admitted_of(stranger, BURST) == BURST


async def test_a_tenants_rate_holds_across_its_agents_and_for_no_other_tenant(
    crowd: Crowd,
) -> None:
    agents = [await crowd.open(f"a{number}", claims=tenant(crowd)) for number in range(3)]
    assert sum([await admitted_of(agent, 15) for agent in agents]) == FOR_ALL
    told = agents[2].refusals[0]
    assert "the agents of the tenant" in told.reason and told.retry_after.ToNanoseconds() > 0
    assert crowd.tag not in told.reason + told.remedy
    stranger = await crowd.open("stranger", claims={"tenant": f"u-{crowd.tag}"})
    assert await admitted_of(stranger, 15) == 15


async def test_a_system_agent_gets_through_when_normal_ones_have_drained_the_bucket(
    crowd: Crowd, gateway: Gateway
) -> None:
    agents = [await crowd.open(f"a{number}", claims=tenant(crowd)) for number in range(2)]
    assert sum([await admitted_of(agent, BURST) for agent in agents]) == FOR_ALL
    watchdog = await crowd.open("watchdog", claims=tenant(crowd, system=True))
    assert await admitted_of(watchdog, 10) == TENANT_BURST - FOR_ALL
    assert 'limit="tenant_rate"' in await asyncio.to_thread(gateway.metrics)


async def test_a_stream_that_renews_its_token_gets_the_class_of_the_new_one(crowd: Crowd) -> None:
    agents = [await crowd.open(f"a{number}", claims=tenant(crowd)) for number in range(2)]
    assert sum([await admitted_of(agent, BURST) for agent in agents]) == FOR_ALL
    agent = agents[1]
    await agent.renew(crowd.gateway.token(agent.name, **tenant(crowd, system=True)))
    assert await admitted_of(agent, 3) == 3


async def test_a_quota_refusal_tells_when_to_come_back_and_that_is_true(tmp_path: Path) -> None:
    """A thousand bytes come back in a second."""
    limits = {"limits__tenant_quota_bytes_per_hour": 3_600_000, "limits__rate_reserve": 0}
    with running(tmp_path / "gateway", **limits) as gateway:
        crowd = Crowd(gateway)
        alice, bob = await crowd.open("alice"), await crowd.open("bob")
        for size in (100_000, 10_000, 1_000):
            many = [alice.text("x" * size, alice.address) for _ in range(40)]
            await alice.send(*many)
            await alice.confirmation()
        late = bob.text("hi", bob.address)
        while not bob.refused(late.msg_id):
            late = bob.text("hi", bob.address)
            await bob.send(late)
            await bob.confirmation()
        (refusal,) = bob.refused(late.msg_id)
        assert RefusalCode.Name(refusal.code) == "REFUSAL_CODE_QUOTA_EXCEEDED"
        assert refusal.reason == (
            "the agents of the tenant have together used up its quota of bytes"
        )
        assert 0 < refusal.retry_after.ToNanoseconds() < 1e9
        await honour(refusal)
        await bob.send(late)
        await bob.arrival(late.msg_id)
        await crowd.close()


async def test_who_leaves_until_it_is_forgotten_comes_back_to_its_quota(tmp_path: Path) -> None:
    away = {"limits__reconnect_grace_seconds": 0, "mailbox__keep_seconds": 0}
    with running(tmp_path / "gateway", limits__quota_messages_per_hour=5, **away) as gateway:
        crowd = Crowd(gateway)
        alice = await crowd.open("alice")
        assert await admitted_of(alice, 6) == 5
        await alice.close()
        while "agent forgotten" not in await asyncio.to_thread(gateway.log):
            pass
        again = await crowd.open("alice")
        assert await admitted_of(again, 1) == 0
        await crowd.close()


def llmx_token(gateway: Gateway, *given: str) -> subprocess.CompletedProcess[str]:
    """Run `llmx token`."""
    line = command("token", "agent://watchdog", *given)
    return subprocess.run(
        line, env=environment(gateway.folder), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("given", "claimed"), [("normal", None), ("system", "system")])
def test_the_command_line_makes_tokens_of_both_classes(
    gateway: Gateway, given: str, claimed: str | None
) -> None:
    done = llmx_token(gateway, "--class", given)
    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert claims.get("class") == claimed


def test_the_command_line_knows_no_other_class(gateway: Gateway) -> None:
    done = llmx_token(gateway, "--class", "root")
    assert done.returncode == 2 and done.stdout == ""
    assert "normal or system" in done.stderr
