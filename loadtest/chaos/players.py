"""The agents of a run, as their authors would write them, and what they do all day.

A `Player` is one agent over all its lives, behind a proxy of its own. It sends plain messages
to one, to a topic and to a group, calls for proposals, answers the calls of others, and writes
into the ledger whatever it does and is told. Everything random about it is drawn from the seed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import llmx
from loadtest.chaos.ledger import Called, Failed, Fate, Handed, Judged, Ledger, Sent
from loadtest.chaos.plan import Plan
from tests.support.fault_proxy import FaultProxy

TOPICS = 5
GROUPS = 5
BACKOFF = llmx.Backoff(first=0.1, longest=2.0)
KINDS = ("direct", "topic", "group", "call")
WEIGHTS = (60, 12, 8, 10)
POLICIES = (None, "flow/low", "flow/high", {"quorum": 2})
PEACE_TTL = 20.0
WINDOW_MESSAGES = 8
RECEIPT_SHARE = 0.2
PATIENCE_SECONDS = 60.0
CONNECT_SECONDS_MAX = 60.0


class Player:
    """One agent over all its lives."""

    def __init__(
        self,
        number: int,
        plan: Plan,
        proxy: FaultProxy,
        ledger: Ledger,
        now: Callable[[], float],
        token: Callable[[str], str],
    ) -> None:
        """Describe an agent; `begin` lets it live."""
        self.name = f"a{number:02d}"
        self.address = f"agent://{self.name}"
        self.proxy = proxy
        self.topic = f"chaos-{number % TOPICS}"
        self.group = f"chaos-{number // TOPICS % GROUPS}"
        self.is_dying = False
        self._plan = plan
        self._ledger = ledger
        self._now = now
        self._token = token
        self._chance = random.Random(f"{plan.seed}/{self.name}")
        self._window = WINDOW_MESSAGES if number % 4 == 0 else 0
        self._deliveries: dict[str, llmx.Delivery] = {}
        self._life = 0
        self._written = 0
        self._in_flight = 0
        self._agent: llmx.Agent | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ life

    async def begin(self) -> None:
        """Begin a life: connect, and listen."""
        token = self._token(self.name)
        agent = llmx.Agent(
            self.address,
            self.proxy.address,
            token=token,
            topics=[self.topic],
            capabilities=["propose"],
            consents=["*"],
            backoff=BACKOFF,
            connect_timeout=CONNECT_SECONDS_MAX,
            close_timeout=0.2,
            patience=PATIENCE_SECONDS,
            window_messages=self._window,
        )
        life = self._life
        agent.on_message(lambda message: self._hear(message, life))
        agent.on_failure(self._hear_failure)
        agent.on_cfp(self._answer)
        agent.on_outcome(lambda verdict: self._judged(verdict, life))
        await agent.__aenter__()
        self._agent = agent

    async def end(self) -> None:
        """Leave in peace."""
        agent, self._agent = self._agent, None
        if agent is not None:
            await agent.__aexit__(None, None, None)

    async def die(self) -> None:
        """Die without a word, and begin another life."""
        if self.is_dying or self._agent is None:
            return
        self.proxy.refuse()
        await self._end_life()
        await self._begin_life()

    async def leave(self, seconds: float) -> None:
        """Say good-bye, stay away for a while, and begin another life."""
        if self.is_dying or self._agent is None:
            return
        left_at = self._now()
        self._ledger.absences[self.address].append((left_at, float("inf")))
        await self._end_life()
        await asyncio.sleep(seconds)
        await self._begin_life()
        self._ledger.absences[self.address][-1] = (left_at, self._now())

    async def _end_life(self) -> None:
        self.is_dying = True
        self._ledger.agent_deaths[self.address].append(self._now())
        for task in list(self._tasks):
            task.cancel()
        await self.end()
        self._life += 1
        self._written = 0

    async def _begin_life(self) -> None:
        self.proxy.heal()  # whatever was to heal it meanwhile has left it to us
        try:
            await self.begin()
        except llmx.SessionError as error:
            words = f"{self.address} could not begin life {self._life}: {error!r}"
            self._ledger.sessions_lost.append(words)
        self.is_dying = False

    def close_the_books(self) -> None:
        """Write down the receipts; more will not come."""
        for label, delivery in self._deliveries.items():
            self._ledger.receipted[label] = frozenset(delivery.delivered)

    async def watch(self) -> None:
        """Write down sessions that end for good, until cancelled."""
        while True:
            agent = self._agent
            if agent is None or self.is_dying:
                await asyncio.sleep(0.1)
                continue
            failure = await agent.closed()
            if agent is self._agent and not self.is_dying:
                self._ledger.sessions_lost.append(
                    f"{self.address} at {self._now():.3f}: {failure!r}"
                )
                return

    # ------------------------------------------------------------------ what it does

    async def play(self, others: Sequence[Player], tasks: asyncio.TaskGroup, until: float) -> None:
        """Send and call at random; what waits for an answer then is left to `tasks`."""
        while self._now() < until:
            await asyncio.sleep(self._chance.expovariate(self._plan.rate))
            full = len(self._ledger.sent) >= self._plan.messages_max
            if full or self._agent is None or self.is_dying:
                continue
            if self._in_flight >= self._plan.in_flight_max:
                self._ledger.counts["held back by the sender"] += 1
                continue
            kind = self._chance.choices(KINDS, WEIGHTS)[0]
            doing = self._call() if kind == "call" else self._send(kind, others)
            self._in_flight += 1
            task = tasks.create_task(doing)
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._in_flight -= 1

    async def greet(self, others: Sequence[Player]) -> None:
        """Send a message to each of some others, now that nothing is wrong any more."""
        for other in others:
            if other is not self:
                await self._send("direct", [other], in_peace=True)

    async def _send(self, mode: str, others: Sequence[Player], *, in_peace: bool = False) -> None:
        agent = self._agent
        if agent is None:
            return
        to, owed_to, allowed = self._audience(mode, others)
        self._written += 1
        chance, low, high = self._chance, *self._plan.ttl_seconds
        message = Sent(
            label=f"{self.name}.{self._life}.{self._written}",
            sender=self.address,
            order=(self._life, self._written),
            mode=mode,
            owed_to=owed_to,
            allowed=allowed,
            once=chance.random() < 0.5,
            durable=chance.random() < 0.4,
            ttl=PEACE_TTL if in_peace else round(chance.uniform(low, high), 1),
            sent_at=self._now(),
            in_peace=in_peace,
        )
        self._ledger.send(message)
        filling = "x" * int(chance.paretovariate(1.2) * 50 % 20_000)
        terms: Mapping[str, Any] = {
            "ttl": message.ttl,
            "qos": "once" if message.once else "at-least-once",
            "durable": message.durable,
            "receipt": "delivered" if chance.random() < RECEIPT_SHARE else None,
        }
        try:
            told = await agent.send(to, f"{message.label} {filling}"[:4000], **terms)
        except llmx.Refused as refused:
            self._ledger.settle(message, Fate.REFUSED, self._now(), code=refused.code)
        except llmx.SessionError:  # `watch` writes down why, unless we die
            self._ledger.settle(message, Fate.UNKNOWN, self._now())
        except asyncio.CancelledError:
            if not self.is_dying:
                raise  # the run is over, and nobody has answered
            self._ledger.settle(message, Fate.UNKNOWN, self._now())
        else:
            if isinstance(told, llmx.Delivery):
                self._deliveries[message.label] = told
                told = told.msg_id
            self._ledger.settle(message, Fate.ADMITTED, self._now(), msg_id=told)

    def _audience(
        self, mode: str, others: Sequence[Player]
    ) -> tuple[str, frozenset[str], frozenset[str]]:
        """Return an address, who is owed what is sent there, and who may get it at all."""
        other = self._chance.choice(others)
        if mode == "direct":
            return other.address, frozenset((other.address,)), frozenset((other.address,))
        if mode == "topic":
            listening = [one for one in others if one.topic == other.topic and one is not self]
            to = f"topic://{other.topic}"
        else:
            listening = [one for one in others if one.group == other.group and one is not self]
            to = f"group://{other.group}"
        deaths = self._ledger.deaths
        last_death = deaths[-1] if deaths else 0.0
        known = [one for one in listening if one.proxy.served_since > last_death]
        return (
            to,
            frozenset(one.address for one in known),
            frozenset(one.address for one in listening),
        )

    async def _call(self) -> None:
        agent, chance = self._agent, self._chance
        if agent is None:
            return
        self._written += 1
        call = Called(
            label=f"{self.name}.{self._life}.call{self._written}",
            initiator=self.address,
            durable=chance.random() < 0.4,
            called_at=self._now(),
        )
        self._ledger.called[call.label] = call
        body = {
            "task": {"label": call.label},
            "reply_within": round(chance.uniform(1.0, 4.0), 1),
        }
        topic = f"topic://chaos-{chance.randrange(TOPICS)}"
        try:
            negotiation = agent.negotiate(
                body, to=topic, policy=chance.choice(POLICIES), durable=call.durable
            )
            async with negotiation:
                async for _ in negotiation:
                    pass
        except llmx.Refused as refused:
            self._ledger.settle(call, Fate.REFUSED, self._now(), code=refused.code)
        except llmx.NegotiationLost as lost:
            fate = Fate.UNKNOWN if self.is_dying else Fate.LOST
            self._ledger.settle(call, fate, self._now(), code=str(lost))
        except llmx.SessionError:
            self._ledger.settle(call, Fate.UNKNOWN, self._now())
        except asyncio.CancelledError:
            if not self.is_dying:
                raise
            self._ledger.settle(call, Fate.UNKNOWN, self._now())
        else:
            outcome = negotiation.outcome
            assert outcome is not None, "the events end with the outcome"
            call.negotiation_id = outcome.negotiation_id
            call.winners = frozenset(winner.agent for winner in outcome.winners)
            self._ledger.settle(call, Fate.ADMITTED, self._now(), code=outcome.state)

    # ------------------------------------------------------------------ what it hears

    def _hear(self, message: llmx.Message, life: int) -> None:
        label = message.text.partition(" ")[0]
        self._ledger.hand(Handed(label, self.address, life, self._now()))

    def _hear_failure(self, message: llmx.Message) -> None:
        body = message.body
        self._ledger.fail(
            Failed(
                str(body.get("failed_msg_id", message.in_reply_to)),
                str(body.get("recipient", "")),
                str(body.get("reason", "")),
                self._now(),
            )
        )

    async def _answer(self, call: llmx.Call) -> llmx.Offer | llmx.Refusal:
        chance = self._chance
        if chance.random() < 0.1:
            async with call.thinking():
                await asyncio.sleep(chance.uniform(0.5, 2.0))
        else:
            await asyncio.sleep(chance.choice((0.0, 0.0, chance.random())))
        if chance.random() < 0.15:
            return call.refuse("busy")
        return call.offer(value=chance.randrange(1, 100))

    def _judged(self, verdict: llmx.Verdict, life: int) -> None:
        task = verdict.call.body.get("task")
        label = str(task.get("label", "")) if isinstance(task, Mapping) else ""
        self._ledger.judged.append(
            Judged(label, verdict.negotiation_id, self.address, life, verdict.won, self._now())
        )
