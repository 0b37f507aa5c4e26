"""Two hundred durable negotiations and as many durable messages, and kill -9 in their middle."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

import llmx
from llmx.backoff import Backoff
from tests.support.mortal_gateway import MortalGateway

pytestmark = pytest.mark.slow

NEGOTIATIONS = 200
MESSAGES = 200
BIDDERS = 5
KILLS = 2
QUICK = Backoff(first=0.02, longest=0.1)


class Bidder:
    """Offers its number, hears its verdicts, and reads its mail."""

    def __init__(self, gateway: MortalGateway, number: int, progress: asyncio.Event) -> None:
        self.progress = progress
        self.name = f"agent://bidder-{number}"
        self.price = 10.0 + number
        self.agent = agent_of(gateway, f"bidder-{number}", "work")
        self.agent.on_cfp(self._offer)
        self.agent.on_outcome(self._hear)
        self.agent.on_message(self._read)
        self.verdicts: dict[str, set[bool]] = {}
        self.mail: Counter[str] = Counter()

    async def _offer(self, call: llmx.Call) -> llmx.Offer:
        return llmx.Offer(self.price)

    async def _hear(self, verdict: llmx.Verdict) -> None:
        self.verdicts.setdefault(verdict.negotiation_id, set()).add(verdict.won)
        self.progress.set()

    async def _read(self, message: llmx.Message) -> None:
        self.mail[message.text] += 1
        self.progress.set()


def agent_of(gateway: MortalGateway, name: str, *topics: str) -> llmx.Agent:
    return llmx.Agent(
        f"agent://{name}",
        gateway.life.address,
        token=gateway.life.token(name),
        backoff=QUICK,
        consents=["*"],
        topics=topics,
    )


async def test_all_end_in_one_outcome_and_every_message_is_read_once(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with MortalGateway(tmp_path, mailbox__file=store, limits__linger_seconds=60) as gateway:
        progress = asyncio.Event()
        bidders = [Bidder(gateway, number, progress) for number in range(BIDDERS)]
        outcomes: list[llmx.Outcome] = []
        async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
            alice = agent_of(gateway, "alice")
            await alice.__aenter__()
            for bidder in bidders:
                await bidder.agent.__aenter__()

            async def negotiate() -> None:
                outcome = await alice.call({"reply_within": 60}, to="topic://work", durable=True)
                outcomes.append(outcome)
                progress.set()

            async def write(number: int) -> None:
                to = bidders[number % BIDDERS].name
                await alice.send(to, f"letter {number}", durable=True, qos="once", ttl=600)
                progress.set()

            work = [tasks.create_task(negotiate()) for _ in range(NEGOTIATIONS)]
            work += [tasks.create_task(write(number)) for number in range(MESSAGES)]
            for kill in range(1, KILLS + 1):
                while sum(task.done() for task in work) < len(work) * kill // (KILLS + 1):
                    progress.clear()
                    await progress.wait()
                await gateway.kill()
                await gateway.restart()
            await asyncio.wait(work)
            while sum(len(one.verdicts) for one in bidders) < NEGOTIATIONS * BIDDERS or (
                sum(len(one.mail) for one in bidders) < MESSAGES
            ):
                progress.clear()
                await progress.wait()
            for one in (alice, *(bidder.agent for bidder in bidders)):
                await one.__aexit__(None, None, None)

    assert len({outcome.negotiation_id for outcome in outcomes}) == NEGOTIATIONS
    assert {outcome.state for outcome in outcomes} == {"committed"}
    for bidder in bidders:
        won = {o.negotiation_id for o in outcomes if o.winners[0].agent == bidder.name}
        for outcome in outcomes:
            assert bidder.verdicts[outcome.negotiation_id] == {outcome.negotiation_id in won}
    mail = sum((bidder.mail for bidder in bidders), Counter())
    assert mail == Counter({f"letter {number}": 1 for number in range(MESSAGES)})
