"""A case in simulated time: the engine of a gateway, the agents, and a clock that jumps.

What a gateway decides with is what decides here: its schemas, its strict reader of JSON, its
allowances, its memory of duplicates, `call_of`, the codec, the shards with their tables and
protocols. What moves bytes is not there: streams, tokens, outboxes and links. In its place are a
wire whose delays are drawn from the seed, and a gateway that does one thing after the other,
each in its time. So latencies of a simulation say what this model says, and nothing of a machine.

The same case and seed lead to the same events to the byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Any

from gateway.acts import ACTS
from gateway.admission import MALFORMED
from gateway.allowances import AllowanceLimits, Allowances
from gateway.calls import CallLimits, call_of
from gateway.codec import EVENT_OF
from gateway.duplicates import Duplicates
from gateway.policies import Policies
from gateway.policy_books import book_of, put
from gateway.record_format import line_of
from gateway.refusals import Fault
from gateway.schemas import SchemaRegistry, ShippedSchema, invalid_json
from gateway.strict_json import JsonFault, parse
from loadtest.experiments.arrivals import poisson
from loadtest.experiments.cases import LIVE_PROFILE, Case
from loadtest.experiments.cast import Cast, Due, Message, Round
from loadtest.experiments.tally import Tally
from loadtest.run_records import RunRecord
from policy.call import Call
from policy.effects import Effect, Finish, Refuse, Relay, Tell
from policy.events import Event, MalformedReceived
from policy.shard import Shard
from policy.table import Table

GATEWAY = "gateway://sim"
TENANT = "default"
SHARDS = 4
WIRE_MEDIAN, WIRE_SIGMA = 0.0003, 0.5
"""Seconds from an agent to the gateway or back, lognormal."""
ADMIT_SECONDS = 0.00006
"""What it takes the gateway to judge a message and to let the engine have it."""
DELIVER_SECONDS = 0.00002
"""What it takes to put a message on a stream."""
CALL_LIMITS = CallLimits(deadline_seconds_max=86_400.0, linger_seconds=10.0)
ALLOWANCE = AllowanceLimits(rate=1e6, burst=1e6, tenant_rate=1e7, tenant_burst=1e7)
DUPLICATES_SECONDS, DUPLICATES_MAX = 120.0, 100_000
OVERTIME_SECONDS = 600.0
"""How long rounds that are open at the end may still take."""

Heard = Callable[[bytes], object]
"""Takes the record of a negotiation, a line as `llmx replay` reads it."""


def play(case: Case, tag: str, record: RunRecord, kept: Heard = lambda line: None) -> Tally:
    """Play a case and return its figures; what happens goes into `record`."""
    tally = Tally(case, record)
    world = World(case, tag, record, tally, kept)
    world.run()
    tally.end()
    return tally


@dataclass(frozen=True, slots=True)
class _Cause:
    """The message that caused a step."""

    message: Message


class World:
    """One gateway, the agents of one case, and what is on its way."""

    def __init__(self, case: Case, tag: str, record: RunRecord, tally: Tally, kept: Heard) -> None:
        self._case = case
        self._tag = tag
        self._cast = Cast(case, tag, record.happened, tally.close)
        self._kept = kept
        self._now = 0.0
        self._sequence = 0
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._chance = Random(f"wire {case.seed}")
        self._up: dict[str, float] = {}
        self._down: dict[str, float] = {}
        """When the last message of each agent's stream arrives, in either direction."""
        self._busy_until = 0.0
        self._minted = 0
        self._numbers = 0
        self._book: bytes | None = None
        self._policies = Policies("flow/high", {})
        self._registry = SchemaRegistry()
        self._duplicates = Duplicates(DUPLICATES_SECONDS, DUPLICATES_MAX, 0.0)
        allowances = Allowances(ALLOWANCE, 1_000)
        agents = [self._cast.alice, *self._cast.contractors]
        self._allowance = {agent: allowances.join(TENANT, agent, 0.0) for agent in agents}
        self._shards: list[Shard[_Cause]] = [
            Shard(number, Table(keep_records=True), lambda: self._now, self._perform, 1_000_000)
            for number in range(SHARDS)
        ]
        self._looks: list[float | None] = [None] * SHARDS

    def run(self) -> None:
        """Make calls for as long as the case says, and let what is open end."""
        case = self._case
        until = case.warm_up + case.seconds
        if case.switch is not None:
            self._put_profile(case.switch.before)
            self._at(case.warm_up + case.switch.at, self._put_profile, case.switch.after)
        if case.pacing == "poisson":
            for at in poisson(case.rate, until, case.seed):
                self._at(at, self._call, None)
        else:
            gaps = Random(f"gaps {case.seed}")

            def call_next(_: Round | None) -> None:
                at = self._now + gaps.expovariate(case.rate)
                if at < until:
                    self._at(at, self._call, None)

            self._cast.on_outcome = call_next
            call_next(None)
        while self._heap and self._heap[0][0] <= until + OVERTIME_SECONDS:
            self._now, _, what, with_ = heappop(self._heap)
            what(with_)
        self._cast.end()

    def _at(self, moment: float, what: Callable[[Any], None], with_: Any) -> None:
        self._sequence += 1
        heappush(self._heap, (moment, self._sequence, what, with_))

    def _crossed(self, stream: dict[str, float], agent: str, sent_at: float) -> float:
        """Return when what is sent has crossed the wire: a stream keeps its order."""
        at = sent_at + WIRE_MEDIAN * self._chance.lognormvariate(0, WIRE_SIGMA)
        stream[agent] = at = max(at, stream.get(agent, 0.0))
        return at

    def _put_profile(self, base: str) -> None:
        """Change the profile that is switched, as an operator does."""
        self._book = put(self._book, self._policies.shared, LIVE_PROFILE, {"profile": base})
        self._policies.use(TENANT, book_of(self._book, self._policies.shared))

    # ------------------------------------------------------------------ agents

    def _call(self, _: None) -> None:
        self._numbers += 1
        self._send(self._cast.call(self._numbers, self._now))

    def _send(self, message: Message) -> None:
        """Let an agent send something now."""
        self._cast.sent(message, self._now)
        self._at(self._crossed(self._up, message.sender, self._now), self._arrive, message)

    def _hear(self, delivery: tuple[str, Message]) -> None:
        agent, message = delivery
        for due in self._cast.hear(agent, message, self._now):
            self._later(due)

    def _later(self, due: Due) -> None:
        if due.delay:
            self._at(self._now + due.delay, self._send, due.message)
        else:
            self._send(due.message)

    # ------------------------------------------------------------------ the gateway

    def _arrive(self, message: Message) -> None:
        """Take a message off the wire when the gateway comes to it."""
        self._busy_until = max(self._now, self._busy_until) + ADMIT_SECONDS
        self._at(self._busy_until, self._admit, message)

    def _admit(self, message: Message) -> None:
        """Judge a message as a gateway does: rate, duplicate, schema, then what it is."""
        now = self._now
        over = self._allowance[message.sender].take(now, len(message.payload))
        if over is not None:
            return self._refuse(message, over.code)
        key = f"{message.sender}|{message.msg_id}"
        if self._duplicates.find(key) is not None:
            return self._refuse(message, "DUPLICATE")
        body = parse(message.payload)
        fault = self._fault_in(message, body)
        if fault is not None:
            if message.act == "offer" and fault.code in MALFORMED:
                event = MalformedReceived(message.sender, message.msg_id)
                self._post(message.negotiation_id, event, message)
            return self._refuse(message, fault.code)
        assert isinstance(body, dict), "its schema has accepted it"
        if message.act == "cfp":
            return self._open(message, body, key)
        self._duplicates.remember(key, "", now)
        event_of = EVENT_OF[ACTS[message.act]]
        self._post(
            message.negotiation_id, event_of(message.sender, message.msg_id, body, now), message
        )
        return None

    def _fault_in(self, message: Message, body: object) -> Fault | None:
        if isinstance(body, JsonFault):
            return invalid_json(body)
        act = ACTS[message.act]
        uri = str(body.get("$schema", "")) if isinstance(body, dict) else ""
        judge = self._registry.judge(uri, act)
        if judge is not None and judge(body):
            return None
        schema = self._registry.resolve(uri, {})
        if not isinstance(schema, ShippedSchema):
            return self._registry.unknown(uri, act)
        return self._registry.explain(schema, act, body)

    def _open(self, message: Message, body: dict[str, Any], key: str) -> None:
        self._minted += 1
        call = call_of(
            body,
            negotiation_id=f"{self._tag}.{self._minted % SHARDS}.{self._minted:08d}",
            msg_id=message.msg_id,
            initiator=message.sender,
            tenant=TENANT,
            eligible=tuple(self._cast.contractors),
            policies=self._policies,
            limits=CALL_LIMITS,
            now=self._now,
        )
        if isinstance(call, Fault):
            return self._refuse(message, call.code)
        self._duplicates.remember(key, call.negotiation_id, self._now)
        self._post(call.negotiation_id, call, message)
        return None

    def _post(self, negotiation_id: str, event: Event | Call, message: Message) -> None:
        number = int(negotiation_id.split(".")[1])
        self._shards[number].post(self._now, negotiation_id, event, _Cause(message))
        self._look(number)

    def _look(self, number: int) -> None:
        """Let a shard do what is due, and look again when its next timer rings."""
        shard = self._shards[number]
        shard.turn()
        due = shard.table.next_deadline()
        waiting = self._looks[number]
        if due is not None and (waiting is None or due < waiting or waiting <= self._now):
            self._looks[number] = due
            self._at(max(due, self._now), self._look, number)

    def _perform(
        self,
        shard: Shard[_Cause],
        negotiation_id: str,
        event: Event | Call,
        effects: list[Effect] | None,
        cause: _Cause | None,
    ) -> None:
        """Carry out what a step asks for."""
        if effects is None:
            assert cause is not None, "only a message can come for a negotiation that is gone"
            return self._refuse(cause.message, "UNKNOWN_NEGOTIATION")
        if isinstance(event, Call) and not (effects and isinstance(effects[0], Refuse)):
            assert cause is not None, "a call is a message"
            self._cast.named(event.msg_id, negotiation_id)
            message = cause.message
            call = Message(message.sender, "cfp", message.msg_id, message.payload, negotiation_id)
            for agent in event.eligible:
                self._deliver(agent, call)
        for effect in effects:
            match effect:
                case Relay(recipient=recipient, turn=None):
                    assert cause is not None, "only a message can be relayed"
                    self._deliver(recipient, cause.message)
                case Tell(recipient=recipient, act=act, msg_id=msg_id, body=body):
                    told = Message(
                        GATEWAY, act, msg_id, b"", negotiation_id, effect.in_reply_to, body
                    )
                    self._deliver(recipient, told)
                case Refuse(code=code):
                    assert cause is not None, "only a message can be refused"
                    self._refuse(cause.message, code)
                case Finish():
                    kept = shard.table.close_record(negotiation_id)
                    if kept is not None:
                        self._kept(line_of(kept))
                case _:
                    pass  # turns of calls, which say nothing here; stakes, which no case has
        return None

    def _deliver(self, agent: str, message: Message) -> None:
        self._busy_until = max(self._now, self._busy_until) + DELIVER_SECONDS
        self._at(self._crossed(self._down, agent, self._busy_until), self._hear, (agent, message))

    def _refuse(self, message: Message, code: str) -> None:
        self._busy_until = max(self._now, self._busy_until) + DELIVER_SECONDS
        at = self._crossed(self._down, message.sender, self._busy_until)
        self._at(at, self._hear_refusal, (message, code))

    def _hear_refusal(self, refusal: tuple[Message, str]) -> None:
        message, code = refusal
        self._cast.refused(message.sender, message.msg_id, code, self._now)
