"""What waits for agents that are away, and what was promised to survive a crash.

The index knows every message in order; the bytes are in memory first and, with a store, soon on
the disk. Three ways lead in:

- *keep*: an agent is away, so a message for it waits here. It is written when the next upkeep
  comes, unless its agent came first. If the disk fails it stays in memory: nothing is lost by that.
- *put back*: an agent stayed away longer than its grace, so what its outbox held waits here.
- *promise*, *fulfil*: a durable message. Room is reserved, its row is written, and only when
  the disk has it does it go on, into the outbox or behind what waits already.

One way leads out: `take` hands the next messages over to an outbox, and `settle` forgets them when
they are acknowledged, expired or withheld. Until then the disk keeps them, so after
a crash some may come a second time, and none is missing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import structlog

from gateway.mailbox_index import Entry, MailboxIndex
from gateway.outbox import Parcel, Pushed
from gateway.store import Row, Statement, Store

SAVE_MAX = 2_000
"""Messages that one upkeep writes, so that a crowd that leaves does not fill the queue."""
SAVE_BYTES_MAX = 8 * 1024 * 1024
EXPIRE_MAX = 2_000
"""Messages that one upkeep expires; their senders are told of each."""
RESTORE_MAX = 1_000
"""Rows that are read at once when the gateway starts."""

INSERT = "INSERT OR REPLACE INTO parcels (id, owner, place, head, envelope) VALUES (?, ?, ?, ?, ?)"
MOVE = "UPDATE parcels SET place = ? WHERE id = ?"
DELETE = "DELETE FROM parcels WHERE id = ?"
HEADS = (
    "SELECT id, owner, place, head, length(envelope) FROM parcels WHERE id > ? ORDER BY id LIMIT ?"
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Parcel).decode


@dataclass(frozen=True, slots=True)
class MailboxLimits:
    """How much may wait."""

    messages_per_agent_max: int
    bytes_per_agent_max: int
    messages_max: int
    bytes_max: int
    tenant_share: float = 1.0
    """The part of both that one tenant may use."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A durable message for one agent on its way to the disk."""

    owner: str
    entry: Entry
    parcel: Parcel


