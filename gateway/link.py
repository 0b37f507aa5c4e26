"""One agent's session: its numbers in both directions, and the answers it has not confirmed.

A session outlives its stream. What the agent sends is numbered, so that a batch that comes
again is noticed and one that was lost leaves a gap that shows. What the gateway sends is
numbered too, and kept until the agent confirms the batch it went in: answers (refusals,
opened, receipts) here, messages in the outbox, which wants an acknowledgement for each.

    pending → in flight, under a number → confirmed, or pending again when a stream is resumed

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import enum
from collections import deque

import msgspec

from gateway.outbox import Parcel

FLIGHTS_MAX = 1_024
"""Batches that may be unconfirmed; beyond it the session cannot be resumed from the oldest."""
KEPT_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of unconfirmed answers and msg_ids; beyond it the same."""
MSG_ID_BYTES = 64
"""What a msg_id weighs, about."""


class Heard(enum.Enum):
    """What the number of a batch means."""

    NEXT = enum.auto()
    REPEAT = enum.auto()
    """It was handled before."""
    GAP = enum.auto()
    """One before it is missing."""


# To look a member up in an enum takes long, and every batch asks.
NEXT, REPEAT, GAP = Heard.NEXT, Heard.REPEAT, Heard.GAP


class Answers(msgspec.Struct, gc=False):
    """What the gateway has to say to an agent beside messages, serialised."""

    refusals: list[bytes]
    opened: list[bytes]
    receipts: list[bytes]

    def __bool__(self) -> bool:
        """Tell whether there are any; asked more often than how many."""
        return bool(self.refusals or self.opened or self.receipts)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.refusals) + len(self.opened) + len(self.receipts)

    @property
    def size(self) -> int:
        """Return their bytes."""
        return sum(sum(map(len, some)) for some in (self.refusals, self.opened, self.receipts))

    def take(self, bytes_max: int) -> Answers:
        """Remove and return the first of each kind, about `bytes_max` each and one at least."""
        return Answers(
            _taken(self.refusals, bytes_max),
            _taken(self.opened, bytes_max),
            _taken(self.receipts, bytes_max),
        )


class Flight(msgspec.Struct, gc=False):
    """A batch that was sent and is not confirmed."""

    number: int
    msg_ids: list[str]
    """The messages; not they themselves, which end with their acknowledgement."""
    answers: Answers | None
    size: int
    """Bytes of all that."""


class Link:
    """The session of one agent, whatever stream carries it."""

    __slots__ = (
        "_discarded",
        "_flights",
        "_kept_bytes",
        "_oldest",
        "at_hand",
        "confirmable",
        "handled",
        "handled_told",
        "pending",
        "sent",
        "token",
    )

    def __init__(self, token: str) -> None:
        """Begin at the number 1 in both directions; `token` is the secret to resume with."""
        self.token = token
        self.handled = 0
        """The number of the last batch of the agent that was handled."""
        self.confirmable = 0
        """The same, as far as shards have judged the acts that were in them."""
        self.handled_told = 0
        """The same, as far as the agent was told."""
        self.sent = 0
        """The number of the last batch that was sent."""
        self.pending = Answers([], [], [])
        """What waits for the writer."""
        self.at_hand: list[bytes] = []
        """Refusals in the batch at hand: if a break cuts it short, it comes again as a whole."""
        self._discarded = 0
        self._flights: deque[Flight] = deque()
        self._kept_bytes = 0
        self._oldest = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Link: {self.handled} handled, {self.sent} sent, {len(self._flights)} of them "
            f"unconfirmed, {len(self.pending)} answers pending>"
        )

    def hear(self, number: int) -> Heard:
        """Tell what a batch with this number is; the caller sets `handled` when it is done."""
        handled = self.handled
        if number == handled + 1:
            self._discarded = 0
            return NEXT
        if number <= handled:
            return REPEAT
        if number <= handled + 1 + self._discarded:
            self._discarded = 0
            return NEXT
        return GAP

    def finish(self) -> bool:
        """Let the refusals of the batch at hand go; tells whether there were any."""
        if not self.at_hand:
            return False
        self.pending.refusals += self.at_hand
        self.at_hand = []
        return True

    def discard(self) -> None:
        """Expect that a frame which could not be read was a batch with a number of its own."""
        self._discarded += 1

    def send(self, parcels: list[Parcel], answers: Answers | None) -> int:
        """Return the number for a batch with these contents, and keep them until confirmed."""
        self.sent += 1
        size = MSG_ID_BYTES * len(parcels) + (0 if answers is None else answers.size)
        msg_ids = [parcel.msg_id for parcel in parcels]
        self._flights.append(Flight(self.sent, msg_ids, answers, size))
        self._kept_bytes += size
        if len(self._flights) > FLIGHTS_MAX or self._kept_bytes > KEPT_BYTES_MAX:
            dropped = self._flights.popleft()
            self._kept_bytes -= dropped.size
            self._oldest = dropped.number
        return self.sent

    def confirm(self, number: int) -> None:
        """Forget every batch up to `number`; an old or impossible confirmation does nothing."""
        flights = self._flights
        while flights and flights[0].number <= number:
            self._kept_bytes -= flights.popleft().size

    def resume(self, received: int) -> set[str] | None:
        """Make the answers after batch `received` pending again, before what is pending.

        Returns the msg_ids of the messages that were in those batches, or None when this
        session cannot be resumed from there.
        """
        if not self._oldest <= received <= self.sent:
            return None
        self.confirm(received)
        lost = [flight.answers for flight in self._flights if flight.answers is not None]
        pending = self.pending
        self.pending = Answers(
            [one for answers in lost for one in answers.refusals] + pending.refusals,
            [one for answers in lost for one in answers.opened] + pending.opened,
            [one for answers in lost for one in answers.receipts] + pending.receipts,
        )
        msg_ids = {msg_id for flight in self._flights for msg_id in flight.msg_ids}
        self._flights.clear()
        self._kept_bytes = 0
        self._discarded = 0
        self.at_hand = []
        self.sent = received
        self.handled_told = 0  # the answers to it may be among those that were lost
        return msg_ids


def _taken(waiting: list[bytes], bytes_max: int) -> list[bytes]:
    if not waiting:
        return []
    size = count = 0
    for item in waiting:
        size += len(item)
        if count and size > bytes_max:
            break
        count += 1
    taken = waiting[:count]
    del waiting[:count]
    return taken
