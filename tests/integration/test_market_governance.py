"""What a gateway governs beside the rules of a call: reserves, noise, tokens, reports."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

import llmx
from llmx.tokens import Tokens
from llmx.v1 import token_service_pb2 as tokens
from llmx.v1.envelope_pb2 import Act
from llmx.v1.ledger_service_pb2 import GetStatementRequest, GiveCreditRequest
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceStub
from llmx.v1.market_service_pb2 import GetStandingRequest
from llmx.v1.market_service_pb2_grpc import MarketServiceStub
from llmx.v1.token_service_pb2_grpc import TokenServiceStub
from tests.support.gateways import ROOT, Gateway, command, environment, running
from tests.support.raw_agent import Crowd, RawAgent, refused

pytestmark = pytest.mark.slow

RATE, BURST = 40.0, 20
CATALOGUE = f"""
[[resources]]
name = "gpu"
units = 4
reserve = 0.25

[[resources]]
name = "cpu"
units = 64

[[limits]]
name = "search"
rate = {RATE}
burst = {BURST}
reserve = 0.2
purse_max = 0.5
"""
SECONDS_MAX = 8.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a ledger, a reserve, a shared limit, and a price of noise."""
    folder = tmp_path_factory.mktemp("governance")
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(CATALOGUE)
    settings = {
        "market__store": "memory",
        "market__catalogue": catalogue,
        "mailbox__file": folder / "kept.db",
        "governance__noise_alpha": 1,
        "governance__noise_half_life_seconds": 3600,
    }
    with running(folder / "gateway", **settings) as gateway:
        yield gateway


async def give(gateway: Gateway, agent: RawAgent, credits_: int) -> None:
    """Give an agent credit, as an operator does."""
    token = gateway.token("operator", roles=("operator",))
    metadata = (("authorization", f"Bearer {token}"),)
    request = GiveCreditRequest(agent_id=agent.address, micros=credits_ * 1_000_000)
    await LedgerServiceStub(agent.channel).GiveCredit(request, metadata=metadata)


async def balance(agent: RawAgent) -> int:
    """Return the credit of an agent, in millionths."""
    asked = LedgerServiceStub(agent.channel).GetStatement(
        GetStatementRequest(), metadata=agent.metadata
    )
    account = (await asked).account
    assert account.held_micros == 0, account
    return account.available_micros


