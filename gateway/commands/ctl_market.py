"""`llmx ctl market …`: how evenly a tenant is served, whose word is good, what tokens cost.

All gateways are asked, and told of a rating under one key, so that it counts once where they share
what they know. Who does not answer is named on standard error, and then the exit code is 1.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from rich import box
from rich.console import Console
from rich.table import Table

from gateway.commands.access import check_gateways, token_of
from gateway.commands.admin import Reached, reached
from gateway.commands.control import OPERATOR
from gateway.commands.interrupts import run
from gateway.commands.lines import say
from gateway.commands.proto_json import plain
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from llmx.channel import Tls, open_channel
from llmx.errors import control_error
from llmx.v1 import market_service_pb2 as wire
from llmx.v1.market_pb2 import Market
from llmx.v1.market_service_pb2_grpc import MarketServiceStub
from llmx.v1.token_pb2 import TokenLimit
from llmx.v1.token_service_pb2 import ListLimitsRequest
from llmx.v1.token_service_pb2_grpc import TokenServiceStub
from policy.ledger import MICROS

CALL_SECONDS = 10.0
WIDTH_PLAIN = 160

Ask = Callable[[grpc.aio.Channel, Any], Awaitable[Any]]


class MarketCtl:
    """One use of `llmx ctl market`; every method returns the exit code."""

    def __init__(self, gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> None:
        """Take what all commands of an operator take."""
        self._gateway = gateway
        self._token = token
        self._tls: Tls = True if tls == "system" else tls
        self._as_json = as_json

    def show(self) -> int:
        """Print the market of the tenant, of every gateway."""

        async def ask(channel: grpc.aio.Channel, metadata: Any) -> Market:
            show = MarketServiceStub(channel).ShowMarket
            request = wire.ShowMarketRequest()
            answer = await show(request, metadata=metadata, timeout=CALL_SECONDS)
            market: Market = answer.market
            return market

        return self._of_all("market", ask, lambda name, told: self._tell(name, told))

    def rate(self, agent: str, claimed: float, realised: float, key: str = "") -> int:
        """Rate a task of an agent, in every gateway."""
        key = key or secrets.token_hex(8)

        async def ask(channel: grpc.aio.Channel, metadata: Any) -> Any:
            rate = MarketServiceStub(channel).RateAgent
            request = wire.RateAgentRequest(
                agent_id=agent, claimed=claimed, realised=realised, key=key
            )
            answer = await rate(request, metadata=metadata, timeout=CALL_SECONDS)
            return answer.standing

        def tell(name: str, told: Any) -> None:
            if self._as_json:
                say(json.dumps({"gateway": name, "standing": plain(told)}))
            else:
                say(f"{name}: {agent} is rated {told.rating:.3f} after {told.tasks} tasks")

        return self._of_all("market rate", ask, tell)

    def tokens(self) -> int:
        """Print the rate limits that agents share, each as the gateway tells that keeps it."""

        async def ask(channel: grpc.aio.Channel, metadata: Any) -> Any:
            list_limits = TokenServiceStub(channel).ListLimits
            request = ListLimitsRequest()
            return await list_limits(request, metadata=metadata, timeout=CALL_SECONDS)

        def tell(name: str, told: Any) -> None:
            kept = [limit for limit in told.limits if limit.gateway_id == name]
            for limit in kept if self._as_json else ():
                say(json.dumps({"gateway": name, "limit": plain(limit)}))
            if kept and not self._as_json:
                say(f"{name} keeps")
                _print(limits_table(kept))

        return self._of_all("market tokens", ask, tell)

    def _tell(self, name: str, market: Market) -> None:
        if self._as_json:
            say(json.dumps({"gateway": name, "market": plain(market)}))
            return
        window = market.window.ToTimedelta()
        say(f"{name}, what it knows of {window}; {market.probes} rounds probed")
        say("  " + ", ".join(_evenness_words(one) for one in market.evenness))
        if market.standings:
            _print(standings_table(market))
        for ring in market.rings:
            say(f"  suspected in {ring.market}: {', '.join(ring.agent_ids)}")

    def _of_all(self, command: str, ask: Ask, tell: Callable[[str, Any], None]) -> int:
        async def work() -> int:
            check_gateways(self._gateway)
            token = token_of(OPERATOR, self._token, roles=("operator",))
            async with reached(self._gateway, token, self._tls) as cluster:
                return await self._ask_each(cluster, ask, tell)

        try:
            return run(work())
        except CommandError as error:
            return complain(f"ctl {command}", error)

    async def _ask_each(self, cluster: Reached, ask: Ask, tell: Callable[[str, Any], None]) -> int:
        code = OK
        own = cluster.told.cluster.gateway_id
        for member in cluster.told.members:
            is_own = member.gateway_id == own
            address = cluster.admin.address if is_own else member.agents_address
            metadata = (("authorization", f"Bearer {await cluster.tokens.fetch()}"),)
            try:
                async with _channel(address, self._tls) as channel:
                    told = await ask(channel, metadata)
            except grpc.RpcError as error:
                reason = f"gateway {member.gateway_id} at {address}: {control_error(error)}"
                code = complain("ctl market", CommandError(reason, code=FAILED))
            else:
                tell(member.gateway_id, told)
        return code


@asynccontextmanager
async def _channel(address: str, tls: Tls) -> AsyncIterator[grpc.aio.Channel]:
    channel = open_channel(address, tls)
    try:
        yield channel
    finally:
        await channel.close()


def _evenness_words(one: Any) -> str:
    return f"{one.of} {'–' if one.nothing else format(one.index, '.2f')} of {one.agents}"


def standings_table(market: Market) -> Table:
    """Return a table of what agents had and what their word is worth."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("agent", "awards", "worth", "rating", "tasks rated", "pays"):
        table.add_column(name, justify="left" if name == "agent" else "right")
    for one in market.standings:
        table.add_row(
            one.agent_id,
            str(one.awards),
            f"{one.utility:g}",
            f"{one.rating:.3f}",
            str(one.tasks),
            f"{one.multiplier:.2f} x",
        )
    return table


def limits_table(limits: Iterable[TokenLimit]) -> Table:
    """Return a table of rate limits, what is in their pools, and what a token cost last."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("limit", "rate", "burst", "reserve", "in the pool", "spent", "price"):
        table.add_column(name, justify="left" if name == "limit" else "right")
    for one in limits:
        table.add_row(
            one.name,
            f"{one.rate:g}/s",
            f"{one.burst:g}",
            f"{one.reserve:.0%}",
            f"{one.pool:.1f}",
            str(one.spent),
            f"{one.price_micros / MICROS:g}",
        )
    return table


def _print(table: Table) -> None:
    console = Console()
    width = console.width if console.is_terminal else WIDTH_PLAIN
    Console(width=width, markup=False).print(table)
