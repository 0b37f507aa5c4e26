"""A case in real time: the same agents on streams of their own, a gateway process, a wall clock.

Calls are due when their Poisson process says, not when an earlier round is over, and latencies
count from then. What the gateway had of memory, files and processor is read from `/proc` beside
it, and what these agents used, who share one process, stands next to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from random import Random

from google.protobuf.duration_pb2 import Duration

import llmx
from gateway.acts import ACT_NAMES, ACTS
from gateway.clock import Clock, steady_clock
from gateway.policies import proto_of
from gateway.tokens import mint_development_token, read_secret
from llmx.v1 import envelope_pb2
from llmx.v1.refusal_pb2 import RefusalCode
from loadtest import scenes
from loadtest.experiments.arrivals import poisson
from loadtest.experiments.cases import LIVE_PROFILE, Case
from loadtest.experiments.cast import Cast, Due, Message, Round
from loadtest.experiments.tally import Tally
from loadtest.experiments.usage import Usage, shares, usage
from loadtest.experiments.weighty import OWN_SCHEMA
from loadtest.framing import framed
from loadtest.light_agent import Batch, LightAgent, Who
from loadtest.run_records import RunRecord
from policy.acceptance import PROFILES

OPERATOR = "agent://operator"
JUDGED = 'llmx_payloads_validated_total{place="worker"}'
FRAMES = ("llmx_frames_received_total", "llmx_frames_sent_total")
TOKEN_SECONDS = 3_600.0
"""How much longer than its case a token counts."""
BEAT_SECONDS = 5.0
SAMPLE_SECONDS = 5.0
LOOK_SECONDS_MIN = 1.0
"""Over less than that a share of the processor says little."""
AFTERWARDS_SECONDS = 0.5
"""How long is listened on after the last outcome, for what comes twice."""
DRAIN_SECONDS_MAX = 60.0
OPEN_MAX = 20_000
"""Rounds that may be open at once; more, and the case fails instead of growing."""


class LiveFailed(Exception):
    """A case could not be played to its end; the text says why."""


async def play(case: Case, tag: str, record: RunRecord, gateway: scenes.Gateway) -> Tally:
    """Play a case through a gateway that runs; raises LiveFailed, SceneFailed."""
    now = steady_clock()
    if case.judging is not None:
        await register_schema(gateway)
        before = await gateway.counters()
    tally = Tally(case, record, now())
    stage = Stage(case, tag, record, tally, gateway, now)
    try:
        async with stage.open() as tasks:
            helpers = [tasks.create_task(stage.sample()), tasks.create_task(stage.beat())]
            if case.switch is not None:
                await stage.put_profile(case.switch.before)
                helpers.append(tasks.create_task(stage.switch()))
            await stage.run()
            for helper in helpers:
                helper.cancel()
    except* (LiveFailed, scenes.SceneFailed, llmx.ControlError) as errors:
        raise LiveFailed(f"{case.name}: {errors.exceptions[0]}") from errors
    if case.judging is not None:
        after = await gateway.counters()
        tally.judged_in_workers = round(after[JUDGED] - before[JUDGED])
        frames = sum(after[name] - before[name] for name in FRAMES)
        tally.frames_per_call = frames / max(1, stage.calls)
    tally.end()
    return tally


async def register_schema(gateway: scenes.Gateway) -> None:
    """Make the schema of `weighty` known to the tenant; a repeat changes nothing."""
    secret = read_secret(gateway.secret_file)
    async with operator(gateway, mint_development_token(secret, OPERATOR)) as control:
        await control.register_schema(OWN_SCHEMA)


@contextlib.asynccontextmanager
async def operator(gateway: scenes.Gateway, token: str) -> AsyncIterator[llmx.Control]:
    """Speak to the control service of a gateway until the block ends."""
    agent = llmx.Agent(OPERATOR, gateway=f"{scenes.HOST}:{gateway.port}", token=token)
    try:
        yield agent.control
    finally:
        await agent.control.close()


class Stage:
    """The agents of one case on their streams."""

    def __init__(
        self,
        case: Case,
        tag: str,
        record: RunRecord,
        tally: Tally,
        gateway: scenes.Gateway,
        now: Clock,
    ) -> None:
        """Prepare everybody; nobody is connected yet."""
        self._case = case
        self._tally = tally
        self._gateway = gateway
        self._now = now
        self._begins_at = tally.begins_at
        self._cast = Cast(case, tag, record.happened, tally.close, tally.begins_at)
        self._cast.on_outcome = self._outcome
        self._heard, self._decided = asyncio.Event(), asyncio.Event()
        self.calls = 0
        """How many were made so far, those of the warm-up too."""
        self._used: Usage | None = None
        """What was used until the last look."""
        self._silent = False
        """Once every call has its outcome at the end, nobody says anything more."""
        self._secret = read_secret(gateway.secret_file)
        self._agents: dict[str, LightAgent] = {}
        for agent in (*self._cast.contractors, self._cast.alice):
            topics = () if agent == self._cast.alice else (self._cast.topic,)
            token = mint_development_token(self._secret, agent, ttl=TOKEN_SECONDS + case.seconds)
            who = Who(agent, token, scenes.HOST, gateway.port, topics, ("propose",))
            self._agents[agent] = LightAgent(who, self._role(agent))
        self._recipients = {"cfp": [f"topic://{tag}"]}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Keep everybody connected until the block ends."""
        async with asyncio.TaskGroup() as tasks:
            await scenes.open_all(list(self._agents.values()), tasks)
            yield tasks
            for agent in self._agents.values():
                agent.leave()
                agent.cut()

    async def run(self) -> None:
        """Make calls for as long as the case says, and wait for their ends."""
        until = self._begins_at + self._case.warm_up + self._case.seconds
        async for due_at in self._moments(until):
            if len(self._cast.open) >= OPEN_MAX:
                raise LiveFailed(f"{OPEN_MAX} rounds are open and none ends")
            self.calls += 1
            self._tally.lag_ms.append((self._now() - due_at) * 1e3)
            self._send(self._cast.call(self.calls, due_at))
        await asyncio.sleep(max(0.0, until - self._now()))
        self._look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._case.reply_within + DRAIN_SECONDS_MAX):
                while not self._cast.is_over:
                    self._silent = not self._cast.open
                    self._heard.clear()
                    await self._heard.wait()
        self._silent = True
        await asyncio.sleep(AFTERWARDS_SECONDS)
        self._cast.end()

    async def _moments(self, until: float) -> AsyncIterator[float]:
        """Yield the moments at which a call is due, each when it has come."""
        case = self._case
        if case.pacing == "poisson":
            for at in poisson(case.rate, until - self._begins_at, case.seed):
                due_at = self._begins_at + at
                if (wait := due_at - self._now()) > 0:
                    await asyncio.sleep(wait)
                yield due_at
            return
        gaps = Random(f"gaps {case.seed}")
        while True:
            if case.pacing == "after outcome":
                await asyncio.sleep(gaps.expovariate(case.rate))
            if self._now() >= until:
                return
            yield self._now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until - self._now()):
                    while len(self._cast.open) >= max(1, case.in_flight):
                        self._decided.clear()
                        await self._decided.wait()

    def _outcome(self, _: Round) -> None:
        self._decided.set()

    # ------------------------------------------------------------------ what agents say

    def _send(self, message: Message) -> None:
        """Put a message on the stream of its sender."""
        if self._silent:
            return
        self._cast.sent(message, self._now())
        agent = self._agents[message.sender]
        agent.pieces.append(framed(self._wire_form(message)))
        agent.wake()

    def _later(self, due: Due) -> None:
        if due.delay:
            asyncio.get_running_loop().call_later(due.delay, self._send, due.message)
        else:
            self._send(due.message)

    def _wire_form(self, message: Message) -> bytes:
        is_call = message.act == "cfp"
        return envelope_pb2.Envelope(
            msg_id=message.msg_id,
            ts=datetime.now(UTC).isoformat(timespec="milliseconds"),
            sender=message.sender,
            recipients=self._recipients.get(message.act, [self._cast.alice]),
            capabilities=["propose"] if is_call else [],
            scope=envelope_pb2.Scope(consent="opt-in", ttl=Duration(seconds=120)),
            act=ACTS[message.act],  # type: ignore[arg-type]  # the stub wants its own enum
            payload=message.payload,
            negotiation_id=message.negotiation_id,
            in_reply_to=message.in_reply_to,
            receipt=envelope_pb2.RECEIPT_REQUEST_DELIVERED if is_call else None,
        ).SerializeToString()

    def _role(self, agent: str) -> Callable[[Batch, list[str]], None]:
        """Return what an agent does with one batch."""
        cast = self._cast

        def take(batch: Batch, acks: list[str]) -> None:
            now = self._now()
            for opened in batch.opened:
                cast.named(opened.msg_id, opened.negotiation_id)
            for refusal in batch.refusals:
                code = RefusalCode.Name(refusal.code).removeprefix("REFUSAL_CODE_")
                cast.refused(agent, refusal.msg_id, code, now)
            for receipt in batch.receipts:
                cast.acked(receipt.msg_id, receipt.recipient, now)
            for envelope in batch.envelopes:
                acks.append(envelope.msg_id)
                message = Message(
                    envelope.sender,
                    ACT_NAMES[envelope.act],
                    envelope.msg_id,
                    envelope.payload,
                    envelope.negotiation_id,
                    envelope.in_reply_to,
                )
                for due in cast.hear(agent, message, now):
                    self._later(due)
            self._heard.set()

        return take

    # ------------------------------------------------------------------ what goes on beside

    async def beat(self) -> None:
        """Let every agent show that it is alive, until cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            at = time.perf_counter()
            for agent in self._agents.values():
                agent.beat(at, BEAT_SECONDS)

    async def sample(self) -> None:
        """Look at the gateway, and at ourselves, every few seconds until cancelled."""
        await asyncio.sleep(max(0.0, self._begins_at + self._case.warm_up - self._now()))
        while True:
            self._look()
            await asyncio.sleep(SAMPLE_SECONDS)

    def _look(self) -> None:
        """Note what the gateway has and what was used since the last look."""
        server = self._gateway.server
        now = self._now()
        before, self._used = self._used, usage(server.pid, now)
        if before is None or now - before.at < LOOK_SECONDS_MIN:
            return
        used = shares(before, self._used)
        minute = self._tally.minute(now - self._begins_at)
        minute.rss_bytes = max(minute.rss_bytes or 0, server.resident_bytes())
        minute.open_files = max(minute.open_files or 0, server.open_files())
        minute.gateway_cpu = max(minute.gateway_cpu or 0.0, used.gateway)
        minute.workers_cpu = max(minute.workers_cpu or 0.0, used.workers)
        minute.own_cpu = max(minute.own_cpu or 0.0, used.own)
        minute.machine_cpu = max(minute.machine_cpu or 0.0, used.machine)

    async def switch(self) -> None:
        """Change the profile when its time has come."""
        switch = self._case.switch
        assert switch is not None, "only a case that switches comes here"
        at = self._begins_at + self._case.warm_up + switch.at
        await asyncio.sleep(max(0.0, at - self._now()))
        await self.put_profile(switch.after)

    async def put_profile(self, base: str) -> None:
        """Let the profile that calls name mean what `base` means, as an operator does."""
        token = mint_development_token(self._secret, OPERATOR, roles=["operator"])
        async with operator(self._gateway, token) as control:
            await control.put_policy(proto_of(PROFILES[base], LIVE_PROFILE))
