"""What is still owed to one agent, in order, and when to send it again.

A message *waits* until a writer takes it, then it is *sent* until the agent acknowledges its
msg_id or its time is over. At most `window` messages are sent and unacknowledged; each
acknowledgement is the credit for another one. Going back is cumulative: when the oldest sent
message has waited too long, everything sent is due *again* in its old order, and the wait
grows (exponential backoff, full jitter above the first wait) up to a limit until something is
acknowledged. So an agent that returns gets at most one copy of each message per wait, and
order survives every repeat, because the first copy of each message arrives in order. The
outbox outlives the stream.

    waiting → sent ⇄ again → acknowledged, expired or withheld

Pure: time and jitter are arguments.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container, Iterable
from itertools import chain

import msgspec

NEVER = float("inf")


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
    receipt: bool = False
    """Does the sender want to hear that it was acknowledged?"""
    durable: bool = False
    """Is it on disk until it is acknowledged?"""
    is_call: bool = False
    """Is it of no use any more when its negotiation is over?"""
    origin: str = ""
    """The gateway that wants to hear what becomes of it; empty when it came from no other one."""


class Pushed(enum.Enum):
    """What became of a message that was pushed."""

    QUEUED = enum.auto()
    CROWDED = enum.auto()
    """Queued, and the outbox has just become more than half full."""
    REPEATED = enum.auto()
    """The same message is already on its way; nothing was added."""
    FULL = enum.auto()
    """The outbox is at its bound; the message was not taken."""
    ID_TAKEN = enum.auto()
    """Another sender's unacknowledged message bears this id; acks could not tell them apart."""


_QUEUED = Pushed.QUEUED


