"""The inside of a gateway with a ledger in memory, which may be away, slow, or shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from gateway.calls import CallLimits
from gateway.commits import PROJECT, Owner, plain
from gateway.members import Member
from gateway.settlement import Settlement
from gateway.staked_calls import StakedCalls
from llmx.v1.envelope_pb2 import Act, Envelope
from policy.judging import Writer
from policy.memory_store import Memory, MemoryStore
from policy.states import Negotiation
from policy.store import Commit, Committed, Mint, Refused, SetBudget, SetResource
from tests.support.gateway_parts import Parts, envelope, received, stream_of

TENANT = "acme"


class SlowStore(MemoryStore):
    """A store that answers when it is told to, and notes what it was asked."""

    def __init__(self, memory: Memory | None = None, gateway_id: str = "gw") -> None:
        super().__init__(Writer(gateway_id), memory)
        self.open = asyncio.Event()
        self.open.set()
        self.asked: list[Commit] = []

    async def commit(self, commit: Commit) -> Committed | Refused:
        await self.open.wait()
        self.asked.append(commit)
        return await super().commit(commit)


class Market:
    """One gateway with a ledger."""

    def __init__(self, parts: Parts, store: SlowStore, settlement: Settlement) -> None:
        self.parts = parts
        self.store = store
        self.settlement = settlement
        self._commits = 0

    async def settle(self) -> None:
        """Run shards and ledger until neither has anything left to do."""
        self.parts.run()
        while len(self.settlement.chains):
            await self.settlement.finished()
            self.parts.run()

    async def look(self) -> None:
        """Let the ledger work for as long as it can without waiting, and run the shards."""
        for _ in range(50):
            await asyncio.sleep(0)  # a turn of the loop: nothing here waits for a clock
        self.parts.run()

    async def give(self, agent: str, credits_: float) -> None:
        """Give an agent credit."""
        await self._operate(Mint(f"{TENANT}|agent://{agent}", round(credits_ * 1_000_000)))

    async def budget(self, name: str, credits_: float, seconds: float | None = 3600.0) -> None:
        """Make a budget: of an agent, or of a project that has no address."""
        full = name if name.startswith("agent://") else PROJECT + name
        await self._operate(SetBudget(f"{TENANT}|{full}", round(credits_ * 1_000_000), seconds))
        self.settlement.budgets.forget()

    async def resource(self, name: str, units: int) -> None:
        """Register a resource."""
        await self._operate(SetResource(f"{TENANT}|{name}", units))

    async def _operate(self, change: Mint | SetBudget | SetResource) -> None:
        self._commits += 1
        key = f"operator:{self._commits}:{self.parts.gateway_id}"
        answer = await self.store.commit(Commit(key, self.parts.now, (change,)))
        assert isinstance(answer, Committed), answer

    async def credit(self, agent: str) -> tuple[float, float]:
        """Return what an agent has, and what of its is held."""
        balance = await self.store.balance(f"{TENANT}|agent://{agent}")
        return balance.available / 1_000_000, balance.held / 1_000_000

    async def booked(self, name: str) -> list[tuple[str, int, int]]:
        """Return who has how many units of a resource, with the fencing number."""
        resource = await self.store.resource(f"{TENANT}|{name}")
        assert resource is not None
        return [
            (plain(one.agent).removeprefix("agent://"), len(one.units), one.fencing)
            for one in resource.bookings
            if not one.is_over(self.parts.now)
        ]


@asynccontextmanager
async def market(
    parts: Parts | None = None, store: SlowStore | None = None, **given: Any
) -> AsyncIterator[Market]:
    """Run a gateway with a ledger."""
    parts = Parts(**given) if parts is None else parts
    store = SlowStore(gateway_id=parts.gateway_id) if store is None else store
    settlement = connect(parts, store)
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(settlement.chains.run())
        yield Market(parts, store, settlement)
        working.cancel()


def connect(parts: Parts, store: SlowStore) -> Settlement:
    """Let a gateway settle its awards."""
    negotiations = parts.negotiations
    settlement = Settlement(parts.gateway_id, store, negotiations.perform, lambda: parts.now)
    settlement.is_told = lambda entry: negotiations.is_known(entry.negotiation_id)
    negotiations.staked = StakedCalls(settlement, parts.members)
    negotiations.gate = settlement.takes
    parts.admission._call_limits = CallLimits(3600.0, 30.0, has_ledger=True)
    return settlement


def owner(parts: Parts) -> Owner:
    """Return whose calls those of the tests are."""
    tenant = parts.members.tenant(TENANT)
    return Owner(tenant.name, tenant.tag)


def cfp(initiator: str, *to: str, msg_id: str = "call", **body: Any) -> Envelope:
    """Return a call for four units and the price."""
    given = {
        "reply_within": 10,
        "policy": "high",
        "resources": [{"resource": "gpu", "units": 4, "seconds": 60}],
        "credit": {},
    } | body
    given = {name: said for name, said in given.items() if said is not None}
    addresses = [f"agent://{name}" for name in to]
    return envelope(initiator, Act.ACT_CFP, *addresses, msg_id=msg_id, body=given)


def bid(agent: str, negotiation_id: str, value: float, **body: Any) -> Envelope:
    """Return an offer."""
    return envelope(
        agent,
        Act.ACT_OFFER,
        msg_id=f"{agent}-{negotiation_id[-27:-11]}",
        negotiation_id=negotiation_id,
        body={"value": value, **body},
    )


class Cast:
    """Alice, who calls, and two who offer."""

    def __init__(self, here: Market) -> None:
        self.here = here
        self.alice, self.bob, self.carol = (here.parts.join(n) for n in ("alice", "bob", "carol"))

    def call(self, **body: Any) -> str:
        """Let alice call both; returns the negotiation."""
        assert self.here.parts.admit(self.alice, cfp("alice", "bob", "carol", **body))
        assert not stream_of(self.alice).codes(), stream_of(self.alice).codes()
        return stream_of(self.alice).opened[-1].negotiation_id

    def offer(self, negotiation_id: str, bob: float, carol: float, **body: Any) -> None:
        """Let both offer, so that the round closes."""
        for member, name, value in ((self.bob, "bob", bob), (self.carol, "carol", carol)):
            received(member, self.here.parts.now)
            assert self.here.parts.admit(member, bid(name, negotiation_id, value, **body))

    def heard(self, member: Member) -> list[str]:
        """Return what an agent has heard of the exchange since it was asked last."""
        return [
            word
            for one in received(member, self.here.parts.now)
            if (word := said(one)) and one.sender.startswith("gateway://")
        ]

    def state(self, negotiation_id: str) -> Negotiation:
        """Return where a negotiation stands."""
        shard = self.here.parts.negotiations.shard_of(negotiation_id, self.alice.tenant)
        assert shard is not None
        state = shard.table.state(negotiation_id)
        assert state is not None
        return state


def said(one: Envelope) -> str:
    """Return what an agent was told, in a word or three."""
    body = orjson.loads(one.payload)
    match one.act:
        case Act.ACT_ACCEPT:
            return f"accepted at {body['price']:g}"
        case Act.ACT_REJECT:
            return f"rejected: {body['reason']}"
        case Act.ACT_INFORM if "outcome" in body:
            winners = [won["agent"].removeprefix("agent://") for won in body["outcome"]["winners"]]
            return " ".join([f"{body['outcome']['state']}:", *winners])
        case _:
            return ""
