"""The link between two gateways: what is numbered, what is unconfirmed, what comes next.

A link belongs to one pair of epochs and outlives every stream that carries it. What is sent goes
in numbered frames, which are kept until the other side confirms them; what comes counts once and
in order, whatever way it came. When a stream breaks, everything unconfirmed is due again, from
the oldest on and in the same frames, because the other side may have handled some of them and
knows them by their numbers.

    waiting → in a frame, under a number → confirmed
                      ↑ due again ↓
                a stream broke, or a relay lost it

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

import msgspec


class Heard(enum.Enum):
    """What the number of a frame means."""

    NEXT = enum.auto()
    REPEAT = enum.auto()
    """It came before."""
    GAP = enum.auto()
    """One before it is missing."""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How much a link keeps, and how much one frame takes."""

    messages_max: int = 100_000
    """Messages that wait or are unconfirmed."""
    bytes_max: int = 64 * 1024 * 1024
    """The same in bytes; the first message is taken whatever it weighs."""
    frame_messages_max: int = 4_096
    frame_bytes_max: int = 1024 * 1024
    """A message that is larger has a frame for itself."""


class Sent(msgspec.Struct, gc=False):
    """A frame that was sent and is not confirmed."""

    number: int
    messages: list[bytes]
    size: int


class Link:
    """Everything that has to be remembered of one pair of epochs."""

    __slots__ = (
        "_bytes",
        "_limits",
        "_messages",
        "_next",
        "_unconfirmed",
        "_waiting",
        "_waiting_bytes",
        "accepted",
        "handled",
        "own_epoch",
        "peer_epoch",
        "sent",
        "sent_messages",
    )

    def __init__(self, own_epoch: int, peer_epoch: int, limits: LinkLimits) -> None:
        """Begin at the number 1 in both directions."""
        self.own_epoch = own_epoch
        self.peer_epoch = peer_epoch
        self.sent = 0
        """The number of the last frame that was made."""
        self.sent_messages = 0
        """Messages that were put into frames; repeats do not count."""
        self.handled = 0
        """The number of the last frame of the other side that was handled."""
        self.accepted = 0
        """The same, that came and is to be handled."""
        self._limits = limits
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._unconfirmed: deque[Sent] = deque()
        self._next = 1  # the number of the frame that goes next
        self._messages = 0
        self._bytes = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Link {self.own_epoch} to {self.peer_epoch}: {len(self._waiting)} waiting, "
            f"{len(self._unconfirmed)} frames unconfirmed, {self.handled} handled>"
        )

    @property
    def kept(self) -> int:
        """Return how many messages wait or are unconfirmed."""
        return self._messages

    @property
    def waiting(self) -> int:
        """Return how many messages are in no frame yet."""
        return len(self._waiting)

    @property
    def has_due(self) -> bool:
        """Tell whether `take` would return something."""
        return self._next <= self.sent or bool(self._waiting)

    @property
    def in_flight(self) -> int:
        """Return how many frames went out, since the last look back, and are unconfirmed."""
        return self._next - 1 - (self.sent - len(self._unconfirmed))

    def push(self, message: bytes) -> bool:
        """Queue a message; False when the link is full."""
        limits, size = self._limits, self._bytes + len(message)
        if self._messages >= limits.messages_max or (self._messages and size > limits.bytes_max):
            return False
        self._waiting.append(message)
        self._waiting_bytes += len(message)
        self._messages += 1
        self._bytes = size
        return True

    def take(self) -> Sent | None:
        """Return the frame that is due: one that goes again, or else one of what is queued."""
        if self._next <= self.sent:
            frame = self._unconfirmed[self._next - 1 - self.sent]  # counted from the newest
        elif self._waiting:
            frame = self._filled()
            self._unconfirmed.append(frame)
            self.sent = frame.number
            self.sent_messages += len(frame.messages)
        else:
            return None
        self._next = frame.number + 1
        return frame

    def _filled(self) -> Sent:
        waiting, limits = self._waiting, self._limits
        if self._waiting_bytes <= limits.frame_bytes_max and (
            len(waiting) <= limits.frame_messages_max
        ):
            messages, size = list(waiting), self._waiting_bytes
            waiting.clear()
        else:
            messages, size = [waiting.popleft()], 0
            size = len(messages[0])
            while (
                waiting
                and len(messages) < limits.frame_messages_max
                and size + len(waiting[0]) <= limits.frame_bytes_max
            ):
                messages.append(waiting.popleft())
                size += len(messages[-1])
        self._waiting_bytes -= size
        return Sent(self.sent + 1, messages, size)

    def confirm(self, number: int) -> bool:
        """Forget every frame up to `number`; tells whether there was one to forget.

        An old or impossible confirmation does nothing.
        """
        unconfirmed = self._unconfirmed
        if number > self.sent or not unconfirmed or unconfirmed[0].number > number:
            return False
        while unconfirmed and unconfirmed[0].number <= number:
            frame = unconfirmed.popleft()
            self._messages -= len(frame.messages)
            self._bytes -= frame.size
        self._next = max(self._next, number + 1)
        return True

    def go_back(self) -> int:
        """Make everything unconfirmed due again; returns how many frames that are."""
        self._next = self.sent + 1 - len(self._unconfirmed)
        return len(self._unconfirmed)

    def hear(self, number: int) -> Heard:
        """Tell what a frame with this number is; the next one counts as accepted from here on."""
        if number == self.accepted + 1:
            self.accepted = number
            return Heard.NEXT
        return Heard.REPEAT if number <= self.accepted else Heard.GAP

    def finish(self, number: int) -> None:
        """Note that an accepted frame was handled, so that it is confirmed."""
        assert self.handled < number <= self.accepted, "frames are handled once and in order"
        self.handled = number

    def forget_accepted(self, kept: int) -> None:
        """Take back that frames were accepted which will not be handled, but for `kept` of them."""
        self.accepted = min(self.accepted, self.handled + kept)

    def hand_back(self) -> list[bytes]:
        """Remove and return every message that is not confirmed, oldest first.

        The numbers go on: if the two meet again under the same epochs, the frames whose messages
        were handed back are sent empty, so that nothing behind them waits for them.
        """
        messages = [message for frame in self._unconfirmed for message in frame.messages]
        messages += self._waiting
        for frame in self._unconfirmed:
            frame.messages, frame.size = [], 0
        self._waiting.clear()
        self._waiting_bytes = self._messages = self._bytes = 0
        return messages
