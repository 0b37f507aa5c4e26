"""Many negotiations: the next deadline, bounds, records, snapshots.

A `Table` is what one shard works on. It holds the state of each negotiation, knows which timer
comes next, and forgets: a finished negotiation stays for its linger, so that whoever comes late
is answered, and at most `limit_finished` stay.

A `Record` is everything a negotiation was made of; `replay` makes it again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Reversible, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from policy.call import Call
from policy.effects import Effect, Refuse
from policy.events import (
    CounterReceived,
    DeadlinePassed,
    Event,
    OfferReceived,
    RevisedCallReceived,
)
from policy.fairness import Fairness
from policy.fairness import objection as unfairness
from policy.protocols import PROTOCOLS, Protocol
from policy.states import CommonTerms, Negotiation

DUE_MAX = 1_024
"""How many negotiations one look at the clock yields; the next look yields more."""
IDLE_EVENTS_MAX = 1_000
"""How many events that changed nothing a record keeps; those that did are all kept."""
WHOLE_EVENTS_MAX = 32
"""How many of those a record keeps with their payloads, because they were refused for them."""
_STALE_TIMERS_MAX = 1_024


@dataclass(frozen=True, slots=True)
class Record:
    """A call and all that happened to it, with the times."""

    call: Call
    opened_at: float
    events: tuple[tuple[float, Event], ...]
    effects: tuple[Sequence[Effect], ...] = field(default=(), compare=False)
    """What the opening and each event led to when it was live; empty where nobody knows."""


def replay(record: Record, protocols: Mapping[str, Protocol] = PROTOCOLS) -> list[list[Effect]]:
    """Return the effects of the opening and of each event, as they were when it was live."""
    return [effects for _, effects in trace(record, protocols)]


def trace(
    record: Record, protocols: Mapping[str, Protocol] = PROTOCOLS
) -> Iterator[tuple[Negotiation, list[Effect]]]:
    """Yield every state with the effects that led to it, from the opening on.

    Raises KeyError for a protocol that is not among `protocols`.
    """
    protocol = protocols[record.call.protocol]
    state, effects = protocol.open_call(record.call, record.opened_at)
    yield state, effects
    for now, event in record.events:
        state, effects = protocol.step(state, event, now)
        yield state, effects


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a table holds, as a value."""

    states: tuple[Negotiation, ...]
    records: tuple[Record, ...]
    """Empty unless the table keeps records."""


class _Diary:
    """What happens to one negotiation, while it happens."""

    __slots__ = ("call", "effects", "events", "idle", "opened_at", "whole")

    def __init__(self, call: Call, opened_at: float, effects: list[Effect]) -> None:
        self.call = call
        self.opened_at = opened_at
        self.events: list[tuple[float, Event]] = []
        self.effects: list[Sequence[Effect]] = [effects]
        self.idle = self.whole = 0

    def note_whole(self, now: float, event: Event, effects: list[Effect]) -> None:
        """Note an event that was refused for its payload, while there is room for so much."""
        self.whole += 1
        if self.whole <= WHOLE_EVENTS_MAX:
            self.note_idle(now, event, effects)

    def note_idle(self, now: float, event: Event, effects: list[Effect]) -> None:
        """Note an event that changed nothing, while there is room for such events."""
        self.idle += 1
        if self.idle <= IDLE_EVENTS_MAX:
            self.events.append((now, event))
            self.effects.append(effects)


