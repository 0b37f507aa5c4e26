"""The market service: what an operator sees of a tenant's market, and how agents are rated."""

from __future__ import annotations

import re
import secrets
from math import isfinite
from typing import Any, Final

import grpc

from gateway.governance import Governance
from gateway.governing.keeping import KeepError
from gateway.methods import INVALID, Authenticate, check, end, handlers_of, operator
from gateway.session import Context
from llmx.v1 import market_service_pb2 as messages
from llmx.v1.market_pb2 import Evenness, Market, Ring, Standing
from llmx.v1.market_service_pb2_grpc import MarketServiceServicer

AGENT: Final = re.compile(r"agent://[A-Za-z0-9][A-Za-z0-9._~/@:-]{0,246}")
STANDINGS_MAX: Final = 1_000
KEY_LENGTH_MAX: Final = 128
REQUEST_BYTES_MAX: Final = 4 * 1024


class MarketService(MarketServiceServicer):
    """Serves llmx.v1.MarketService."""

    def __init__(self, authenticate: Authenticate, governance: Governance) -> None:
        """Serve what `governance` knows."""
        self._authenticate = authenticate
        self._governance = governance

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the methods for a server, which look at a request's size before its content."""
        return handlers_of(self, messages, REQUEST_BYTES_MAX)

    async def ShowMarket(
        self, request: messages.ShowMarketRequest, context: Context
    ) -> messages.ShowMarketResponse:
        """See market_service.proto."""
        tenant = (await operator(self._authenticate, context)).tenant
        governance = self._governance
        found = await governance.suspects(tenant)
        market = Market(
            evenness=[
                Evenness(of=of, index=one.index, agents=one.parties, nothing=one.nothing)
                for of, one in governance.evenness(tenant).items()
            ],
            standings=self._standings(tenant),
            rings=[Ring(market=name, agent_ids=sorted(ring)) for name, ring in found],
            probes=governance.probes_total,
        )
        market.window.FromNanoseconds(int(governance.rules.window * 1e9))
        return messages.ShowMarketResponse(market=market)

    async def RateAgent(
        self, request: messages.RateAgentRequest, context: Context
    ) -> messages.RateAgentResponse:
        """See market_service.proto."""
        tenant = (await operator(self._authenticate, context)).tenant
        agent, claimed, realised = request.agent_id, request.claimed, request.realised
        named = AGENT.fullmatch(agent) is not None
        await check(context, named, INVALID, f"agent_id={agent[:80]}: must be like agent://bob")
        await check(
            context,
            isfinite(claimed) and claimed > 0,
            INVALID,
            f"claimed={claimed:g}: must be above 0, and finite",
        )
        await check(
            context,
            isfinite(realised) and realised >= 0,
            INVALID,
            f"realised={realised:g}: must be 0 or more, and finite",
        )
        too_long = f"key: at most {KEY_LENGTH_MAX} characters"
        await check(context, len(request.key) <= KEY_LENGTH_MAX, INVALID, too_long)
        task = f"operator/{tenant}/{request.key or secrets.token_hex(8)}"
        try:
            await self._governance.keep_rating(tenant, agent, claimed, realised, task)
        except KeepError as error:
            await end(context, grpc.StatusCode.UNAVAILABLE, f"{error}; rate again with the key")
        return messages.RateAgentResponse(standing=self._standing(tenant, agent))

    async def GetStanding(
        self, request: messages.GetStandingRequest, context: Context
    ) -> messages.GetStandingResponse:
        """See market_service.proto."""
        identity = await self._authenticate(context)
        agent = request.agent_id or identity.agent_id
        if agent != identity.agent_id:
            await operator(self._authenticate, context)
        named = AGENT.fullmatch(agent) is not None
        await check(context, named, INVALID, f"agent_id={agent[:80]}: must be like agent://bob")
        return messages.GetStandingResponse(standing=self._standing(identity.tenant, agent))

    def _standings(self, tenant: str) -> list[Standing]:
        governance = self._governance
        agents = governance.book(tenant).winners(governance.now())
        agents |= governance.ratings(tenant).known().keys()
        return [self._standing(tenant, agent) for agent in sorted(agents)[:STANDINGS_MAX]]

    def _standing(self, tenant: str, agent: str) -> Standing:
        governance = self._governance
        had = governance.book(tenant).standing((agent,), governance.now()).of(agent)
        rating = governance.ratings(tenant).of(agent)
        return Standing(
            agent_id=agent,
            awards=had.awards,
            utility=had.utility,
            rating=rating.rating,
            tasks=rating.tasks,
            multiplier=governance.prices.highest(tenant, agent, governance.now()),
        )