class Mailbox:
    """The boxes of all agents of a gateway, by their owner keys."""

    def __init__(self, limits: MailboxLimits, store: Store | None) -> None:
        """Keep messages in `store`, or in memory only."""
        self.index = MailboxIndex(
            limits.messages_per_agent_max,
            limits.bytes_per_agent_max,
            limits.messages_max,
            limits.bytes_max,
            limits.tenant_share,
        )
        self._store = store
        self._log = structlog.get_logger("llmx.mailbox").bind()
        self._unsaved: dict[tuple[str, str], Entry] = {}
        self._ids = 0
        self._last_place = 0
        self._first_place = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        where = "memory" if self._store is None else repr(self._store)
        return f"<Mailbox: {self.index!r}, {len(self._unsaved)} unsaved, in {where}>"

    def keep(self, owner: str, parcel: Parcel) -> Pushed:
        """Let a message wait for its agent."""
        pushed = self.index.reserve(owner, parcel)
        if pushed is Pushed.QUEUED:
            entry = self._entry(parcel)
            self.index.add(owner, entry)
            self._unsaved[owner, parcel.msg_id] = entry
        return pushed

    def _entry(self, parcel: Parcel) -> Entry:
        self._last_place += 1
        return Entry(0, self._last_place, len(parcel.envelope), parcel)

    def put_back(self, owner: str, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Let what an outbox held wait again, before all that waits; returns what has no room."""
        entries: list[Entry] = []
        for parcel in parcels:
            known = self.index.find(owner, parcel.msg_id)
            entries.append(self._entry(parcel) if known is None else known)
        homeless = self.index.put_back(owner, entries)
        if homeless:
            gone = set(map(id, homeless))
            entries = [entry for entry in entries if id(entry) not in gone]
        in_order = all(a.place < b.place for a, b in pairwise(entries))
        if not in_order or not all(entry.is_saved for entry in entries):
            self._move_to_front(entries)
        for entry in entries:
            if not entry.id:
                self._unsaved[owner, entry.parcel.msg_id] = entry
        return [entry.parcel for entry in homeless]

    def _move_to_front(self, entries: list[Entry]) -> None:
        self._first_place -= len(entries)
        for place, entry in enumerate(entries, self._first_place):
            entry.place = place
        moved = [(MOVE, (entry.place, entry.id)) for entry in entries if entry.is_saved]
        if moved and self._store is not None:
            self._store.write(moved)

    def promise(self, owner: str, parcel: Parcel) -> Promise | Pushed:
        """Reserve room for a durable message; the answer is what hinders it, if anything does."""
        pushed = self.index.reserve(owner, parcel)
        if pushed is not Pushed.QUEUED:
            return pushed
        entry = self._entry(msgspec.structs.replace(parcel, durable=True))
        entry.id = self._next_id()
        return Promise(owner, entry, entry.parcel)

    def statement(self, promise: Promise) -> Statement:
        """Return what writes a promised message."""
        return self._insert(promise.owner, promise.entry)

    def fulfil(self, promise: Promise, *, taken: bool) -> bool:
        """Let a message that the disk has be taken by the outbox, or wait.

        False when a message with its id has come meanwhile: there is nothing to deliver.
        """
        entry = promise.entry
        entry.is_saved = True
        entry.parcel = _head(entry.parcel)
        if self.index.add(promise.owner, entry, taken=taken):
            return True
        self._delete([entry])
        return False

    def renounce(self, promise: Promise) -> None:
        """Give the room of a message back that will not be written."""
        self.index.release(promise.owner, promise.entry.size)

    def settle(self, owner: str, msg_ids: Iterable[str]) -> None:
        """Forget messages that are acknowledged, expired or withheld."""
        self._delete([self._remove(owner, msg_id) for msg_id in msg_ids])

    def _remove(self, owner: str, msg_id: str) -> Entry | None:
        self._unsaved.pop((owner, msg_id), None)
        return self.index.remove(owner, msg_id)

    def _delete(self, entries: Iterable[Entry | None]) -> None:
        """Delete the rows of what is on the disk; a row on its way there is deleted on arrival."""
        rows = [(DELETE, (entry.id,)) for entry in entries if entry is not None and entry.is_saved]
        if rows and self._store is not None:
            self._store.write(rows)

    async def take(self, owner: str, messages_max: int, bytes_max: int) -> list[Parcel]:
        """Return the next messages for an outbox, in order; none when the disk cannot be read.

        Those with `durable` are to be settled, the others (at most once) are settled already.
        """
        entries = self.index.take(owner, messages_max, bytes_max)
        for entry in entries:
            self._unsaved.pop((owner, entry.parcel.msg_id), None)
        # As they are now: one whose row is being written may have left its bytes to the disk
        # by the time others have been read.
        parcels = [entry.parcel for entry in entries]
        try:
            envelopes = await self._read([e.id for e in entries if not e.parcel.envelope])
        except sqlite3.Error as error:
            self._log.error("the mailbox could not be read", error=str(error))
            self.put_back(owner, parcels)
            return []
        except asyncio.CancelledError:  # the gateway stops, and saves what waits
            self.put_back(owner, parcels)
            raise
        taken: list[Parcel] = []
        for entry, parcel in zip(entries, parcels, strict=True):
            if self.index.find(owner, parcel.msg_id) is not entry:
                continue  # settled while the disk was read
            envelope = parcel.envelope or envelopes.get(entry.id)
            if envelope is None or not parcel.repeats:
                self._delete([self._remove(owner, parcel.msg_id)])
            if envelope is None:
                self._log.error("a message has vanished from the disk", msg_id=parcel.msg_id)
                continue
            taken.append(msgspec.structs.replace(parcel, envelope=envelope, durable=parcel.repeats))
        return taken

    async def _read(self, ids: list[int]) -> dict[int, bytes]:
        if not ids or self._store is None:
            return {}
        marks = ",".join("?" * len(ids))
        sql = f"SELECT id, envelope FROM parcels WHERE id IN ({marks})"
        return {row[0]: row[1] for row in await self._store.read(sql, tuple(ids))}

    def withhold(self, owner: str, unwanted: Callable[[Parcel], bool]) -> list[Parcel]:
        """Forget and return what waits and is `unwanted`."""
        entries = [one for one in self.index.all_waiting(owner) if unwanted(one.parcel)]
        self.settle(owner, [entry.parcel.msg_id for entry in entries])
        return [entry.parcel for entry in entries]

    def retract(self, owner: str, msg_id: str, negotiation_id: str) -> None:
        """Forget one message of a negotiation that is of no use any more, if it is kept."""
        entry = self.index.find(owner, msg_id)
        if entry is not None and entry.parcel.negotiation_id == negotiation_id:
            self.settle(owner, [msg_id])

    def clear(self, owner: str) -> list[Parcel]:
        """Forget and return everything that was kept for an agent."""
        entries = self.index.clear(owner)
        for entry in entries:
            self._unsaved.pop((owner, entry.parcel.msg_id), None)
        self._delete(entries)
        return [entry.parcel for entry in entries]

    def expire(self, now: float, tell: Callable[[str, Parcel], None]) -> None:
        """Forget messages that waited too long; `tell` hears of each, with its owner.

        What is told of them may be written too, and it is written first: a crash in between
        tells it twice.
        """
        over = self.index.expire(now, EXPIRE_MAX)
        for owner, entry in over:
            self._unsaved.pop((owner, entry.parcel.msg_id), None)
            tell(owner, entry.parcel)
        self._delete([entry for _, entry in over])

    @property
    def unsaved(self) -> int:
        """Return how many messages are in memory only."""
        return len(self._unsaved)

    def save(self) -> None:
        """Write some of what is in memory only, if the disk may take it."""
        store = self._store
        if store is None or not self._unsaved or not store.is_available or not store.has_room:
            return
        size = 0
        chosen: dict[tuple[str, str], Entry] = {}
        for key, entry in self._unsaved.items():
            size += entry.size
            if chosen and (len(chosen) >= SAVE_MAX or size > SAVE_BYTES_MAX):
                break
            chosen[key] = entry
        statements: list[Statement] = []
        for key, entry in chosen.items():
            del self._unsaved[key]
            entry.id = self._next_id()
            statements.append(self._insert(key[0], entry))
        places = [entry.place for entry in chosen.values()]
        store.write(statements, lambda done: self._saved(chosen, places, done), keep=False)

    def _saved(self, chosen: dict[tuple[str, str], Entry], places: list[int], done: bool) -> None:
        """Leave to the disk what it has, and mend what has changed on the way."""
        mends: list[Statement] = []
        for (owner, msg_id), place, entry in zip(chosen, places, chosen.values(), strict=True):
            is_here = self.index.find(owner, msg_id) is entry
            if not done:
                entry.id = 0
                if is_here:
                    self._unsaved[owner, msg_id] = entry
            elif not is_here:
                mends.append((DELETE, (entry.id,)))
            else:
                entry.is_saved = True
                entry.parcel = _head(entry.parcel)
                if entry.place != place:
                    mends.append((MOVE, (entry.place, entry.id)))
        if mends and self._store is not None:
            self._store.write(mends)

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    def _insert(self, owner: str, entry: Entry) -> Statement:
        head = _encode(_head(entry.parcel))
        return INSERT, (entry.id, owner, entry.place, head, entry.parcel.envelope)

    async def restore(self) -> set[str]:
        """Take up what an earlier gateway left on the disk; returns the owners."""
        if self._store is None:
            return set()
        rows: list[Row] = []
        while True:
            more = await self._store.read(HEADS, (rows[-1][0] if rows else 0, RESTORE_MAX))
            rows += more
            if len(more) < RESTORE_MAX:
                break
        rows.sort(key=lambda row: (row[2], row[0]))
        for id_, owner, place, head, size in rows:
            self.index.restore(owner, Entry(id_, place, size, _decode(head), is_saved=True))
            self._ids = max(self._ids, id_)
            self._last_place = max(self._last_place, place)
            self._first_place = min(self._first_place, place)
        return {row[1] for row in rows}


def _head(parcel: Parcel) -> Parcel:
    """Return a parcel without what the disk has."""
    return msgspec.structs.replace(parcel, envelope=b"")
