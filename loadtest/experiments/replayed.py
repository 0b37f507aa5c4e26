"""Recorded negotiations once more, on another number of gateways: are the decisions the same?

`llmx replay` plays each record by itself and compares to the byte. Here all of a run are played
together, spread over other gateways and shards under other ids, with timers that ring by
themselves. What must be the same is what was decided: state, reason, winners, prices, ranking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.record_format import recorded_in
from gateway.replaying import Replay, lines_of
from policy.call import Call
from policy.effects import Effect, Finish
from policy.events import DeadlinePassed, Event
from policy.shard import Shard
from policy.table import Record, Table

SHARDS = 4
DECIDED = ("state", "reason", "closed_by", "policy", "offers", "complete", "winners", "ranking")
"""What of an outcome is the decision; the rest are ids and moments."""
GATEWAYS = (1, 3)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of playing a run's records again."""

    records: int
    differing: int
    """Records that do something else to the byte, one by one."""
    hashes: Mapping[int, str]
    """By the number of gateways, what they decided."""

    @property
    def is_same(self) -> bool:
        """Tell whether nothing differs anywhere."""
        return not self.differing and len(set(self.hashes.values())) <= 1


def replayed(path: Path, gateways: Sequence[int] = GATEWAYS) -> Replayed:
    """Play the records of a file again, each alone and all together."""
    replay = Replay()
    differing = sum(not replay.judge(line).is_good for line in lines_of([path]))
    with path.open("rb") as file:
        records = [recorded_in(line).record for line in file if line.strip()]
    hashes = {0: decided(_outcomes_of(records))}
    hashes |= {count: decided(_play(records, count)) for count in gateways}
    return Replayed(len(records), differing, hashes)


def decided(outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the SHA-256 of decisions by the msg_id of their calls."""
    kept = [
        (msg_id, {name: outcome.get(name) for name in DECIDED})
        for msg_id, outcome in sorted(outcomes.items())
    ]
    return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()


def _outcomes_of(records: Iterable[Record]) -> dict[str, Mapping[str, Any]]:
    """Return the outcomes as each record by itself leads to them."""
    outcomes = {}
    for record in records:
        table = Table()
        effects = list(table.open(record.call, record.opened_at))
        for at, event in record.events:
            effects += table.apply(record.call.negotiation_id, event, at) or []
        for effect in effects:
            if isinstance(effect, Finish):
                outcomes[record.call.msg_id] = effect.outcome
    return outcomes


def _play(records: Sequence[Record], gateways: int) -> dict[str, Mapping[str, Any]]:
    """Return what so many gateways decide of the same calls and the same acts."""
    outcomes: dict[str, Mapping[str, Any]] = {}
    now = 0.0
    call_of: dict[str, str] = {}

    def perform(
        shard: Shard[None],
        negotiation_id: str,
        event: Event | Call,
        effects: list[Effect] | None,
        cause: None,
    ) -> None:
        for effect in effects or []:
            if isinstance(effect, Finish):
                outcomes[call_of[negotiation_id]] = effect.outcome

    shards = {
        (gateway, number): Shard[None](
            number, Table(1_000_000, 1_000_000), lambda: now, perform, 1_000_000
        )
        for gateway in range(gateways)
        for number in range(SHARDS)
    }
    moments: list[tuple[float, int, int, str, Event | Call]] = []
    owner: dict[str, Shard[None]] = {}
    for place, record in enumerate(records):
        gateway, number = place % gateways, place // gateways % SHARDS
        negotiation_id = f"replay-{gateway}.{number}.{place:08d}"
        call_of[negotiation_id] = record.call.msg_id
        owner[negotiation_id] = shards[gateway, number]
        call = msgspec.structs.replace(record.call, negotiation_id=negotiation_id)
        moments.append((record.opened_at, place, 0, negotiation_id, call))
        latest = record.opened_at
        for step, (at, event) in enumerate(record.events, 1):
            latest = max(latest, at)  # what a worker judged comes later than it was received
            if not isinstance(event, DeadlinePassed):
                moments.append((latest, place, step, negotiation_id, event))
    for moment in sorted(moments, key=lambda one: one[:3]):
        now, _, _, negotiation_id, what = moment
        owner[negotiation_id].post(now, negotiation_id, what, None)
        owner[negotiation_id].turn()
    for shard in shards.values():
        while (due := shard.table.next_deadline()) is not None:
            now = due
            shard.fire_timers(due)
    return outcomes
