"""The market service: who may ask, what is told, what cannot be rated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from gateway.auth import Identity
from gateway.governance import Governance, GovernanceRules
from gateway.governing.keeping import KeepError
from gateway.market_service import REQUEST_BYTES_MAX, MarketService
from llmx.v1.market_service_pb2 import GetStandingRequest, RateAgentRequest, ShowMarketRequest
from policy.probing import ProbingRule
from policy.rings import RingWatch
from tests.support.fake_streams import Aborted, FakeStream
from tests.support.gateway_parts import NOW, Parts

CONTEXT = cast(Any, FakeStream())


class Desk:
    """A service, and who asks it."""

    def __init__(self, *roles: str) -> None:
        parts = Parts()
        parts.join("bob", tenant="acme")
        rules = GovernanceRules(window=60.0, probing=ProbingRule(rate=1.0))
        self.governance = Governance(rules, "gw", b"s" * 32, parts.members, lambda: NOW)
        identity = SimpleNamespace(agent_id="agent://op", tenant="acme", roles=frozenset(roles))

        async def authenticate(context: Any) -> Identity:
            return cast(Identity, identity)

        self.service = MarketService(cast(Any, authenticate), self.governance)

    async def rate(self, agent: str, claimed: float, realised: float) -> Any:
        request = RateAgentRequest(agent_id=agent, claimed=claimed, realised=realised)
        return (await self.service.RateAgent(request, CONTEXT)).standing


async def test_an_operator_sees_what_the_tenants_agents_had() -> None:
    desk = Desk("operator")
    desk.governance.book("acme").note_award("agent://carol", 4.0, NOW)
    desk.governance.book("other").note_award("agent://zoe", 9.0, NOW)
    desk.governance.rate("acme", "agent://bob", 2, 1)
    market = (await desk.service.ShowMarket(ShowMarketRequest(), CONTEXT)).market
    assert market.window.seconds == 60
    assert [(one.agent_id, one.awards, one.utility) for one in market.standings] == [
        ("agent://bob", 0, 0),
        ("agent://carol", 1, 4),
    ]
    assert market.standings[0].rating == pytest.approx(0.95)
    assert {one.of: (one.index, one.agents) for one in market.evenness} == {
        "awards": (0.5, 2),
        "utility": (0.5, 2),
        "latency": (1, 0),
    }
    assert market.evenness[2].nothing


async def test_rings_are_told_with_their_market(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk("operator")
    monkeypatch.setattr(RingWatch, "rings", lambda self: [frozenset({"agent://b", "agent://a"})])
    desk.governance._watches["acme|procure gpu"] = RingWatch(desk.governance.rules.rings)
    desk.governance._watches["other|procure"] = RingWatch(desk.governance.rules.rings)
    (ring,) = (await desk.service.ShowMarket(ShowMarketRequest(), CONTEXT)).market.rings
    assert (ring.market, list(ring.agent_ids)) == ("procure gpu", ["agent://a", "agent://b"])


async def test_a_rating_is_of_the_operators_tenant() -> None:
    desk = Desk("operator")
    told = await desk.rate("agent://bob", 10, 0)
    assert (told.rating, told.tasks) == (pytest.approx(0.9), 1)
    assert desk.governance.ratings("other").of("agent://bob").tasks == 0


@pytest.mark.parametrize(
    ("agent", "claimed", "realised", "what"),
    [
        ("bob", 1, 1, "agent_id=bob"),
        ("agent://bob", 0, 1, "claimed=0"),
        ("agent://bob", float("inf"), 1, "claimed=inf"),
        ("agent://bob", 1, -1, "realised=-1"),
        ("agent://bob", 1, float("nan"), "realised=nan"),
    ],
)
async def test_what_cannot_be_rated_is_told(
    agent: str, claimed: float, realised: float, what: str
) -> None:
    with pytest.raises(Aborted, match=what) as caught:
        await Desk("operator").rate(agent, claimed, realised)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_cannot_be_kept_is_told_and_may_be_rated_again() -> None:
    desk = Desk("operator")

    async def keep(tenant: str, agent: str, claimed: float, realised: float, task: str) -> None:
        assert (tenant, agent, task) == ("acme", "agent://bob", "operator/acme/job-7")
        raise KeepError("the disk does not take it")

    desk.governance.keep_rating = keep
    request = RateAgentRequest(agent_id="agent://bob", claimed=1, realised=1, key="job-7")
    with pytest.raises(Aborted, match="the disk does not take it; rate again") as caught:
        await desk.service.RateAgent(request, CONTEXT)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    request.key = "k" * 129
    with pytest.raises(Aborted, match="at most 128"):
        await desk.service.RateAgent(request, CONTEXT)


async def test_an_agent_sees_how_it_stands_itself_and_an_operator_anybody() -> None:
    desk = Desk()
    desk.governance.rate("acme", "agent://op", 2, 1)
    own = (await desk.service.GetStanding(GetStandingRequest(), CONTEXT)).standing
    assert (own.agent_id, own.tasks, own.multiplier) == ("agent://op", 1, 1.0)
    other = GetStandingRequest(agent_id="agent://bob")
    with pytest.raises(Aborted, match="is no operator"):
        await desk.service.GetStanding(other, CONTEXT)
    found = (await Desk("operator").service.GetStanding(other, CONTEXT)).standing
    assert (found.agent_id, found.rating) == ("agent://bob", 1.0)


async def test_nobody_else_sees_or_rates() -> None:
    """An agent that could rate would rate itself."""
    desk = Desk()
    with pytest.raises(Aborted, match="is no operator") as caught:
        await desk.rate("agent://bob", 1, 1)
    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(Aborted):
        await desk.service.ShowMarket(ShowMarketRequest(), CONTEXT)


async def test_a_request_that_is_too_large_is_not_read() -> None:
    handlers = Desk("operator").service.handlers()
    assert handlers.keys() == {"ShowMarket", "RateAgent", "GetStanding"}
    rate = handlers["RateAgent"]
    small = RateAgentRequest(agent_id="agent://bob", claimed=1, realised=1)
    assert rate.request_deserializer(small.SerializeToString()) == small
    assert (await rate.unary_unary(small, CONTEXT)).standing.tasks == 1
    large = rate.request_deserializer(bytes(REQUEST_BYTES_MAX + 1))
    with pytest.raises(Aborted, match="too large"):
        await rate.unary_unary(large, CONTEXT)
