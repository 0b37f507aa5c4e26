"""Groups of agents that negotiate at their own pace, whatever the gateway does.

Each group is one initiator and its contractors, with a topic of their own. Calls arrive as a
Poisson process over all groups: the next one is due when it is due, not when an earlier one
is over (open loop). Latency counts from the moment a call was due until the last accept,
reject or outcome of its round was heard, so a stall of the gateway, or of this process, is in
the figures of every call that was due meanwhile and not only of the one that was under way.

A gateway that was lost takes its open negotiations with it: the initiator calls them again,
under the same msg_id, as the client library does; the clock of the round goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from llmx.v1 import envelope_pb2, refusal_pb2
from loadtest import messages
from loadtest.figures import percentile
from loadtest.light_agent import Batch, LightAgent, Who
from loadtest.messages import Pieces, address, as_bytes, rest_of_envelope

DIGITS = 7
ROUNDS_OPEN_MAX = 20_000
CALL_AGAIN_SECONDS = 0.25
CONTRACTORS_MAX = 100


class TrafficFailed(Exception):
    """The traffic could not begin or go on; the text says why."""


@dataclass(slots=True)
class Phase:
    """What was measured of the rounds that were due in one stretch of time."""

    name: str
    latencies: list[float] = field(default_factory=list)
    """From when each round was due to its last outcome, seconds."""
    lags: list[float] = field(default_factory=list)
    """How late this process itself was for each call, seconds."""
    due: int = 0
    called_again: int = 0
    repeats: int = 0
    """Messages that came a second time."""

    def figures(self) -> dict[str, float]:
        """Return counts, and percentiles in milliseconds."""
        ordered, lags = sorted(self.latencies), sorted(self.lags)
        return {
            "rounds": len(ordered),
            "unfinished": self.due - len(ordered),
            "called_again": self.called_again,
            "repeats": self.repeats,
            **{f"p{percent}_ms": percentile(ordered, percent) * 1e3 for percent in (50, 95, 99)},
            "max_ms": percentile(ordered, 100) * 1e3,
            "own_lag_p99_ms": percentile(lags, 99) * 1e3,
        }


class Round:
    """One negotiation on its way."""

    __slots__ = (
        "digits",
        "due_at",
        "msg_id",
        "negotiation_id",
        "offered_at",
        "offers",
        "phase",
        "suffix",
        "told",
        "waiting",
    )

    def __init__(self, number: int, msg_id: str, due_at: float, phase: Phase) -> None:
        self.digits = b"%0*d" % (DIGITS, number)
        self.msg_id = msg_id
        self.due_at = due_at
        self.phase = phase
        self.negotiation_id = ""
        self.offers = 0
        self.offered_at = 0.0
        """When the initiator heard the last offer so far, 0 before the first."""
        self.suffix = b""
        self.told = False
        """Has the initiator heard the outcome?"""
        self.waiting: set[int] = set()
        """Contractors that were called and have heard no verdict."""


class Group:
    """One initiator, its contractors, and the rounds that they have open."""

    def __init__(
        self, name: str, contractors: int, who: Callable[[str, Sequence[str], Sequence[str]], Who]
    ) -> None:
        """Prepare the agents; `who` makes one of a name, its topics and its capabilities."""
        if not 1 <= contractors <= CONTRACTORS_MAX:
            raise ValueError(f"contractors must be 1 to {CONTRACTORS_MAX}")
        self.name = name
        self.open: dict[str, Round] = {}
        self.refused: Counter[str] = Counter()
        self.on_end: Callable[[], None] | None = None
        """Hears of each round that is over."""
        self.on_round: Callable[[Round, float], None] | None = None
        """Hears which one, and when."""
        self._named: dict[str, Round] = {}
        self._initiator = LightAgent(who(f"alice-{name}", (), ()), self._initiator_takes)
        self._initiator.on_welcome = self._call_all_again
        self._contractors: list[LightAgent] = []
        for index in range(contractors):
            contractor = who(f"c{index:03d}-{name}", (name,), ("propose",))
            self._contractors.append(LightAgent(contractor, self._contractor_role(index)))
        self._call = Pieces(
            f"{name}-",
            DIGITS,
            "",
            rest_of_envelope(
                address(f"alice-{name}"),
                [f"topic://{name}"],
                envelope_pb2.ACT_CFP,
                as_bytes(messages.call_payload()),
                ("propose",),
            ),
        )

    @property
    def agents(self) -> list[LightAgent]:
        """Return all agents, contractors first, so that they listen before the first call."""
        return [*self._contractors, self._initiator]

    def begin(self, number: int, due_at: float, phase: Phase) -> None:
        """Call for proposals."""
        opened = Round(number, f"{self.name}-{number:0{DIGITS}d}", due_at, phase)
        self.open[opened.msg_id] = opened
        self._put_call(opened)

    def _put_call(self, opened: Round) -> None:
        self._call.put(self._initiator.pieces, opened.digits, b"")
        self._initiator.wake()

    def _call_all_again(self, resumed: bool) -> None:
        """Call what is open again when its negotiations went with the gateway."""
        if resumed:
            return
        for opened in self.open.values():
            if opened.negotiation_id:
                self._forget_negotiation(opened)
                self._call_again(opened)

    def _call_again(self, opened: Round) -> None:
        if opened.msg_id in self.open:
            opened.phase.called_again += 1
            self._put_call(opened)

    def _forget_negotiation(self, opened: Round) -> None:
        self._named.pop(opened.negotiation_id, None)
        opened.negotiation_id = ""
        opened.told = False
        opened.waiting.clear()

    def _initiator_takes(self, batch: Batch, acks: list[str]) -> None:
        now = time.perf_counter()
        for refusal in batch.refusals:
            self.refused[_word(refusal)] += 1
            opened = self.open.get(refusal.msg_id)
            if opened is not None and refusal.code != refusal_pb2.REFUSAL_CODE_DUPLICATE:
                loop = asyncio.get_running_loop()
                loop.call_later(CALL_AGAIN_SECONDS, self._call_again, opened)
        for envelope in batch.envelopes:
            acks.append(envelope.msg_id)
            opened = self._named.get(envelope.negotiation_id)
            if opened is None:
                continue
            if envelope.act == envelope_pb2.ACT_OFFER:
                opened.offers += 1
                opened.offered_at = now
                continue
            opened.told = True
            self._end_if_over(opened, now)

    def _contractor_role(self, index: int) -> Callable[[Batch, list[str]], None]:
        """Return what a contractor does with one batch."""
        name = self.name
        offer = Pieces(
            f"{name}-",
            DIGITS,
            f"-{index:03d}",
            rest_of_envelope(
                address(f"c{index:03d}-{name}"),
                [address(f"alice-{name}")],
                envelope_pb2.ACT_OFFER,
                as_bytes(messages.offer_payload(index, index % messages.OFFER_VARIANTS)),
            ),
        )

        def take(batch: Batch, acks: list[str]) -> None:
            now = time.perf_counter()
            for refusal in batch.refusals:
                self.refused[_word(refusal)] += 1
            for envelope in batch.envelopes:
                acks.append(envelope.msg_id)
                if envelope.act == envelope_pb2.ACT_CFP:
                    if (opened := self._called(index, envelope)) is not None:
                        offer.put(self._contractors[index].pieces, opened.digits, opened.suffix)
                    continue
                opened = self._named.get(envelope.negotiation_id)
                if opened is not None:
                    if index not in opened.waiting:
                        opened.phase.repeats += 1
                    opened.waiting.discard(index)
                    self._end_if_over(opened, now)

        return take

    def _called(self, index: int, envelope: envelope_pb2.Envelope) -> Round | None:
        """Return the round that a contractor shall offer to, None when it has offered."""
        opened = self.open.get(envelope.msg_id)
        if opened is None:
            return None
        negotiation_id = envelope.negotiation_id
        if opened.negotiation_id != negotiation_id:
            self._forget_negotiation(opened)
            opened.negotiation_id = negotiation_id
            opened.suffix = messages.answer_suffix(negotiation_id, opened.msg_id)
            self._named[negotiation_id] = opened
        elif index in opened.waiting:
            opened.phase.repeats += 1
            return None
        opened.waiting.add(index)
        return opened

    def _end_if_over(self, opened: Round, now: float) -> None:
        if opened.told and not opened.waiting:
            del self.open[opened.msg_id]
            del self._named[opened.negotiation_id]
            opened.phase.latencies.append(now - opened.due_at)
            if self.on_round is not None:
                self.on_round(opened, now)
            if self.on_end is not None:
                self.on_end()


class Traffic:
    """All groups, and the one clock that makes their calls due."""

    def __init__(self, groups: Sequence[Group], rounds_per_second: float, seed: int) -> None:
        """Prepare arrivals that depend on the seed only."""
        self.groups = groups
        self._rate = rounds_per_second
        self._chance = random.Random(seed)
        self._phase: Phase | None = None
        self._number = 0
        self._ended = asyncio.Event()
        for group in groups:
            group.on_end = self._ended.set

    @property
    def agents(self) -> Iterable[LightAgent]:
        return (agent for group in self.groups for agent in group.agents)

    @property
    def open_count(self) -> int:
        """Return how many rounds are under way."""
        return sum(len(group.open) for group in self.groups)

    @property
    def refused(self) -> Counter[str]:
        """Return how many messages were refused, by code."""
        return sum((group.refused for group in self.groups), Counter())

    def measure(self, name: str) -> Phase:
        """Count what is due from now on as a new phase, which is returned."""
        self._phase = Phase(name)
        return self._phase

    async def drained(self, seconds_max: float) -> None:
        """Return when no round is under way, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                while self.open_count:
                    self._ended.clear()
                    await self._ended.wait()

    async def run(self) -> None:
        """Make calls until cancelled; nothing is due outside a phase that was `measure`d."""
        due_at = time.perf_counter()
        while True:
            due_at += self._chance.expovariate(self._rate)
            if (wait := due_at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            phase = self._phase
            if phase is None:
                continue
            if self.open_count >= ROUNDS_OPEN_MAX:
                raise TrafficFailed(f"{ROUNDS_OPEN_MAX} rounds are open and none ends")
            phase.due += 1
            phase.lags.append(time.perf_counter() - due_at)
            self._number += 1
            self._chance.choice(self.groups).begin(self._number, due_at, phase)

    def rest(self) -> None:
        """Let nothing more be due."""
        self._phase = None


def groups_of(
    agents: int, groups: int, who: Callable[[str, Sequence[str], Sequence[str]], Who]
) -> list[Group]:
    """Return so many agents in so many groups of sizes as equal as can be."""
    if agents < 2 * groups:
        raise ValueError(f"{groups} groups need {2 * groups} agents at least")
    sizes = [agents // groups + (index < agents % groups) for index in range(groups)]
    return [Group(f"group-{index:03d}", size - 1, who) for index, size in enumerate(sizes)]


def _word(refusal: refusal_pb2.Refusal) -> str:
    return refusal_pb2.RefusalCode.Name(refusal.code).removeprefix("REFUSAL_CODE_")
