"""Durable negotiations whose awards hold something, over several lives of their gateway.

The ledger is the same in all lives, as a file or etcd is; the gateway's own store is a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.members import Member
from gateway.restoration import restore
from gateway.store import Store
from gateway.store_file import open_store_file
from llmx.v1.envelope_pb2 import Act, Envelope
from policy.memory_store import Memory
from policy.states import Phase
from tests.support.gateway_parts import envelope, stream_of
from tests.support.kept_parts import KeptParts
from tests.support.market_parts import Market, SlowStore, bid, cfp, connect

BEGIN = 1755801900.0


class Life:
    """One life of a gateway."""

    def __init__(self, parts: KeptParts, market: Market) -> None:
        self.parts = parts
        self.market = market

    async def settled(self) -> None:
        """Wait until disk, ledger and shards have nothing left to do."""
        for _ in range(4):
            await self.parts.settled()
            await self.market.settle()

    async def bargain(self, **body: object) -> str:
        """Let alice call durably, and both offer; returns the negotiation."""
        alice, bob, carol = (self.parts.join(name) for name in ("alice", "bob", "carol"))
        call = cfp("alice", "bob", "carol", **body)
        call.durable = True
        await self.parts.send(alice, call)
        assert not stream_of(alice).codes(), stream_of(alice).refusals
        negotiation_id = stream_of(alice).opened[-1].negotiation_id
        for member, name, value in ((bob, "bob", 30.0), (carol, "carol", 40.0)):
            await self.parts.send(member, bid(name, negotiation_id, value))
        return negotiation_id

    async def accepts(self, name: str) -> list[int]:
        """Return the accepts that wait for an agent."""
        owner = self.parts.members.tenant("acme").members[f"agent://{name}"]
        kept = await self.parts.mailbox.take(owner.key, 100, 1 << 20)
        acts = [Envelope.FromString(one.envelope).act for one in kept]
        return [act for act in acts if act == Act.ACT_ACCEPT]

    def phase(self, negotiation_id: str) -> Phase:
        """Return where a negotiation stands."""
        tenant = self.parts.members.tenant("acme")
        shard = self.parts.negotiations.shard_of(negotiation_id, tenant)
        assert shard is not None
        state = shard.table.state(negotiation_id)
        assert state is not None
        return state.phase


@asynccontextmanager
async def life(path: Path, memory: Memory, now: float = BEGIN) -> AsyncIterator[Life]:
    """Begin a life, which ends without a word."""
    disk = Store(open_store_file(path), retry_first=0.02)
    disk.start()
    try:
        parts = KeptParts(store=disk)
        parts.now = now
        ledger = SlowStore(memory)
        settlement = connect(parts, ledger)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(settlement.chains.run())
            await restore(
                disk, parts.roster, parts.mailbox, parts.members, parts.negotiations, parts.now
            )
            yield Life(parts, Market(parts, ledger, settlement))
            working.cancel()
    finally:
        await disk.close()


async def equipped(one: Life) -> None:
    await one.market.give("alice", 100)
    await one.market.resource("gpu", 4)


async def credit(one: Life) -> tuple[float, float]:
    return await one.market.credit("alice")


def never(*_: object) -> None:
    """Do what a gateway does that is dead."""


@pytest.mark.parametrize(
    ("later", "told", "left"), [(5.0, [Act.ACT_ACCEPT], (70, 0)), (90.0, [], (100, 0))]
)
async def test_an_award_that_was_not_written_is_written_after_a_restart_unless_its_time_is_over(
    tmp_path: Path, later: float, told: list[Act], left: tuple[float, float]
) -> None:
    """N-7.10: the gateway died before; what it would lock is over after 60 seconds."""
    path, memory = tmp_path / "s.db", Memory()
    async with life(path, memory) as first:
        await equipped(first)
        first.market.settlement.chains.add = never  # type: ignore[method-assign]
        negotiation_id = await first.bargain()
        await first.parts.settled()
        assert first.phase(negotiation_id) is Phase.SETTLING
    async with life(path, memory, BEGIN + later) as second:
        second.parts.run()
        assert second.phase(negotiation_id) is Phase.SETTLING, "its deadline waits"
        await second.settled()
        assert await second.accepts("bob") == told
        assert await credit(second) == left


async def test_an_award_that_was_written_and_told_to_nobody_is_told_after_a_restart(
    tmp_path: Path,
) -> None:
    """N-7.10: the gateway died between; it stays one award, however long nobody was there."""
    path, memory = tmp_path / "s.db", Memory()
    async with life(path, memory) as first:
        await equipped(first)
        first.market.settlement._post = never  # type: ignore[method-assign]
        negotiation_id = await first.bargain()
        await first.settled()
        assert await credit(first) == (70, 0)
        assert first.phase(negotiation_id) is Phase.SETTLING
    async with life(path, memory, BEGIN + 3600) as second:
        await second.settled()
        assert await credit(second) == (70, 0)
        assert await second.accepts("bob") == [Act.ACT_ACCEPT]
    async with life(path, memory, BEGIN + 3600) as third:
        await third.settled()
        assert await credit(third) == (70, 0)
        assert third.market.settlement.settled == 0, "there is nothing left to ask for"


@pytest.mark.parametrize(("done", "left"), [(True, (70, 0)), (False, (100, 0))])
async def test_what_is_owed_to_the_ledger_is_paid_or_given_back_after_a_restart(
    tmp_path: Path, done: bool, left: tuple[float, float]
) -> None:
    """N-7.3: the report was heard, and the gateway died before the ledger was."""
    path, memory = tmp_path / "s.db", Memory()
    async with life(path, memory) as first:
        await equipped(first)
        negotiation_id = await first.bargain(report_within=60)
        await first.settled()
        assert await credit(first) == (70, 30)
        first.market.settlement.chains.add = never  # type: ignore[method-assign]
        bob = first.parts.members.tenant("acme").members["agent://bob"]
        assert isinstance(bob, Member)
        report = envelope(
            "bob",
            Act.ACT_INFORM,
            msg_id="report",
            negotiation_id=negotiation_id,
            body={"result": {}, "done": done},
        )
        await first.parts.send(bob, report)
        assert await credit(first) == (70, 30)
    async with life(path, memory, BEGIN + 10) as second:
        await second.settled()
        assert await credit(second) == left
        assert await second.market.booked("gpu") == []
        assert not second.market.settlement._known


async def test_an_award_that_was_called_off_stays_so_after_a_restart(tmp_path: Path) -> None:
    """N-7.10: nobody knew whether it was written when the gateway died; it is not asked for."""
    path, memory = tmp_path / "s.db", Memory()
    async with life(path, memory) as first:
        await equipped(first)
        first.market.settlement.chains.add = never  # type: ignore[method-assign]
        negotiation_id = await first.bargain()
        first.parts.now += 10
        first.parts.run()
        await first.parts.settled()
        assert first.phase(negotiation_id) is Phase.NO_AWARD
    async with life(path, memory, BEGIN + 11) as second:
        await second.settled()
        assert second.phase(negotiation_id) is Phase.NO_AWARD
        assert await credit(second) == (100, 0)
        [void] = [one for one in second.market.store.asked if one.key.startswith("settle:")]
        assert not void.changes


async def test_a_negotiation_without_stakes_has_nothing_to_take_up(tmp_path: Path) -> None:
    path, memory = tmp_path / "s.db", Memory()
    async with life(path, memory) as first:
        await first.bargain(resources=None, credit=None)
        await first.bargain(report_within=60, msg_id="open")
    async with life(path, memory, BEGIN + 1) as second:
        await second.settled()