class Table:
    """The negotiations of one shard, by their ids."""

    def __init__(
        self,
        limit_open: int = 10_000,
        limit_finished: int = 10_000,
        *,
        keep_records: bool = False,
        protocols: Mapping[str, Protocol] = PROTOCOLS,
    ) -> None:
        self._limit_open = limit_open
        self._limit_finished = limit_finished
        self._protocols = protocols
        self._steps = {name: protocol.step for name, protocol in protocols.items()}
        self._states: dict[str, Negotiation] = {}
        self._finished: dict[str, None] = {}  # in the order in which they ended
        self._timers: list[tuple[float, str]] = []  # some of them stale
        self._keep_records = keep_records
        self._diaries: dict[str, _Diary] = {}

    def __len__(self) -> int:
        """Return how many negotiations are known, finished ones included."""
        return len(self._states)

    @property
    def open_count(self) -> int:
        """Return how many negotiations are not over."""
        return len(self._states) - len(self._finished)

    def __repr__(self) -> str:
        return f"<Table: {self.open_count} open, {len(self._finished)} finished>"

    def knows(self, negotiation_id: str) -> bool:
        """Tell whether a negotiation is open, or ended a short while ago."""
        return negotiation_id in self._states

    def ids(self) -> Reversible[str]:
        """Return the ids of all that are known, in the order in which they came.

        Not to be kept while the table changes.
        """
        return self._states.keys()

    def state(self, negotiation_id: str) -> Negotiation | None:
        """Return where a negotiation stands."""
        return self._states.get(negotiation_id)

    def open(self, call: Call, now: float) -> list[Effect]:
        """Open a negotiation; a call that cannot be opened is answered by a Refuse.

        Opening the same call again changes nothing and is answered by nothing.
        """
        known = self._states.get(call.negotiation_id)
        if known is not None:
            return [] if known.terms.call.msg_id == call.msg_id else [_id_taken(call)]
        if self.open_count >= self._limit_open:
            return [_overloaded(call, self._limit_open)]
        protocol = self._protocols.get(call.protocol)
        refusal = _unknown_protocol(call) if protocol is None else protocol.objection(call)
        if refusal is None and call.fairness is not None:
            refusal = _unfair(call, call.fairness)
        if protocol is None or refusal is not None:
            return [] if refusal is None else [refusal]
        state, effects = protocol.open_call(call, now)
        if self._keep_records:
            self._diaries[call.negotiation_id] = _Diary(call, now, effects)
        self._enter(call.negotiation_id, state)
        return effects

    def apply(self, negotiation_id: str, event: Event, now: float) -> list[Effect] | None:
        """Apply an event; None if no such negotiation is known.

        The timer of a finished negotiation forgets it.
        """
        state = self._states.get(negotiation_id)
        if state is None:
            return None
        if type(event) is DeadlinePassed and now >= state.due and state.is_final:
            self._forget(negotiation_id)
            return []
        step = self._steps[state.terms.call.protocol]
        changed, effects = step(state, event, now)
        diary = self._diaries.get(negotiation_id)
        if changed is state:
            if diary is not None:
                slight = _slight(event)
                if slight is event or step(state, slight, now) == (state, effects):
                    diary.note_idle(now, slight, effects)
                else:
                    diary.note_whole(now, event, effects)
        else:
            if diary is not None:
                diary.events.append((now, event))
                diary.effects.append(effects)
            self._states[negotiation_id] = changed
            if changed.due != state.due or changed.phase is not state.phase:
                self._enter(negotiation_id, changed)
        return effects

    def next_deadline(self) -> float | None:
        """Return when the next timer comes, or None if nothing waits."""
        self._drop_stale()
        return self._timers[0][0] if self._timers else None

    def due(self, now: float) -> list[str]:
        """Return the negotiations whose timer has come, the earliest first, at most 1,024.

        Each wants a DeadlinePassed; until it is applied it stays due.
        """
        due: list[tuple[float, str]] = []
        self._drop_stale()
        while self._timers and self._timers[0][0] <= now and len(due) < DUE_MAX:
            due.append(heapq.heappop(self._timers))
            self._drop_stale()
        for timer in due:
            heapq.heappush(self._timers, timer)
        return list(dict.fromkeys(negotiation_id for _, negotiation_id in due))

    def record(self, negotiation_id: str) -> Record | None:
        """Return what a negotiation was made of so far, if that was recorded from its start."""
        diary = self._diaries.get(negotiation_id)
        return None if diary is None else _record(diary)

    def give_up(self, negotiation_id: str) -> Record | None:
        """Forget a negotiation that is not over and return what it was made of, or None."""
        record = self.record(negotiation_id)
        if record is None or negotiation_id in self._finished:
            return None
        self._forget(negotiation_id)
        return record

    def close_record(self, negotiation_id: str) -> Record | None:
        """Return what a negotiation was made of, and note no more of it.

        While a report is still awaited the record goes on: then it is returned as it stands.
        """
        record = self.record(negotiation_id)
        state = self._states.get(negotiation_id)
        if state is not None and state.is_final:
            self._diaries.pop(negotiation_id, None)
        return record

    def open_terms(self) -> Iterator[CommonTerms]:
        """Yield the terms of the negotiations that are not over."""
        finished = self._finished
        for negotiation_id, state in self._states.items():
            if negotiation_id not in finished:
                yield state.terms

    def snapshot(self) -> Snapshot:
        """Return everything as a value; finished negotiations come first, the oldest first."""
        finished = [self._states[negotiation_id] for negotiation_id in self._finished]
        still_open = [state for id_, state in self._states.items() if id_ not in self._finished]
        return Snapshot((*finished, *still_open), tuple(map(_record, self._diaries.values())))

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what another table held; what is known here already stays."""
        for record in snapshot.records:
            if self._keep_records and not self.knows(record.call.negotiation_id):
                diary = _Diary(record.call, record.opened_at, [])
                diary.events.extend(record.events)
                diary.effects = list(record.effects or replay(record, self._protocols))
                self._diaries[record.call.negotiation_id] = diary
        for state in snapshot.states:
            negotiation_id = state.terms.call.negotiation_id
            if not self.knows(negotiation_id):
                self._enter(negotiation_id, state)

    def _enter(self, negotiation_id: str, state: Negotiation) -> None:
        """Keep a state that is new or has a new timer; bound what is finished."""
        self._states[negotiation_id] = state
        heapq.heappush(self._timers, (state.due, negotiation_id))
        if state.is_final and negotiation_id not in self._finished:
            self._finished[negotiation_id] = None
            if len(self._finished) > self._limit_finished:
                self._forget(next(iter(self._finished)))
        if len(self._timers) > 2 * len(self._states) + _STALE_TIMERS_MAX:
            self._timers = [(state.due, id_) for id_, state in self._states.items()]
            heapq.heapify(self._timers)

    def _forget(self, negotiation_id: str) -> None:
        del self._states[negotiation_id]
        self._finished.pop(negotiation_id, None)
        self._diaries.pop(negotiation_id, None)

    def _drop_stale(self) -> None:
        """Bring a timer to the front that still means something."""
        timers = self._timers
        while timers:
            due, negotiation_id = timers[0]
            state = self._states.get(negotiation_id)
            if state is not None and state.due == due:
                return
            heapq.heappop(timers)


def _slight(event: Event) -> Event:
    """Return an event that changed nothing with no more than its replay needs, most of the time.

    Anybody can send offers that do not count, each with a payload of its own.
    """
    match event:
        case OfferReceived(fields=fields) if fields:
            kept = {"round": fields["round"]} if "round" in fields else {}
            return replace(event, fields=kept)
        case CounterReceived():
            return replace(event, terms={}, conditions=())
        case RevisedCallReceived():
            return replace(event, fields={})
        case _:
            return event


def _record(diary: _Diary) -> Record:
    return Record(diary.call, diary.opened_at, tuple(diary.events), tuple(diary.effects))


def _id_taken(call: Call) -> Refuse:
    return Refuse(
        call.initiator,
        call.msg_id,
        "DUPLICATE",
        "another call has this negotiation id",
        "leave the id to the gateway",
    )


def _unfair(call: Call, fairness: Fairness) -> Refuse | None:
    second_price = call.acceptance.select == "vickrey" or call.options.get("price") == "second"
    return unfairness(
        fairness, call.initiator, call.msg_id, len(call.eligible), second_price=second_price
    )


def _unknown_protocol(call: Call) -> Refuse:
    return Refuse(
        call.initiator,
        call.msg_id,
        "UNKNOWN_PROTOCOL",
        "the gateway does not speak this negotiation protocol",
        "leave protocol out, or name one that it speaks",
    )


def _overloaded(call: Call, limit: int) -> Refuse:
    return Refuse(
        call.initiator,
        call.msg_id,
        "OVERLOADED",
        f"{limit} negotiations are open here",
        "call again later",
    )