class Purse:
    """The tokens of one agent."""

    def __init__(self, agent: RawAgent) -> None:
        self.agent = agent

    async def ask(self, name: str, request: Any) -> Any:
        method = getattr(TokenServiceStub(self.agent.channel), name)
        return await method(request, metadata=self.agent.metadata)

    async def buy(self, count: int, price: int) -> Any:
        request = tokens.BidForTokensRequest(limit="search", tokens=count, price_micros=price)
        return (await self.ask("BidForTokens", request)).sale

    async def spend(self, count: int = 1) -> int:
        """Spend tokens; returns how many, none when the exchange has refused."""
        request = tokens.SpendTokensRequest(limit="search", tokens=count)
        try:
            await self.ask("SpendTokens", request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            return 0
        return count

    async def limit(self) -> Any:
        (found,) = (await self.ask("ListLimits", tokens.ListLimitsRequest())).limits
        return found


async def test_only_the_system_class_is_awarded_what_is_reserved(crowd: Crowd) -> None:
    """N-8.3: three of four units are for everybody, whatever a normal agent offers."""
    alice = await crowd.open("alice")
    normal = await crowd.contractors("bob", "carol")
    (watchdog,) = await crowd.contractors("watchdog", claims={"system": True})
    needs = [{"resource": "gpu", "units": 2, "seconds": 600}]

    async def award(*bids: tuple[RawAgent, float], units: int = 2) -> dict[str, Any]:
        needs[0]["units"] = units
        opened = await alice.call_for(
            crowd.topic(), resources=needs, direction="allocate", policy="high"
        )
        for agent in (*normal, watchdog):
            bid = dict(bids).get(agent)
            if bid is None:
                await agent.do(Act.ACT_REFUSE, opened.negotiation_id)
            else:
                await agent.offer(opened.negotiation_id, bid)
        return await alice.outcome(opened.negotiation_id)

    assert (await award((normal[0], 5.0)))["winners"][0]["agent"] == normal[0].address
    # One unit is left for everybody: two are too many for carol, and not for the watchdog.
    outcome = await award((normal[1], 9.0), (watchdog, 1.0))
    assert outcome["winners"][0]["agent"] == watchdog.address
    outcome = await award((normal[1], 9.0), units=1)
    assert outcome["reason"] == "RESOURCE_GONE", outcome


async def test_who_uses_more_than_its_share_pays_a_multiple(crowd: Crowd, gateway: Gateway) -> None:
    """N-8.5: after 30 and 10 units the fair share is 20, so the first pays one and a half."""
    host = await crowd.open("host")
    loud, quiet = await crowd.contractors("loud", "quiet")
    for agent in (loud, quiet):
        await give(gateway, agent, 100)

    async def round_(agent: RawAgent, other: RawAgent, units: int) -> dict[str, Any]:
        opened = await host.call_for(
            crowd.topic(),
            direction="allocate",
            resources=[{"resource": "cpu", "units": units, "seconds": 60}],
            credit={"payer": "winner"},
            policy="high",
        )
        await other.do(Act.ACT_REFUSE, opened.negotiation_id)
        await agent.offer(opened.negotiation_id, 10.0)
        outcome = await host.outcome(opened.negotiation_id)
        winner: dict[str, Any] = outcome["winners"][0]
        assert winner["agent"] == agent.address
        return winner

    assert (await round_(loud, quiet, 30))["credit"]["micros"] == 10_000_000
    assert (await round_(quiet, loud, 10))["credit"]["micros"] == 10_000_000
    control = llmx.Control(gateway.address, Tokens(loud.token))
    assert (await control.standing()).multiplier == pytest.approx(1.5, abs=0.01)
    await control.close()
    credit = (await round_(loud, quiet, 1))["credit"]
    assert credit["multiplier"] == pytest.approx(1.5, abs=0.01)
    assert credit["micros"] == pytest.approx(15_000_000, rel=0.01)
    assert await balance(loud) == 90_000_000 - credit["micros"]
    assert "multiplier" not in (await round_(quiet, loud, 1))["credit"]


async def test_tokens_are_bought_traded_and_spent_and_never_too_many(
    crowd: Crowd, gateway: Gateway
) -> None:
    """N-8.2, N-8.4: what the API sees is at most its burst and what the rate brought."""
    began = time.monotonic()
    agents = [Purse(await crowd.open(name)) for name in ("bob", "carol")]
    system = Purse(await crowd.open("watchdog", claims={"system": True}))
    bob, carol = agents
    for one in agents:
        await give(gateway, one.agent, 100)
    assert await bob.spend() == 0, "nobody has tokens that it did not buy"

    async with asyncio.timeout(SECONDS_MAX):
        while (await bob.buy(1, 1_000_000)).tokens == 0:
            pass  # the pool begins empty, and a sale comes each second
        before = await balance(bob.agent)
        sales = await asyncio.gather(bob.buy(10, 1_000_000), carol.buy(10, 3_000_000))
    # Whether both were in one sale or in two, each got some, and the reserve was not sold.
    own, others = sales
    assert own.tokens and others.tokens
    assert own.tokens + others.tokens <= 2 * BURST * 0.8
    price = own.price_micros
    assert price <= 1_000_000 and others.price_micros <= 3_000_000
    assert await balance(bob.agent) == before - own.tokens * price

    held, wallet = (await bob.limit()).held, await balance(carol.agent)
    spent = await carol.spend(others.tokens)
    offer = tokens.OfferTokensRequest(limit="search", tokens=2, price_micros=4_000_000)
    made = (await bob.ask("OfferTokens", offer)).offer
    assert (await bob.limit()).held == held - 2
    taken = tokens.TakeTokensRequest(limit="search", offer_id=made.offer_id)
    assert (await carol.ask("TakeTokens", taken)).held == 2
    assert await balance(carol.agent) == wallet - 4_000_000
    assert await balance(bob.agent) == before - own.tokens * price + 4_000_000
    with pytest.raises(grpc.aio.AioRpcError, match="no offer of this id"):
        await bob.ask("TakeTokens", taken)

    spent += await carol.spend(2)
    assert spent == others.tokens + 2, "what was bought and what was taken can be spent"
    spent += await system.spend(2)
    assert spent == others.tokens + 4, "the system class takes from the pool"
    for _ in range(30):
        spent += sum(await asyncio.gather(bob.spend(3), carol.spend(3), system.spend(1)))
    told = await bob.limit()
    assert told.spent == spent
    assert spent + told.held + told.pool <= BURST + RATE * (time.monotonic() - began)


async def test_an_operator_sees_the_limits_that_agents_share(gateway: Gateway) -> None:
    token = gateway.token("operator", roles=("operator",))
    process = await asyncio.create_subprocess_exec(
        *command("ctl", "market", "tokens", "--json"),
        env=environment(gateway.folder) | {"LLMX_GATEWAY": gateway.address, "LLMX_TOKEN": token},
        cwd=ROOT,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    (told,) = [json.loads(line) for line in out.splitlines()]
    assert (told["limit"]["name"], told["limit"]["rate"]) == ("search", RATE)


async def test_only_the_initiator_of_an_award_reports_what_it_was_worth_and_once(
    crowd: Crowd,
) -> None:
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")

    async def award(**call: Any) -> str:
        opened = await alice.call_for(crowd.topic(), **call)
        await bob.offer(opened.negotiation_id, 10, claimed=50)
        await carol.offer(opened.negotiation_id, 20)
        await alice.outcome(opened.negotiation_id)
        return opened.negotiation_id

    unreported = await award()
    said = {"realised": 25}
    inform = alice.envelope(Act.ACT_INFORM, said, negotiation_id=unreported)
    await refused(alice, inform, "WRONG_STATE", "/envelope/act")
    done = await award(report_within=60)
    early = alice.envelope(Act.ACT_INFORM, said, negotiation_id=done)
    await refused(alice, early, "WRONG_STATE", "/envelope/act", reason="end of its work")
    await bob.do(Act.ACT_INFORM, done, {"done": True, "realised": 50})
    await alice.message(Act.ACT_INFORM, done)
    stranger = carol.envelope(Act.ACT_INFORM, said, negotiation_id=done)
    await refused(carol, stranger, "NOT_A_PARTY", "/payload/realised")
    await alice.do(Act.ACT_INFORM, done, said)
    again = alice.envelope(Act.ACT_INFORM, {"realised": 0}, negotiation_id=done)
    await refused(alice, again, "ALREADY_ANSWERED", "/payload/realised")
    stub = MarketServiceStub(bob.channel)
    async with asyncio.timeout(SECONDS_MAX):
        while not (
            found := (await stub.GetStanding(GetStandingRequest(), metadata=bob.metadata)).standing
        ).tasks:
            pass
    assert (found.tasks, found.rating) == (1, pytest.approx(0.95))
    other = GetStandingRequest(agent_id=carol.address)
    with pytest.raises(grpc.aio.AioRpcError, match="operator"):
        await stub.GetStanding(other, metadata=bob.metadata)
