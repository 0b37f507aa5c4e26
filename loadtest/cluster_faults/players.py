"""The agents of a run: each prefers one gateway, and knows the addresses of all.

All day a player sends plain messages to another one and to a topic, calls for proposals, answers
the calls of others, and writes into the books what it does and is told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import llmx
from loadtest.chaos.ledger import Called, Failed, Fate, Handed, Judged, Sent
from loadtest.cluster_faults.books import Books

BACKOFF = llmx.Backoff(first=0.1, longest=0.5)
CONNECT_SECONDS_MAX = 20.0
CONFIRM_SECONDS = 1.0
PATIENCE_SECONDS = 15.0
"""How long after the last possible moment of an outcome a call is given up: longer than a gateway
was ever starved by those who use the same machine (8 s)."""
TOPIC_SHARE = 0.1
DURABLE_SHARE = 0.3
ONCE_SHARE = 0.5
POLICY_OF_ALL = "flow/high"
"""Under it a call is open until all have answered, or its time is over."""
POLICIES: tuple[str | Mapping[str, object], ...] = ("flow/low", "flow/high", {"quorum": 2})
THINKING_SECONDS_MAX = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """How much goes on."""

    agents: int = 6
    rate: float = 6.0
    """Messages and calls that each agent sends a second."""
    call_share: float = 0.15
    """Of these: how many are calls."""
    reply_seconds: tuple[float, float] = (0.3, 1.0)
    """Between what the times to reply are drawn."""
    ttl: float = 25.0
    """Seconds that messages live."""
    seed: int = 1


class Player:
    """One agent."""

    def __init__(
        self,
        number: int,
        scene: str,
        addresses: str,
        token: Callable[[str], str],
        books: Books,
        now: Callable[[], float],
        load: Load,
    ) -> None:
        """Describe an agent; `begin` connects it.

        Its topics are those of a scene, because who leaves is still owed what came meanwhile.
        """
        self.name = name = f"{scene}-{number}"
        self._is_slow = number % 2 == 1
        self.address = f"agent://{name}"
        self._books = books
        self._now = now
        self._load = load
        self._chance = random.Random(f"{load.seed}/{name}")
        self._written = 0
        self._news, self._work = f"news-{scene}", f"work-{scene}"
        self._agent = llmx.Agent(
            self.address,
            addresses,
            token=token(name),
            topics=[self._news, self._work],
            capabilities=["propose"],
            consents=["*"],
            backoff=BACKOFF,
            connect_timeout=CONNECT_SECONDS_MAX,
            close_timeout=1.0,
            patience=PATIENCE_SECONDS,
        )
        self._agent.on_message(self._hear)
        self._agent.on_failure(self._hear_failure)
        self._agent.on_cfp(self._answer)
        self._agent.on_outcome(self._judged)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Player {self.name} at {self.home or 'no gateway'}>"

    @property
    def home(self) -> str:
        """Return the id of the gateway that it is connected with; empty while there is none."""
        session = self._agent._session  # what no author needs to know
        return session.welcome.gateway_id if session.welcome and session.is_live else ""

    async def begin(self) -> None:
        """Connect."""
        await self._agent.__aenter__()

    async def end(self) -> None:
        """Leave in peace."""
        await self._agent.__aexit__(None, None, None)

    async def watch(self) -> None:
        """Write down a session that ends for good."""
        failure = await self._agent.closed()
        if failure is not None and not isinstance(failure, llmx.SessionClosed):
            words = f"{self.address} at {self._now():.3f}: {failure!r}"
            self._books.messages.sessions_lost.append(words)

    # ------------------------------------------------------------------ what it does

    async def play(
        self, others: Sequence[Player], tasks: asyncio.TaskGroup, over: asyncio.Event
    ) -> None:
        """Send and call at random until it is over; what waits then is left to `tasks`."""
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._chance.expovariate(self._load.rate)):
                    await over.wait()
                    return
            if self._chance.random() < self._load.call_share:
                tasks.create_task(self.call())
            elif self._chance.random() < TOPIC_SHARE:
                tasks.create_task(self.send(f"topic://{self._news}", others))
            else:
                other = self._chance.choice(others)
                tasks.create_task(self.send(other.address, [other]))

    async def send(self, to: str, audience: Sequence[Player]) -> Sent:
        """Send a message to those who are to get it, and write down what becomes of it."""
        books, chance = self._books, self._chance
        self._written += 1
        owed_to = frozenset(one.address for one in audience if one is not self)
        message = Sent(
            label=f"{self.name}.{self._written}",
            sender=self.address,
            order=(0, self._written),
            mode="topic" if to.startswith("topic://") else "direct",
            owed_to=owed_to,
            allowed=owed_to,
            once=chance.random() < ONCE_SHARE,
            durable=chance.random() < DURABLE_SHARE,
            ttl=self._load.ttl,
            sent_at=self._now(),
        )
        books.messages.send(message)
        try:
            msg_id = await self._agent.send(
                to,
                message.label,
                ttl=message.ttl,
                qos="once" if message.once else "at-least-once",
                durable=message.durable,
            )
        except llmx.Refused as refused:
            books.messages.settle(message, Fate.REFUSED, self._now(), code=refused.code)
        except llmx.SessionError:
            books.messages.settle(message, Fate.UNKNOWN, self._now())
        else:
            books.messages.settle(message, Fate.ADMITTED, self._now(), msg_id=msg_id)
            books.admitted_by[message.label] = self.home
        return message

    async def call(self, *, open_for: float = 0.0) -> Called:
        """Call for proposals and write down what came of it.

        It stays open for so many seconds, because some answer too late; or a random time.
        """
        chance, now = self._chance, self._now
        self._written += 1
        call = Called(f"{self.name}.call{self._written}", self.address, False, now())
        self._books.called[call.label] = call
        within = open_for or round(chance.uniform(*self._load.reply_seconds), 1)
        body = {
            "task": {"label": call.label, "too_late": open_for},
            "reply_within": within,
            "decide_within": 2,
            "confirm_within": CONFIRM_SECONDS,
        }
        policy = POLICY_OF_ALL if open_for else chance.choice(POLICIES)
        try:
            outcome = await self._agent.call(body, to=f"topic://{self._work}", policy=policy)
        except llmx.Refused as refused:
            call.fate, call.code = Fate.REFUSED, refused.code
        except llmx.LlmxError as lost:
            call.fate, call.code = Fate.LOST, str(lost)
        else:
            call.fate, call.code = Fate.ADMITTED, outcome.state
            call.negotiation_id = outcome.negotiation_id
            call.winners = frozenset(winner.agent for winner in outcome.winners)
        call.settled_at = now()
        return call

    # ------------------------------------------------------------------ what it hears

    def _hear(self, message: llmx.Message) -> None:
        self._books.messages.hand(Handed(message.text, self.address, 0, self._now()))

    def _hear_failure(self, message: llmx.Message) -> None:
        body = message.body
        failed, recipient = body.get("failed_msg_id", message.in_reply_to), body.get("recipient")
        reason = str(body.get("reason", ""))
        self._books.messages.fail(Failed(str(failed), str(recipient), reason, self._now()))

    async def _answer(self, call: llmx.Call) -> llmx.Offer:
        late = _task(call).get("too_late", 0.0) if self._is_slow else 0.0
        await asyncio.sleep(2 * late + self._chance.uniform(0.0, THINKING_SECONDS_MAX))
        return call.offer(value=self._chance.randrange(1, 100))

    def _judged(self, verdict: llmx.Verdict) -> None:
        label = str(_task(verdict.call).get("label", ""))
        self._books.judged.append(
            Judged(label, verdict.negotiation_id, self.address, 0, verdict.won, self._now())
        )


def _task(call: llmx.Call) -> Mapping[str, Any]:
    task = call.body.get("task")
    return task if isinstance(task, Mapping) else {}
