"""What is still owed to one agent, in order, and when to send it again.

A message is *queued* until a writer takes it, then *unconfirmed* until the agent
acknowledges its msg_id or its time is over. Going back is cumulative: when the oldest
unconfirmed message has waited too long, everything unconfirmed is queued again in its old
order, and the wait doubles up to a limit until something is confirmed. So an agent that
returns gets at most one copy of each message per wait, and order survives every repeat,
because the first copy of each message arrives in order. The outbox outlives the stream.

Pure: time and jitter are arguments.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

import msgspec


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """A message on its way to one or more agents."""

    msg_id: str
    envelope: bytes
    expires_at: float
    """Seconds on the gateway's clock; not delivered after it."""
    sender: str
    """Who hears of a failure; empty when nobody does."""
    negotiation_id: str
    repeats: bool
    """False for at most once: forgotten as soon as it was sent."""
    heard_on: str | None = None
    """By what the recipient consented: a topic, "" for a grant, None where none is needed."""


class Pushed(enum.Enum):
    """What became of a message that was pushed."""

    QUEUED = enum.auto()
    REPEATED = enum.auto()
    """The same message is already on its way; nothing was added."""
    FULL = enum.auto()
    """The outbox is at its bound; the message was not taken."""
    ID_TAKEN = enum.auto()
    """Another sender's unconfirmed message bears this id; acks could not tell them apart."""


_QUEUED = Pushed.QUEUED


