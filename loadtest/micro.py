"""What the parts of the gateway cost by themselves, without a wire.

Each cost is the best of several timings of the product's own functions: the best, because
everything that disturbs a timing makes it longer. They are costs per round of twelve
contractors where it says so; what a round costs in all is measured in `rounds`.
"""

from __future__ import annotations

import gc
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway import strict_json
from gateway.allowances import AllowanceLimits, Allowances
from gateway.duplicates import Duplicates
from gateway.logs import set_up_logs
from gateway.metrics import Metrics
from gateway.outbox import Parcel
from gateway.records import Recorder
from gateway.schemas import SchemaRegistry
from gateway.settings import LogSettings
from llmx.v1 import envelope_pb2
from loadtest import messages
from loadtest.messages import Pieces
from loadtest.soak.drawers import DRAWERS
from policy.acceptance import PROFILES
from policy.call import Call
from policy.effects import Effect, Finish
from policy.events import Event, OfferReceived
from policy.protocols import PROTOCOLS
from policy.table import Record, Table

CONTRACTORS = 12
ROUNDS = 300
TIMINGS = 7


@dataclass(frozen=True, slots=True)
class Cost:
    """What one thing costs."""

    what: str
    microseconds: float


def costs() -> list[Cost]:
    """Return what the parts cost; takes about two seconds."""
    return [
        *_policy_costs(),
        *_protocol_costs(),
        *_record_costs(),
        *_metrics_costs(),
        *_admission_costs(),
    ]


def best_of(what: str, times: int, run: Callable[[], object], timings: int = TIMINGS) -> Cost:
    """Return the cost of one of `times` things that `run` does in one go."""
    best = float("inf")
    run()
    gc.collect()
    gc.disable()
    try:
        for _ in range(timings):
            started = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - started)
    finally:
        gc.enable()
    return Cost(what, best / times * 1e6)


def _policy_costs() -> list[Cost]:
    plain = kept = float("inf")
    for _ in range(TIMINGS):  # turn about, because the difference is small
        once = best_of("", ROUNDS, lambda: _play(Table()), 1)
        plain = min(plain, once.microseconds)
        once = best_of("", ROUNDS, lambda: _play(Table(keep_records=True)), 1)
        kept = min(kept, once.microseconds)
    # The events exist already where a gateway runs: building them is the codec's.
    steps = CONTRACTORS + 1
    return [
        Cost("policy engine: a round of 12 (call, 12 offers, award)", plain),
        Cost("policy engine: one of its 13 steps", plain / steps),
        Cost("record: keeping that round's events", kept - plain),
        Cost("record: one event", (kept - plain) / steps),
    ]


def _protocol_costs() -> list[Cost]:
    """Time the steps of a typical negotiation of each protocol, by themselves."""
    return [
        _step_cost(name, *drawer.typical())
        for name, drawer in DRAWERS.items()
        if drawer.typical is not None
    ]


def _step_cost(name: str, call: Call, events: Sequence[tuple[float, Event]]) -> Cost:
    protocol = PROTOCOLS[name]
    state, _ = protocol.open_call(call, 0.0)
    before = []
    for now, event in events:
        before.append((state, event, now))
        state, _ = protocol.step(state, event, now)
    step = protocol.step

    def steps() -> None:
        for _ in range(ROUNDS):
            for state, event, now in before:
                step(state, event, now)

    return best_of(f"{name}: one of {len(before)} steps", ROUNDS * len(before), steps)


def _play(table: Table) -> list[Effect]:
    effects: list[Effect] = []
    for number in range(ROUNDS):
        effects = _play_one(table, f"gateway.0.{number}", 0.0)
    return effects


def _play_one(table: Table, negotiation_id: str, now: float) -> list[Effect]:
    table.open(_call(negotiation_id), now)
    effects: list[Effect] | None = []
    for offer in _OFFERS:
        effects = table.apply(negotiation_id, offer, now)
    assert effects, "the last offer closes the round"
    return effects


def _call(negotiation_id: str) -> Call:
    return Call(
        negotiation_id=negotiation_id,
        initiator="agent://alice",
        msg_id=negotiation_id,
        eligible=_ELIGIBLE,
        acceptance=PROFILES["flow/high"],
        closes_at=60.0,
        opened_at=0.0,
    )


