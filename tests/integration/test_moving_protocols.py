"""Negotiations of every protocol survive kill -9 of a gateway, and go across a real cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import llmx
from tests.support.cluster import Cluster, running_cluster
from tests.support.gateways import Gateway, running
from tests.support.protocol_players import NAMES, Players
from tests.support.protocol_scripts import SCRIPTS, Script

pytestmark = pytest.mark.slow

HOMES = {"alice": "eu", "bob": "us", "carol": "ap"}


def script_of(protocol: str) -> Script:
    script = SCRIPTS[protocol]
    return replace(script, call={**script.call, "protocol": protocol})


@contextmanager
def serving(folder: Path, *, killed: bool = False) -> Iterator[Gateway]:
    """Run a gateway with a store in `folder`, the same each time."""
    code = -signal.SIGKILL if killed else 0
    with running(folder, exit_code=code, mailbox__file=folder / "store.db") as gateway:
        yield gateway


async def arrive(players: Players, gateway: Gateway) -> None:
    for name in NAMES:
        await players.connect(name, gateway.token(name), gateway.address)


async def test_every_durable_negotiation_goes_on_after_kill_9(tmp_path: Path) -> None:
    """All of them at once, each killed in its middle."""
    plays = [Players(script_of(protocol), f"-{protocol}") for protocol in SCRIPTS]
    with serving(tmp_path, killed=True) as gateway:
        for players in plays:
            await arrive(players, gateway)
            await players.call(durable=True)
            await players.play(0, len(players.script.acts) // 2, hearing=False)
            await players.close()
        os.kill(gateway.pid, signal.SIGKILL)
        gateway.process.wait()
    with serving(tmp_path) as gateway:
        for players in plays:
            await arrive(players, gateway)
            await players.play(len(players.script.acts) // 2, hearing=False)
            await players.is_played()
            await players.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three gateways."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), *HOMES.values()) as cluster:
        yield cluster


@pytest.mark.parametrize("protocol", SCRIPTS)
async def test_three_agents_of_three_gateways_negotiate(cluster: Cluster, protocol: str) -> None:
    players = Players(script_of(protocol), f"-{protocol}")
    for name, home in HOMES.items():
        await players.connect(name, cluster.token(name), cluster.gateways[home].life.address)
    await cluster.until_located({f"agent://{name}" for name in NAMES})
    try:
        await players.call()
        await players.play(hearing=True)
        await players.is_played()
    finally:
        await players.close()


async def test_a_move_that_another_gateway_refuses_comes_back_to_its_party(
    cluster: Cluster,
) -> None:
    """The home of the responder takes the move, the home of the initiator judges it."""
    gateways = {name: cluster.gateways[home].life.address for name, home in HOMES.items()}
    alice, bob = (
        llmx.Agent(
            f"agent://{name}-late",
            gateways[name],
            token=cluster.token(f"{name}-late"),
            consents=["*"],
        )
        for name in ("alice", "bob")
    )
    refused: list[str] = []

    @bob.on_bargain
    async def sell(bargain: llmx.Bargain) -> None:
        async for turn in bargain:
            late = bargain.refused
            try:
                if late is not None:
                    raise late
                await bargain.propose(value=60 if turn.round < 3 else 70)
            except llmx.Refused as error:  # at once, or when it had been taken
                refused.append(error.code)
                await bargain.accept()

    async with bob, alice:
        await cluster.until_located({alice.agent_id, bob.agent_id})
        call = {"reply_within": 20, "bargaining": {"must_concede": True}}
        async with alice.bargain(call, to=bob.agent_id) as bargain:
            outcome = await bargain.play(lambda _: llmx.Propose(value=30))
    assert refused == ["MUST_CONCEDE"]
    assert outcome.agreement is not None and outcome.agreement.value == 30
