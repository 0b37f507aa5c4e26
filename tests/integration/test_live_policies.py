"""Profiles that are changed at one gateway count at all, and what was decided plays again."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import llmx
from tests.support.cluster import Cluster, running_cluster
from tests.support.gateways import ROOT, command, environment, running

pytestmark = pytest.mark.slow

NAMES = ("eu", "us")
REPLY_SECONDS = 20.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways around one etcd."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), *NAMES) as cluster:
        yield cluster


Told = tuple[int, list[dict[str, Any]], str]
"""The exit code of a command, what it told, and its complaints."""


async def typed(cluster: Cluster, at: str, *words: str) -> Told:
    """Type a command at one gateway of the cluster."""
    token = cluster.token("operator", "operator")
    return await typed_at(cluster.folder, cluster.gateways[at].life.address, token, *words)


async def typed_at(folder: Path, address: str, token: str, *words: str) -> Told:
    process = await asyncio.create_subprocess_exec(
        *command(*words, "--json"),
        env=environment(folder) | {"LLMX_GATEWAY": address, "LLMX_TOKEN": token},
        cwd=ROOT,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


async def changed(cluster: Cluster, at: str, *words: str) -> dict[str, Any]:
    code, (told,), err = await typed(cluster, at, "ctl", "policy", *words)
    assert (code, err) == (0, "")
    assert told["gateways"] == ", ".join(NAMES), "it stands at all of them when this returns"
    return told


class Contractor(llmx.Agent):
    """One that answers when it may."""

    def __init__(self, cluster: Cluster, name: str, at: str, value: int, go: asyncio.Event) -> None:
        super().__init__(
            f"agent://{name}",
            cluster.gateways[at].life.address,
            token=cluster.token(name),
            topics=["live-policies"],
            capabilities=["propose"],
        )
        self._value = value
        self._go = go

    async def on_cfp(self, call: llmx.Call) -> llmx.Offer:
        await self._go.wait()
        return call.offer(value=self._value)


@asynccontextmanager
async def market(cluster: Cluster, go: asyncio.Event) -> AsyncIterator[dict[str, llmx.Agent]]:
    """Connect an initiator and a contractor to each gateway."""
    async with AsyncExitStack() as stack:
        initiators = {}
        for number, at in enumerate(NAMES):
            bidder = Contractor(cluster, f"bidder-{at}", at, 40 + number, go)
            await stack.enter_async_context(bidder)
            address = cluster.gateways[at].life.address
            alice = llmx.Agent(f"agent://alice-{at}", address, token=cluster.token(f"alice-{at}"))
            initiators[at] = await stack.enter_async_context(alice)
        await cluster.until_located([f"agent://bidder-{at}" for at in NAMES])
        yield initiators


async def decided(alice: llmx.Agent, **body: Any) -> llmx.Outcome:
    body.setdefault("reply_within", REPLY_SECONDS)
    return await alice.call(body, to="topic://live-policies")


async def test_a_profile_is_switched_in_all_gateways_and_open_negotiations_keep_theirs(
    cluster: Cluster,
) -> None:
    go = asyncio.Event()
    async with market(cluster, go) as alice:
        first = await changed(cluster, "eu", "set", "quick", '{"profile": "low"}')
        assert (first["name"], first["revision"]) == ("quick", 1)
        async with asyncio.TaskGroup() as tasks:
            under_way = [
                tasks.create_task(decided(alice[at], policy="quick", reserve=100)) for at in NAMES
            ]
            initiators = [f"agent://alice-{at}" for at in NAMES]
            async with asyncio.timeout(REPLY_SECONDS):
                while True:
                    if await cluster.open_calls(initiators) == len(NAMES):
                        break
            second = await changed(cluster, "us", "set", "quick", '{"profile": "high"}')
            assert second["revision"] == 2
            go.set()
        assert [task.result().policy for task in under_way] == ["quick@1", "quick@1"]
        for at in NAMES:
            outcome = await decided(alice[at], policy="quick", reserve=100)
            assert outcome.policy == "quick@2"
            assert outcome.winners[0].agent == "agent://bidder-eu"
        await changed(cluster, "us", "delete", "quick")
        for at in NAMES:
            with pytest.raises(llmx.Refused, match="no profile has this name"):
                await decided(alice[at], policy="quick")


async def test_changes_at_both_gateways_at_once_are_all_made(cluster: Cluster) -> None:
    made = await asyncio.gather(
        *(changed(cluster, NAMES[n % 2], "set", "busy", f'{{"settle": {n}}}') for n in range(6))
    )
    assert sorted(one["revision"] for one in made) == [1, 2, 3, 4, 5, 6]
    told = [await typed(cluster, at, "ctl", "policy", "get", "busy") for at in NAMES]
    assert told[0] == told[1] and told[0][1][0]["revision"] == 6


async def test_what_one_gateway_cannot_do_without_etcd_is_said_and_changes_nothing(
    cluster: Cluster,
) -> None:
    line = cluster.etcd_lines["us"]
    line.hold()
    try:
        code, told, err = await typed(cluster, "us", "ctl", "policy", "set", "lost", "{}")
    finally:
        line.heal()
    assert code == 1 and not told and "STORE_UNAVAILABLE" in err
    _, listed, _ = await typed(cluster, "eu", "ctl", "policy", "list")
    assert "lost" not in {profile["name"] for profile in listed}


async def test_a_gateway_that_starts_again_knows_what_was_changed_meanwhile(
    cluster: Cluster,
) -> None:
    await changed(cluster, "eu", "set", "kept", '{"select": "first"}')
    await cluster.gateways["us"].kill()
    await typed(cluster, "eu", "ctl", "policy", "set", "kept", '{"select": "best"}')
    await cluster.gateways["us"].restart()
    await cluster.until(cluster.is_whole)
    _, (told,), _ = await typed(cluster, "us", "ctl", "policy", "get", "kept")
    assert (told["revision"], told["parameters"]["select"]) == (2, "best")


async def test_what_both_gateways_have_decided_plays_again_to_the_byte(cluster: Cluster) -> None:
    """Whole numbers in payloads included: JSON tells 100 from 100.0."""
    go = asyncio.Event()
    go.set()
    async with market(cluster, go) as alice:
        for at in NAMES:
            for policy in ("low", "high", {"profile": "high", "select": "vickrey"}):
                await decided(alice[at], policy=policy, reserve=100, max_awards=2)
    files = [str(cluster.records(at)) for at in NAMES]
    code, (summary,), err = await typed(cluster, "eu", "replay", *files)
    assert (code, err) == (0, "") and summary["good"]
    assert summary["results"].keys() == {"same"} and summary["lines"] >= 6
    code, told, _ = await typed(
        cluster, "eu", "ctl", "policy", "set", "x", '{"profile": "low"}', "--dry-run", files[0]
    )
    assert code == 0 and told[-1]["compared"] >= 3


async def test_processes_of_one_machine_share_what_is_changed_without_etcd(tmp_path: Path) -> None:
    with running(tmp_path, server__gateway_id="one", server__processes=2) as gateway:
        token = gateway.token("operator", roles=["operator"])
        words = ("ctl", "policy", "set", "quick", "{}")
        for revision in (1, 2):
            code, (told,), err = await typed_at(tmp_path, gateway.address, token, *words)
            assert (code, err, told["revision"]) == (0, "", revision)
            assert told["gateways"] == "one-1, one-2"