class Outbox:
    """What one agent has not acknowledged yet."""

    __slots__ = (
        "_again",
        "_bytes",
        "_bytes_half",
        "_bytes_max",
        "_is_crowded",
        "_messages_half",
        "_next_expiry",
        "_once_count",
        "_retry_at",
        "_retry_first",
        "_retry_max",
        "_sent",
        "_wait",
        "_waiting",
        "followed",
        "messages_max",
        "progress_at",
        "window",
    )

    def __init__(
        self, messages_max: int, bytes_max: int, retry_first: float, retry_max: float, window: int
    ) -> None:
        """Hold at most so much, and wait `retry_first` to `retry_max` seconds before repeats."""
        self.messages_max = messages_max
        self._messages_half = (messages_max + 1) // 2
        self._bytes_max = bytes_max
        self._bytes_half = bytes_max // 2
        self._retry_first = retry_first
        self._retry_max = retry_max
        self.window = window
        """How many messages may be sent and unacknowledged, 1 or more."""
        self._waiting: dict[str, Parcel] = {}
        self._once_count = 0  # how many of those waiting are sent at most once
        self._sent: dict[str, Parcel] = {}
        self._again: list[Parcel] = []
        self._bytes = 0
        self._is_crowded = False
        self._wait = retry_first
        self._retry_at = NEVER
        self._next_expiry = NEVER
        self.progress_at = 0.0
        """When the agent came, or last acknowledged something."""
        self.followed: list[Parcel] = []
        """Acknowledged messages of which somebody wants to hear; whoever hears clears it."""

    def __len__(self) -> int:
        """Return how many messages are owed; at most once is among them until it is sent."""
        return len(self._waiting) + len(self._sent)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Outbox: {len(self._waiting)} waiting, {len(self._sent)} sent, {self._bytes} bytes>"
        )

    @property
    def has_queued(self) -> bool:
        """Tell whether a writer would find something."""
        return bool(self._again or (self._waiting and len(self._sent) < self.window))

    @property
    def needs_writer(self) -> bool:
        """Tell whether a writer would find something, or has to time what was sent before it."""
        return self.has_queued or (self._retry_at == NEVER and bool(self._sent))

    @property
    def sent_count(self) -> int:
        """Return how many messages are sent and not acknowledged."""
        return len(self._sent)

    @property
    def next_due(self) -> float:
        """Return when `expire` or `repeat` has something to do, in seconds of the same clock."""
        return min(self._retry_at, self._next_expiry)

    def is_late(self, now: float) -> bool:
        """Tell whether the oldest message was not acknowledged in time."""
        return now >= self._retry_at and bool(self._sent)

    def has_room(self, size: int) -> bool:
        """Tell whether one more message of so many bytes would be taken."""
        return len(self) < self.messages_max and self._bytes + size <= self._bytes_max

    def push(self, parcel: Parcel) -> Pushed:
        """Queue a message, and tell what became of it."""
        waiting, sent = self._waiting, self._sent
        msg_id = parcel.msg_id
        if msg_id in sent or msg_id in waiting:
            known = sent.get(msg_id) or waiting[msg_id]
            if known.sender != parcel.sender:
                return Pushed.ID_TAKEN
            if not known.is_call or known.negotiation_id == parcel.negotiation_id:
                return Pushed.REPEATED
            self._drop([known])  # it is called again, because the gateway of that call was lost
        size = self._bytes + len(parcel.envelope)
        count = len(waiting) + len(sent)
        is_half_full = size > self._bytes_half or count >= self._messages_half
        if is_half_full and (size > self._bytes_max or count >= self.messages_max):
            return Pushed.FULL
        waiting[msg_id] = parcel
        self._bytes = size
        if not parcel.repeats:
            self._once_count += 1
        if parcel.expires_at < self._next_expiry:
            self._next_expiry = parcel.expires_at
        if is_half_full and not self._is_crowded:
            self._is_crowded = True
            return Pushed.CROWDED
        return _QUEUED

    def take(self, now: float, bytes_max: int) -> list[Parcel]:
        """Return what is due and covered by credit, about `bytes_max` at most, to send it now."""
        waiting, sent = self._waiting, self._sent
        if self._again:
            taken = self._take_again(bytes_max)
        elif (
            self._bytes <= bytes_max
            and not self._once_count
            and len(waiting) + len(sent) <= self.window
        ):
            taken = list(waiting.values())
            sent.update(waiting)
            waiting.clear()
        else:
            taken = self._take_some(bytes_max)
        if self._retry_at == NEVER and sent:
            self._retry_at = now + self._wait
        return taken

    def _take_again(self, bytes_max: int) -> list[Parcel]:
        due, count = self._again, _fitting(self._again, bytes_max)
        self._again = due[count:]
        return due[:count]

    def _take_some(self, bytes_max: int) -> list[Parcel]:
        credit = self.window - len(self._sent)
        if credit <= 0:
            return []
        due: list[Parcel] = []
        for parcel in self._waiting.values():
            if parcel.repeats:
                if not credit:
                    break
                credit -= 1
            due.append(parcel)
        taken = due[: _fitting(due, bytes_max)]
        for parcel in taken:
            del self._waiting[parcel.msg_id]
            if parcel.repeats:
                self._sent[parcel.msg_id] = parcel
            else:
                self._once_count -= 1
                self._bytes -= len(parcel.envelope)
        return taken

    def confirm(self, msg_ids: Iterable[str], now: float) -> int:
        """Forget what the agent has acknowledged; an id that was not sent does nothing.

        Returns how many messages those were.
        """
        sent = self._sent
        pop = sent.pop
        oldest = next(iter(sent), None)
        count = 0
        for msg_id in msg_ids:
            parcel = pop(msg_id, None)
            if parcel is not None:
                self._bytes -= len(parcel.envelope)
                count += 1
                if parcel.receipt or parcel.durable or parcel.origin:
                    self.followed.append(parcel)
        if count:
            self.progress_at = now
        if count and self._again:
            self._again = [parcel for parcel in self._again if parcel.msg_id in sent]
        if oldest not in sent:  # the one that the wait counts for
            self._wait = self._retry_first
            self._retry_at = now + self._wait if sent else NEVER
        if self._is_crowded and 4 * len(self) < self.messages_max:
            self._is_crowded = 4 * self._bytes >= self._bytes_max
        return count

    def resume(self, lost: Container[str] | None = None) -> None:
        """Make what a broken stream carried due again, in its old order.

        That is `lost`, the msg_ids of what did not arrive, or everything when nobody knows. What
        was due again already, and went with no stream yet, stays due.
        """
        due = {parcel.msg_id for parcel in self._again}
        self._again = [
            parcel
            for parcel in self._sent.values()
            if lost is None or parcel.msg_id in lost or parcel.msg_id in due
        ]
        self._wait = self._retry_first
        self._retry_at = NEVER

    def repeat(self, now: float, jitter: float) -> int:
        """Make everything sent due again if the wait is over; returns how much that is.

        `jitter`, 0 to 1, spreads the next wait from the first wait to the doubled one.
        Nothing is repeated while there is something that the writer could take; the wait then
        starts anew when the writer takes it.
        """
        if now < self._retry_at or not self._sent:
            return 0
        if self.has_queued:
            self._retry_at = NEVER
            return 0
        self._again = list(self._sent.values())
        self._wait = min(self._wait * 2, self._retry_max)
        self._retry_at = now + self._retry_first + (self._wait - self._retry_first) * jitter
        return len(self._again)

    def expire(self, now: float, count_max: int | None = None) -> list[Parcel]:
        """Remove and return what could not be delivered in time, `count_max` of it at most."""
        if now < self._next_expiry:
            return []
        owed = list(chain(self._sent.values(), self._waiting.values()))
        over = [parcel for parcel in owed if parcel.expires_at <= now]
        if count_max is not None and len(over) > count_max:
            del over[count_max:]  # the rest is still due
        else:
            self._next_expiry = min(
                (parcel.expires_at for parcel in owed if parcel.expires_at > now), default=NEVER
            )
        self._drop(over)
        return [parcel for parcel in over if parcel.repeats]

    def withhold(self, unwanted: Callable[[Parcel], bool]) -> list[Parcel]:
        """Remove and return the unacknowledged messages that are `unwanted`."""
        withheld = [
            parcel
            for parcel in chain(self._sent.values(), self._waiting.values())
            if unwanted(parcel)
        ]
        self._drop(withheld)
        return withheld

    def retract(self, msg_id: str, negotiation_id: str) -> bool:
        """Remove one message of a negotiation that is of no use any more; tells whether it was."""
        parcel = self._sent.get(msg_id) or self._waiting.get(msg_id)
        if parcel is None or parcel.negotiation_id != negotiation_id:
            return False
        self._drop([parcel])
        return True

    def empty(self) -> list[Parcel]:
        """Remove and return everything that is owed; the agent is gone."""
        rest = [
            parcel
            for parcel in chain(self._sent.values(), self._waiting.values())
            if parcel.repeats
        ]
        self._sent.clear()
        self._waiting.clear()
        self._again = []
        self._bytes = self._once_count = 0
        self._is_crowded = False
        self._retry_at = self._next_expiry = NEVER
        return rest

    def _drop(self, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            if self._sent.pop(parcel.msg_id, None) is None:
                del self._waiting[parcel.msg_id]
                self._once_count -= not parcel.repeats
            self._bytes -= len(parcel.envelope)
        if parcels and self._again:
            self._again = [parcel for parcel in self._again if parcel.msg_id in self._sent]
        if not self._sent:
            self._retry_at = NEVER


def _fitting(parcels: list[Parcel], bytes_max: int) -> int:
    """Return how many of the first parcels fit into `bytes_max`: one at least, if there is one."""
    size = count = 0
    for parcel in parcels:
        size += len(parcel.envelope)
        if count and size > bytes_max:
            break
        count += 1
    return count
