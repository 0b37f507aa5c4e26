"""`llmx ctl market`, as far as it goes without a gateway; integration/test_market has the rest."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from rich.console import Console

from gateway.commands import ctl_market
from gateway.commands.admin import Reached
from gateway.commands.ctl_market import MarketCtl, limits_table, standings_table
from llmx.v1.admin_service_pb2 import ListMembersResponse
from llmx.v1.cluster_pb2 import Cluster, ClusterMember
from llmx.v1.market_pb2 import Evenness, Market, Ring, Standing
from llmx.v1.token_pb2 import TokenLimit

MARKET = Market(
    evenness=[Evenness(of="awards", index=0.5, agents=2), Evenness(of="latency", nothing=True)],
    standings=[Standing(agent_id="agent://bob", awards=3, utility=12.5, rating=0.4, tasks=20)],
    rings=[Ring(market="procure gpu", agent_ids=["agent://a", "agent://b"])],
    probes=7,
)
MARKET.window.FromSeconds(3600)


def test_a_market_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    MarketCtl("eu:1", None, None, as_json=False)._tell("eu", MARKET)
    told = capsys.readouterr().out
    assert "eu, what it knows of 1:00:00; 7 rounds probed" in told
    assert "awards 0.50 of 2, latency – of 0" in told
    assert "suspected in procure gpu: agent://a, agent://b" in told
    assert "agent://bob" in told and "0.400" in told


def test_a_market_is_told_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    MarketCtl("eu:1", None, None, as_json=True)._tell("eu", MARKET)
    told = json.loads(capsys.readouterr().out)
    assert told["gateway"] == "eu"
    assert told["market"]["standings"][0]["agent_id"] == "agent://bob"


def test_a_market_without_agents_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    MarketCtl("eu:1", None, None, as_json=False)._tell("eu", Market())
    assert "agent" not in capsys.readouterr().out


def test_a_table_has_a_row_for_each_agent() -> None:
    console = Console(width=100, record=True, markup=False)
    with console.capture() as shown:
        console.print(standings_table(MARKET))
    assert "agent://bob" in shown.get() and "12.5" in shown.get()


def test_a_table_of_limits_has_a_row_for_each_limit() -> None:
    limit = TokenLimit(
        name="search", rate=10, burst=50, reserve=0.2, pool=7.25, price_micros=250_000
    )
    console = Console(width=100, record=True, markup=False)
    with console.capture() as shown:
        console.print(limits_table([limit]))
    assert {"search", "10/s", "50", "20%", "7.2", "0.25"} <= set(shown.get().split())


async def test_every_gateway_is_asked_and_one_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [
        ClusterMember(gateway_id=name, agents_address=f"127.0.0.1:{port}")
        for name, port in (("eu", 1), ("us", 2))
    ]
    told = ListMembersResponse(cluster=Cluster(gateway_id="eu"), members=members)
    admin = SimpleNamespace(address="127.0.0.1:9")

    class Tokens:
        async def fetch(self) -> str:
            return "secret"

    cluster = Reached(cast(Any, admin), told, cast(Any, Tokens()), None)
    seen: list[str] = []

    async def ask(stub: Any, metadata: Any) -> str:
        assert metadata == (("authorization", "Bearer secret"),)
        seen.append("asked")
        if len(seen) > 1:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "gone"
            )
        return "fine"

    used = MarketCtl("eu:1", None, None, as_json=False)
    code = await used._ask_each(cluster, ask, lambda name, answer: seen.append(f"{name} {answer}"))
    assert code == 1
    assert seen == ["asked", "eu fine", "asked"]
    assert "gateway us at 127.0.0.1:2" in capsys.readouterr().err
    assert ctl_market.CALL_SECONDS > 0