class Outbox:
    """What one agent has not confirmed yet."""

    __slots__ = (
        "_bytes",
        "_bytes_max",
        "_messages_max",
        "_next_expiry",
        "_queued",
        "_queued_bytes",
        "_retry_at",
        "_retry_first",
        "_retry_max",
        "_unconfirmed",
        "_wait",
        "repeats_total",
    )

    def __init__(
        self, messages_max: int, bytes_max: int, retry_first: float, retry_max: float
    ) -> None:
        """Hold at most so much, and wait `retry_first` to `retry_max` seconds before repeats."""
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._retry_first = retry_first
        self._retry_max = retry_max
        self._queued: list[bytes] = []
        self._queued_bytes = 0
        self._unconfirmed: dict[str, Parcel] = {}
        self._bytes = 0
        self._wait = retry_first
        self._retry_at = float("inf")
        self._next_expiry = float("inf")
        self.repeats_total = 0

    def __len__(self) -> int:
        """Return how many messages wait to be confirmed; at most once is not among them."""
        return len(self._unconfirmed)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Outbox: {len(self._queued)} queued, {len(self._unconfirmed)} unconfirmed, "
            f"{self._bytes} bytes>"
        )

    @property
    def has_queued(self) -> bool:
        """Tell whether a writer would find something."""
        return bool(self._queued)

    @property
    def queued_count(self) -> int:
        """Return how many messages wait for a writer."""
        return len(self._queued)

    def push(self, parcel: Parcel) -> Pushed:
        """Queue a message, and tell what became of it."""
        unconfirmed, queued = self._unconfirmed, self._queued
        msg_id = parcel.msg_id
        if msg_id in unconfirmed:
            same = unconfirmed[msg_id].sender == parcel.sender
            return Pushed.REPEATED if same else Pushed.ID_TAKEN
        envelope = parcel.envelope
        size = len(envelope)
        unconfirmed_bytes = self._bytes + size
        queued_bytes = self._queued_bytes + size
        bytes_max, messages_max = self._bytes_max, self._messages_max
        # Two bounds, because what was sent is not queued, and what is queued may be confirmed:
        # an agent that never reads can still acknowledge ids that it guesses.
        if (
            unconfirmed_bytes > bytes_max
            or queued_bytes > bytes_max
            or len(unconfirmed) >= messages_max
            or len(queued) >= messages_max
        ):
            return Pushed.FULL
        if parcel.repeats:
            unconfirmed[msg_id] = parcel
            self._bytes = unconfirmed_bytes
            if parcel.expires_at < self._next_expiry:
                self._next_expiry = parcel.expires_at
        queued.append(envelope)
        self._queued_bytes = queued_bytes
        return Pushed.QUEUED

    def take(self, now: float, bytes_max: int) -> list[bytes]:
        """Return what is queued, about `bytes_max` at most, for the caller to send now."""
        queued = self._queued
        if self._queued_bytes <= bytes_max:
            self._queued = []
            self._queued_bytes = 0
        else:
            count, size = 1, len(queued[0])
            for envelope in queued[1:]:
                size += len(envelope)
                if size > bytes_max:
                    size -= len(envelope)
                    break
                count += 1
            self._queued = queued[count:]
            self._queued_bytes -= size
            queued = queued[:count]
        if self._retry_at == float("inf") and self._unconfirmed:
            self._retry_at = now + self._wait
        return queued

    def confirm(self, msg_ids: Iterable[str], now: float) -> int:
        """Forget what the agent has acknowledged; an unknown or old id does nothing."""
        unconfirmed = self._unconfirmed
        pop = unconfirmed.pop
        oldest = next(iter(unconfirmed), None)
        count = 0
        for msg_id in msg_ids:
            parcel = pop(msg_id, None)
            if parcel is not None:
                self._bytes -= len(parcel.envelope)
                count += 1
        if oldest not in unconfirmed:  # the one that the wait counts for
            self._wait = self._retry_first
            self._retry_at = now + self._wait if unconfirmed else float("inf")
        return count

    def resume(self) -> None:
        """Queue everything unconfirmed for a new stream, in its old order."""
        self._queued = [parcel.envelope for parcel in self._unconfirmed.values()]
        self._queued_bytes = self._bytes
        self._wait = self._retry_first
        self._retry_at = float("inf")

    def repeat(self, now: float, jitter: float) -> bool:
        """Queue everything unconfirmed again if the wait is over; tell whether it was.

        `jitter`, 0 to 1, spreads the next wait from the first wait to the doubled one.
        Nothing is repeated while an earlier copy still waits for the writer; the wait then
        starts anew when the writer takes it.
        """
        if now < self._retry_at or not self._unconfirmed:
            return False
        if self._queued:
            self._retry_at = float("inf")
            return False
        self._queued = [parcel.envelope for parcel in self._unconfirmed.values()]
        self._queued_bytes = self._bytes
        self.repeats_total += len(self._queued)
        self._wait = min(self._wait * 2, self._retry_max)
        self._retry_at = now + self._retry_first + (self._wait - self._retry_first) * jitter
        return True

    def expire(self, now: float) -> list[Parcel]:
        """Remove and return what could not be delivered in time."""
        if now < self._next_expiry:
            return []
        over = [parcel for parcel in self._unconfirmed.values() if parcel.expires_at <= now]
        self._next_expiry = min(
            (p.expires_at for p in self._unconfirmed.values() if p.expires_at > now),
            default=float("inf"),
        )
        self._drop(over)
        return over

    def withhold(self, unwanted: Callable[[Parcel], bool]) -> list[Parcel]:
        """Remove and return the unconfirmed messages that are `unwanted`."""
        withheld = [parcel for parcel in self._unconfirmed.values() if unwanted(parcel)]
        self._drop(withheld)
        return withheld

    def empty(self) -> list[Parcel]:
        """Remove and return everything unconfirmed; the agent is gone."""
        rest = list(self._unconfirmed.values())
        self._drop(rest)
        self._queued = []
        self._queued_bytes = 0
        return rest

    def _drop(self, parcels: list[Parcel]) -> None:
        if not parcels:
            return
        gone = {id(parcel.envelope) for parcel in parcels}
        for parcel in parcels:
            del self._unconfirmed[parcel.msg_id]
            self._bytes -= len(parcel.envelope)
        self._queued = [envelope for envelope in self._queued if id(envelope) not in gone]
        self._queued_bytes = sum(map(len, self._queued))
        if not self._unconfirmed:
            self._retry_at = float("inf")