_ELIGIBLE = tuple(f"agent://contractor-{index}" for index in range(CONTRACTORS))
_OFFERS = [
    OfferReceived(agent, f"offer-{index}", value=40.0 + index * 7 % 13, fields={})
    for index, agent in enumerate(_ELIGIBLE)
]


def _record_costs() -> list[Cost]:
    table = Table(keep_records=True)
    finish = _play_one(table, "gateway.0.1", 0.0)[-1]
    assert isinstance(finish, Finish), "a finished round says so last"
    record = table.record("gateway.0.1")
    outcome = dict(finish.outcome)
    return [
        *_recorder_costs("record and its log line", record, outcome, "info"),
        *_recorder_costs("record without a log line", record, outcome, "error"),
    ]


def _recorder_costs(
    what: str, record: Record | None, outcome: dict[str, object], level: str
) -> list[Cost]:
    """Time the recorder at a log level; puts the log settings back as they come."""
    set_up_logs(LogSettings.model_validate({"level": level, "format": "json"}), io.StringIO())
    with tempfile.TemporaryDirectory(prefix="llmx-micro-") as folder:
        recorders = {
            "in memory": Recorder(1_000, None),
            "to a file": Recorder(1_000, Path(folder, "records.jsonl")),
        }
        try:
            return [
                best_of(
                    f"{what}: a finished round, {where}",
                    ROUNDS,
                    lambda recorder=recorder: _times(  # type: ignore[misc]
                        lambda: recorder.finished(record, outcome)
                    ),
                )
                for where, recorder in recorders.items()
            ]
        finally:
            for recorder in recorders.values():
                recorder.close()
            structlog.reset_defaults()


def _times(run: Callable[[], object]) -> None:
    for _ in range(ROUNDS):
        run()


def _metrics_costs() -> list[Cost]:
    metrics = Metrics()

    def count() -> None:
        for _ in range(ROUNDS):
            metrics.delivered += 1

    return [
        best_of("metrics: one count", ROUNDS, count),
        best_of(
            "metrics: one decision time", ROUNDS, lambda: _times(lambda: metrics.decided(0.004))
        ),
    ]


def _admission_costs() -> list[Cost]:
    payload = messages.as_bytes(messages.offer_payload(contractor=3, variant=2))
    envelope = _offer_envelope(payload)
    registry = SchemaRegistry()
    judge = registry.judge(messages.SCHEMA, envelope_pb2.ACT_OFFER)
    assert judge is not None, "the shipped schema judges offers"
    value = strict_json.parse(payload)
    assert judge(value), "the offer of the benchmark is valid"
    allowances = Allowances(AllowanceLimits(1e6, 1e6), 1)
    allowance = allowances.join("bench", "bench|agent://bob|", 0.0)
    duplicates = Duplicates(300.0, 1_000_000, 0.0)
    ids = [f"agent://bob-{number}" for number in range(ROUNDS)]

    def look_up() -> None:
        for key in ids:
            if duplicates.find(key) is None:
                duplicates.remember(key, "", 0.0)

    return [
        best_of(
            "admission of an offer: envelope parsed",
            ROUNDS,
            lambda: _times(lambda: envelope_pb2.Envelope.FromString(envelope)),
        ),
        best_of(
            "admission of an offer: strict JSON",
            ROUNDS,
            lambda: _times(lambda: strict_json.parse(payload)),
        ),
        best_of("admission of an offer: schema", ROUNDS, lambda: _times(lambda: judge(value))),
        best_of(
            "admission of an offer: rate",
            ROUNDS,
            lambda: _times(lambda: allowance.take(0.0, len(envelope))),
        ),
        best_of("admission of an offer: duplicate", ROUNDS, look_up),
        best_of(
            "delivery: one parcel",
            ROUNDS,
            lambda: _times(lambda: Parcel("m", envelope, 1.0, "agent://bob", "g.0.1", True)),
        ),
    ]


def _offer_envelope(payload: bytes) -> bytes:
    pieces: list[bytes] = []
    offer = Pieces(
        "bench-",
        7,
        "-003",
        messages.rest_of_envelope(
            "agent://bob", ["agent://alice"], envelope_pb2.ACT_OFFER, payload
        ),
    )
    offer.put(pieces, b"0000001", messages.answer_suffix("gateway.0.1", "bench-0000001"))
    # The first pieces hold the tag and length of a batch entry; what follows is the envelope.
    framed = b"".join(pieces)
    return framed[3:]
