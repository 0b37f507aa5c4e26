"""What happened in durable negotiations, so that a gateway that starts again goes on with them.

A negotiation is a function of its call and its events with their times, so those are what is
kept: the *opening* and then, in order, each event that changed something. Whoever writes
one writes the messages that it caused in the same batch. To restore means to apply the same
events to a fresh table and to drop the effects: what they asked for is in the mailboxes.

The journal of a negotiation goes when the table has forgotten it, and nothing else is deleted with
it: a message that waits goes its own way.
"""

from __future__ import annotations

import typing

import msgspec

from gateway.store import Row, Statement, Store
from policy.call import Call
from policy.events import Event
from policy.states import Negotiation

OPEN = "INSERT OR REPLACE INTO negotiations (id, opening) VALUES (?, ?)"
APPEND = "INSERT OR REPLACE INTO events (negotiation, number, event) VALUES (?, ?, ?)"
FORGET = (
    "DELETE FROM negotiations WHERE id = ?",
    "DELETE FROM events WHERE negotiation = ?",
)
OPENINGS = "SELECT id, opening FROM negotiations WHERE id > ? ORDER BY id LIMIT ?"
EVENTS = (
    "SELECT number, event FROM events WHERE negotiation = ? AND number > ? ORDER BY number LIMIT ?"
)
ROWS_MAX = 1_000
"""Rows that are read at once when the gateway starts."""

EVENT_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in typing.get_args(Event)}


class Opening(msgspec.Struct, frozen=True):
    """How a durable negotiation began."""

    tenant: str
    call: Call
    opened_at: float
    topics: tuple[str | None, ...]
    """On which topic each of the eligible agents heard the call; None: directly."""


class _Happened(msgspec.Struct, frozen=True, array_like=True):
    """One event, by the name of its kind."""

    at: float
    kind: str
    event: msgspec.Raw


class Story(msgspec.Struct, frozen=True):
    """One durable negotiation as it stands on the disk."""

    opening: Opening
    events: list[tuple[float, Event]]


_encode = msgspec.msgpack.Encoder().encode
_decode_opening = msgspec.msgpack.Decoder(Opening).decode
_decode_happened = msgspec.msgpack.Decoder(_Happened).decode
_decoders = {name: msgspec.msgpack.Decoder(kind).decode for name, kind in EVENT_KINDS.items()}


class Journal:
    """The durable negotiations of one gateway that are not forgotten yet."""

    def __init__(self) -> None:
        """Start empty."""
        self._events: dict[str, int] = {}
        self._states: dict[str, Negotiation | None] = {}

    def __len__(self) -> int:
        """Return how many negotiations have a journal."""
        return len(self._events)

    def __contains__(self, negotiation_id: object) -> bool:
        """Tell whether a negotiation has a journal."""
        return negotiation_id in self._events

    @property
    def negotiation_ids(self) -> list[str]:
        """Return every negotiation that has a journal."""
        return list(self._events)

    def open(self, opening: Opening, state: Negotiation | None) -> list[Statement]:
        """Begin a journal; returns what writes it. `state` is what the opening led to."""
        negotiation_id = opening.call.negotiation_id
        self._events[negotiation_id] = 0
        self._states[negotiation_id] = state
        return [(OPEN, (negotiation_id, _encode(opening)))]

    def note(
        self, negotiation_id: str, at: float, event: Event, state: Negotiation | None
    ) -> list[Statement]:
        """Return what writes an event that led to `state`; nothing if it changed nothing.

        When the table has forgotten the negotiation (None) the journal ends.
        """
        if state is None:
            return self.forget(negotiation_id)
        if state is self._states[negotiation_id]:
            return []
        self._states[negotiation_id] = state
        number = self._events[negotiation_id] = self._events[negotiation_id] + 1
        return [(APPEND, (negotiation_id, number, encoded(at, event)))]

    def forget(self, negotiation_id: str) -> list[Statement]:
        """End a journal; returns what deletes it."""
        self._events.pop(negotiation_id, None)
        self._states.pop(negotiation_id, None)
        return [(sql, (negotiation_id,)) for sql in FORGET]

    def resume(self, story: Story, state: Negotiation | None) -> None:
        """Go on with the journal of a negotiation that was restored to `state`."""
        negotiation_id = story.opening.call.negotiation_id
        self._events[negotiation_id] = len(story.events)
        self._states[negotiation_id] = state


def encoded(at: float, event: Event) -> bytes:
    """Return an event with its time as bytes."""
    return _encode((at, type(event).__name__, event))


def decoded(row: bytes) -> tuple[float, Event]:
    """Return an event with its time from bytes."""
    happened = _decode_happened(row)
    return happened.at, _decoders[happened.kind](happened.event)


async def stories(store: Store) -> list[Story]:
    """Return every durable negotiation that the disk holds."""
    found: list[Story] = []
    last = ""
    while True:
        rows = await store.read(OPENINGS, (last, ROWS_MAX))
        for id_, opening in rows:
            found.append(Story(_decode_opening(opening), await _events(store, id_)))
            last = id_
        if len(rows) < ROWS_MAX:
            return found


async def _events(store: Store, negotiation_id: str) -> list[tuple[float, Event]]:
    rows: list[Row] = []
    while True:
        last = rows[-1][0] if rows else 0
        more = await store.read(EVENTS, (negotiation_id, last, ROWS_MAX))
        rows += more
        if len(more) < ROWS_MAX:
            return [decoded(event) for _, event in rows]
