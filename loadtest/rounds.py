"""Play contract-net rounds through a server and time them.

One Alice and n contractors live in this process. Alice calls on a topic; every contractor
offers; the exchange awards: one accept, n-1 rejects, and the outcome to Alice. Through the
floor, which decides nothing, Alice sends the accept and the rejects herself as soon as the
last offer is there. As many rounds as asked for are in flight: when one is over, the next
begins.

A case has a warm-up, a window that counts, and an end in which the open rounds run out.
Latencies are of rounds that began in the window. Times are seconds of `perf_counter`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from llmx.v1 import envelope_pb2
from loadtest import messages
from loadtest.conducting import RoundsFailed, conducted
from loadtest.messages import Pieces, address, as_bytes, rest_of_envelope
from loadtest.wire_client import Envelopes, WireAgent

CONTRACTORS_MAX = 1_000
IN_FLIGHT_MAX = 4_096
STALL_SECONDS_MAX = 10.0
DIGITS = 7


@dataclass(frozen=True, slots=True)
class Case:
    """What to play."""

    contractors: int
    in_flight: int
    seconds: float
    """How long the window is at most."""
    rounds_max: int
    """How many rounds the window has at most."""
    warm_up_seconds: float
    name: str
    """Unique among the cases of a server; part of agent ids and of the topic."""


@dataclass(slots=True)
class Played:
    """What came of a case."""

    rounds: int = 0
    seconds: float = 0.0
    client_cpu_seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    messages: int = 0
    frames_received: int = 0
    frames_sent: int = 0
    strays: int = 0
    """Messages of rounds that are over or never were; more than none is worth a look."""
    to_last_offer: list[float] = field(default_factory=list)
    """From the call to the last offer at Alice, seconds, one entry per round."""
    to_last_outcome: list[float] = field(default_factory=list)
    """From the call to the last accept, reject or outcome anywhere."""


class Round:
    """One negotiation on its way."""

    __slots__ = ("digits", "missing", "msg_id", "offered_at", "offers", "started_at", "suffix")

    def __init__(self, number: int, msg_id: str, missing: int) -> None:
        self.digits = b"%0*d" % (DIGITS, number)
        self.msg_id = msg_id
        self.missing = missing
        self.offers: list[str] = []
        self.started_at = 0.0
        self.offered_at = 0.0
        self.suffix = b""


class Play:
    """Plays one case against one server."""

    def __init__(
        self,
        target: str,
        case: Case,
        *,
        token_of: Callable[[str], str] | None,
        initiator_decides: bool,
        server_cpu_seconds: Callable[[], float],
        places: Sequence[str] = (),
        ready: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """Prepare the agents; `token_of` maps an agent's name to its token.

        Contractors connect to `places` in turn; all to the target, like Alice, if there are
        none. `ready` is awaited when all streams are open, before the first call.
        """
        if not 1 <= case.contractors <= CONTRACTORS_MAX:
            raise ValueError(f"contractors must be 1 to {CONTRACTORS_MAX}")
        if not 1 <= case.in_flight <= IN_FLIGHT_MAX:
            raise ValueError(f"rounds in flight must be 1 to {IN_FLIGHT_MAX}")
        self._case = case
        self._token_of = token_of
        self._initiator_decides = initiator_decides
        self._server_cpu_seconds = server_cpu_seconds
        self._ready = ready
        self._answers = case.contractors + (0 if initiator_decides else 1)
        self._topic = f"bench-{case.name}"
        self._begun = 0
        self._open: dict[str, Round] = {}
        self._named: dict[str, Round] = {}
        self._played = Played()
        self._measuring = False
        self._issuing = True
        self._rounds_left = case.rounds_max
        self._over = asyncio.Event()
        alice = f"alice-{case.name}"
        names = [f"c{i:03d}-{case.name}" for i in range(case.contractors)]
        self._alice = WireAgent(target, address(alice), self._alice_takes)
        self._contractors = [
            WireAgent(
                places[index % len(places)] if places else target,
                address(name),
                self._contractor_role(index, name, alice),
            )
            for index, name in enumerate(names)
        ]
        self._call_prefix = f"{case.name}-"
        self._call = Pieces(
            self._call_prefix,
            DIGITS,
            "",
            rest_of_envelope(
                address(alice),
                [f"topic://{self._topic}"],
                envelope_pb2.ACT_CFP,
                as_bytes(messages.call_payload()),
                ("propose",),
            ),
        )
        self._decisions = [
            _decisions(case.name, index, alice, name) for index, name in enumerate(names)
        ]

    async def run(self) -> Played:
        """Play the case; raises RoundsFailed when it stalls, is refused or loses a stream."""
        agents = [self._alice, *self._contractors]
        await conducted(agents, self._open_streams, self._conduct, self._refusal_text)
        if refused := sum(agent.refused for agent in agents):
            raise RoundsFailed(f"{refused} messages were refused{self._refusal_text()}")
        return self._played

    async def _open_streams(self) -> None:
        for agent in self._contractors:
            await agent.open([self._topic], ["propose"], self._token(agent))
        await self._alice.open([], [], self._token(self._alice))
        if self._ready is not None:
            await self._ready()

    def _token(self, agent: WireAgent) -> str | None:
        return self._token_of(agent.agent_id) if self._token_of else None

    async def _conduct(self) -> None:
        """Warm up, measure, let the open rounds run out."""
        for _ in range(self._case.in_flight):
            self._begin(time.perf_counter())
        self._alice.wake()
        await self._wait(self._case.warm_up_seconds)
        before = self._counts()
        self._measuring = True
        started_at = time.perf_counter()
        await self._wait(self._case.seconds)
        self._played.seconds = time.perf_counter() - started_at
        self._measuring = False
        self._issuing = False
        self._count(before, self._counts())
        if self._open:
            await self._wait(STALL_SECONDS_MAX)
        if self._open:
            raise RoundsFailed(
                f"{len(self._open)} rounds never ended; "
                f"one still lacks {next(iter(self._open.values())).missing} of {self._answers}"
                " answers"
            )
        if not self._played.rounds:
            raise RoundsFailed("no round ended within the window")

    async def _wait(self, seconds: float) -> None:
        """Wait until the time is over, or until all that shall be played was played."""
        self._over.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def _count(self, before: tuple[float, ...], after: tuple[float, ...]) -> None:
        played = self._played
        played.server_cpu_seconds = after[0] - before[0]
        played.client_cpu_seconds = after[1] - before[1]
        played.messages = int(after[2] - before[2])
        played.frames_received = int(after[3] - before[3])
        played.frames_sent = int(after[4] - before[4])

    def _counts(self) -> tuple[float, ...]:
        agents = [self._alice, *self._contractors]
        return (
            self._server_cpu_seconds(),
            time.process_time(),
            sum(agent.messages_received for agent in agents),
            sum(agent.frames_received for agent in agents),
            sum(agent.frames_sent for agent in agents),
        )

    def _begin(self, now: float) -> None:
        self._begun += 1
        number = self._begun
        msg_id = f"{self._call_prefix}{number:0{DIGITS}d}"
        opened = Round(number, msg_id, self._answers)
        opened.started_at = now if self._measuring else 0.0
        self._open[msg_id] = opened
        if self._initiator_decides:
            negotiation_id = f"gateway-1.0.{self._case.name}{number:0{DIGITS}d}"
            suffix = messages.of_negotiation(negotiation_id)
        else:
            suffix = b""
        self._call.put(self._alice.pieces, opened.digits, suffix)

    def _alice_takes(self, envelopes: Envelopes, acks: list[str]) -> None:
        now = time.perf_counter()
        expected = self._case.contractors
        for envelope in envelopes:
            msg_id = envelope.msg_id
            acks.append(msg_id)
            opened = self._named.get(envelope.negotiation_id)
            if opened is None:
                self._played.strays += 1
            elif envelope.act == envelope_pb2.ACT_OFFER:
                offers = opened.offers
                offers.append(msg_id)
                if len(offers) == expected:
                    opened.offered_at = now
                    if self._initiator_decides:
                        self._decide(opened)
            else:
                opened.missing -= 1
                if not opened.missing:
                    self._end(opened, envelope.negotiation_id, now)

    def _decide(self, opened: Round) -> None:
        pieces = self._alice.pieces
        winner = True
        for offer_id in opened.offers:
            accept, reject = self._decisions[int(offer_id[-3:])]
            (accept if winner else reject).put(pieces, opened.digits, opened.suffix)
            winner = False

    def _contractor_role(
        self, index: int, name: str, alice: str
    ) -> Callable[[Envelopes, list[str]], None]:
        """Return what a contractor does with the messages of one frame."""
        offers = [
            Pieces(
                f"{self._case.name}-",
                DIGITS,
                f"-{index:03d}",
                rest_of_envelope(
                    address(name),
                    [address(alice)],
                    envelope_pb2.ACT_OFFER,
                    as_bytes(messages.offer_payload(index, variant)),
                ),
            )
            for variant in range(messages.OFFER_VARIANTS)
        ]
        is_call = envelope_pb2.ACT_CFP
        named = self._named
        unnamed = self._open
        variants = messages.OFFER_VARIANTS

        def take(envelopes: Envelopes, acks: list[str]) -> None:
            now = time.perf_counter()
            pieces = self._contractors[index].pieces
            for envelope in envelopes:
                msg_id = envelope.msg_id
                acks.append(msg_id)
                negotiation_id = envelope.negotiation_id
                opened = named.get(negotiation_id)
                if envelope.act == is_call:
                    if opened is None:
                        opened = unnamed[msg_id]
                        opened.suffix = messages.answer_suffix(negotiation_id, msg_id)
                        named[negotiation_id] = opened
                    offers[opened.digits[-1] % variants].put(pieces, opened.digits, opened.suffix)
                elif opened is None:
                    self._played.strays += 1
                else:
                    opened.missing -= 1
                    if not opened.missing:
                        self._end(opened, negotiation_id, now)

        return take

    def _end(self, opened: Round, negotiation_id: str, now: float) -> None:
        del self._named[negotiation_id]
        del self._open[opened.msg_id]
        if self._measuring:
            played = self._played
            played.rounds += 1
            self._rounds_left -= 1
            if opened.started_at:
                played.to_last_offer.append(opened.offered_at - opened.started_at)
                played.to_last_outcome.append(now - opened.started_at)
            if not self._rounds_left:
                self._over.set()
                self._issuing = False
        if self._issuing:
            self._begin(now)
            self._alice.wake()
        elif not self._open:
            self._over.set()

    def _refusal_text(self) -> str:
        for agent in (self._alice, *self._contractors):
            for batch in agent.refusals:
                refusal = batch.refusals[0]
                return (
                    f"; {agent.agent_id} was refused: {refusal.code} {refusal.pointer} "
                    f"{refusal.reason} {refusal.remedy}"
                )
        return ""


def _decisions(case_name: str, index: int, alice: str, contractor: str) -> tuple[Pieces, Pieces]:
    """Return the accept and the reject that Alice sends a contractor through the floor."""
    # The offer named in the payload has the right length and not the right digits; the floor
    # reads no payload.
    offer_id = f"{case_name}-{0:0{DIGITS}d}-{index:03d}"
    accept, reject = (
        Pieces(
            f"{case_name}-{letter}",
            DIGITS,
            f"-{index:03d}",
            rest_of_envelope(address(alice), [address(contractor)], act, as_bytes(payload)),
        )
        for letter, act, payload in (
            ("a", envelope_pb2.ACT_ACCEPT, messages.accept_payload(offer_id)),
            ("r", envelope_pb2.ACT_REJECT, messages.reject_payload(offer_id)),
        )
    )
    return accept, reject
