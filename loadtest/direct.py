"""Messages from one agent to another, timed one by one.

Both live in this process, so a latency is from handing a message to grpc until the other agent
has it, on one clock. As many messages as asked for are on their way; when one has come, the next
goes. The other agent acknowledges each, which the gateways handle like every acknowledgement.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from llmx.v1 import consent_pb2, envelope_pb2
from loadtest.conducting import RoundsFailed, conducted
from loadtest.messages import Pieces, address, as_bytes, rest_of_envelope
from loadtest.rounds import DIGITS, STALL_SECONDS_MAX
from loadtest.wire_client import Envelopes, WireAgent

SCHEMA = "https://llm-x.org/schemas/v1/Text.json"
TEXT = "A message of about four hundred bytes, as agents write them to each other. " * 4


@dataclass(frozen=True, slots=True)
class Errand:
    """What to play."""

    name: str
    """Unique among the errands of a cluster; part of agent ids."""
    in_flight: int
    seconds: float
    warm_up_seconds: float


@dataclass(slots=True)
class Ran:
    """What came of an errand."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """From alice to bob, seconds, one entry for each message that came within the window."""


class Direct:
    """Plays one errand: alice sends, bob receives."""

    def __init__(
        self,
        sender: str,
        receiver: str,
        errand: Errand,
        token_of: Callable[[str], str],
        cpu_seconds: Callable[[], float],
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        """Connect alice to one address and bob to the other; `ready` is awaited in between."""
        self._errand = errand
        self._token_of = token_of
        self._cpu_seconds = cpu_seconds
        self._ready = ready
        self._ran = Ran()
        self._sent = 0
        self._on_way: dict[str, float] = {}
        self._is_measuring = False
        self._is_sending = True
        self._all_came = asyncio.Event()
        alice, bob = address(f"alice-{errand.name}"), address(f"bob-{errand.name}")
        self._alice = WireAgent(sender, alice, self._ignore)
        self._bob = WireAgent(receiver, bob, self._bob_takes)
        self._prefix = f"{errand.name}-"
        rest = rest_of_envelope(
            alice,
            [bob],
            envelope_pb2.ACT_MESSAGE,
            as_bytes({"$schema": SCHEMA, "text": TEXT}),
        )
        self._message = Pieces(self._prefix, DIGITS, "", rest)

    async def run(self) -> Ran:
        """Play it; raises RoundsFailed when a message is refused or lost."""
        await conducted((self._alice, self._bob), self._open_streams, self._conduct)
        return self._ran

    async def _open_streams(self) -> None:
        consent = consent_pb2.Consent(grantee="*")
        await self._bob.open([], [], self._token_of(self._bob.agent_id), [consent])
        await self._alice.open([], [], self._token_of(self._alice.agent_id))
        await self._ready()

    async def _conduct(self) -> None:
        """Warm up, measure, wait for what is still on its way."""
        for _ in range(self._errand.in_flight):
            self._send(time.perf_counter())
        await asyncio.sleep(self._errand.warm_up_seconds)
        cpu_before, began = self._cpu_seconds(), time.perf_counter()
        self._is_measuring = True
        await asyncio.sleep(self._errand.seconds)
        self._is_measuring = self._is_sending = False
        self._ran.seconds = time.perf_counter() - began
        self._ran.cpu_seconds = self._cpu_seconds() - cpu_before
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STALL_SECONDS_MAX):
                await self._all_came.wait()
        if self._on_way or not self._ran.latencies:
            refusals = [refusal for batch in self._alice.refusals for refusal in batch.refusals]
            why = f"; {refusals[0].code}: {refusals[0].reason}" if refusals else ""
            raise RoundsFailed(f"{len(self._on_way)} of {self._sent} messages never came{why}")

    def _send(self, now: float) -> None:
        self._sent += 1
        digits = b"%0*d" % (DIGITS, self._sent)
        self._on_way[self._prefix + digits.decode()] = now
        self._message.put(self._alice.pieces, digits, b"")
        self._alice.wake()

    def _bob_takes(self, envelopes: Envelopes, acks: list[str]) -> None:
        now = time.perf_counter()
        for envelope in envelopes:
            msg_id = envelope.msg_id
            acks.append(msg_id)
            sent_at = self._on_way.pop(msg_id, None)
            if sent_at is None:
                continue
            if self._is_measuring:
                self._ran.latencies.append(now - sent_at)
            if self._is_sending:
                self._send(now)
        if not self._on_way:
            self._all_came.set()

    def _ignore(self, envelopes: Envelopes, acks: list[str]) -> None:
        acks.extend(envelope.msg_id for envelope in envelopes)
