"""What an agent still owes its gateway.

A message is *queued* until it went out in a numbered frame, *in flight* until that frame is
confirmed or the message refused. When a session is resumed, what was in frames that the gateway
did not handle goes back to the head of the queue in its old order; when a new one begins,
everything in flight does: the msg_id makes the repeat harmless.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from llmx.v1.envelope_pb2 import Envelope

OVERHEAD_BYTES = 16  # tag and length of one envelope, generously
ENVELOPES_PER_FRAME_MAX = 512


@dataclass(slots=True)
class Owed:
    """A message that the gateway has not answered for."""

    envelope: Envelope
    repeated: bool = False
    """Did an earlier stream carry it too? Then DUPLICATE is good news."""


class Outbox:
    """What we still owe the gateway."""

    def __init__(self) -> None:
        """Owe nothing."""
        self._queue: deque[str] = deque()
        self._flights: deque[tuple[int, list[str]]] = deque()
        self._owed: dict[str, Owed] = {}
        self._too_large: list[str] = []
        self.envelope_bytes_max = 0
        """What no frame of the gateway can carry is not sent; 0 when nobody knows."""

    def __len__(self) -> int:
        return len(self._owed)

    def __contains__(self, msg_id: object) -> bool:
        return msg_id in self._owed

    def __repr__(self) -> str:
        return f"<Outbox: {len(self._queue)} queued, {len(self._owed)} unconfirmed>"

    @property
    def has_queued(self) -> bool:
        """Is there something that no frame has carried, or none that was handled?"""
        return bool(self._queue)

    @property
    def is_flying(self) -> bool:
        """Is there something in a frame that was sent and is not confirmed?"""
        return bool(self._flights)

    def is_repeated(self, msg_id: str) -> bool:
        """Is the message owed, and may an earlier stream have carried it?"""
        owed = self._owed.get(msg_id)
        return owed is not None and owed.repeated

    def put(self, envelope: Envelope, *, repeated: bool = False) -> None:
        """Queue a message; one that is owed already is not queued twice."""
        if envelope.msg_id in self._owed:
            return
        self._owed[envelope.msg_id] = Owed(envelope, repeated)
        self._queue.append(envelope.msg_id)

    def take(self, number: int, bytes_max: int) -> list[Envelope]:
        """Return what frame `number` shall carry: all that is queued, up to `bytes_max`.

        At least one message is taken, unless it is too large for any frame: a gateway throws such
        a frame away unread, and could not say which message it refuses.
        """
        taken: list[Envelope] = []
        size = 0
        while self._queue and len(taken) < ENVELOPES_PER_FRAME_MAX:
            owed = self._owed.get(self._queue[0])
            if owed is None:  # settled while it waited
                self._queue.popleft()
                continue
            weight = owed.envelope.ByteSize() + OVERHEAD_BYTES
            if 0 < self.envelope_bytes_max < weight:
                self._too_large.append(self._queue.popleft())
                continue
            size += weight
            if taken and size > bytes_max:
                break
            self._queue.popleft()
            taken.append(owed.envelope)
        if taken:
            self._flights.append((number, [envelope.msg_id for envelope in taken]))
        return taken

    def too_large(self) -> list[str]:
        """Return, once, the msg_ids of what no frame can carry; it stays owed until settled."""
        found, self._too_large = self._too_large, []
        return found

    def confirm(self, number: int) -> list[str]:
        """Forget the frames up to `number` and return the msg_ids that count as admitted."""
        admitted: list[str] = []
        while self._flights and self._flights[0][0] <= number:
            for msg_id in self._flights.popleft()[1]:
                if self._owed.pop(msg_id, None) is not None:
                    admitted.append(msg_id)  # noqa: PERF401 - the pop is the point
        return admitted

    def settle(self, msg_id: str) -> Owed | None:
        """Forget one message, because it was refused or given up; None if it was not owed."""
        return self._owed.pop(msg_id, None)

    def rewind(self, number: int = 0) -> None:
        """Queue again, before everything else, what was in the frames after `number`.

        What was in the others stays in flight: they were handled, and what the gateway says to
        them is on its way.
        """
        lost: list[str] = []
        while self._flights and self._flights[-1][0] > number:
            lost[:0] = self._flights.pop()[1]
        for msg_id in reversed(lost):
            if (owed := self._owed.get(msg_id)) is not None:
                owed.repeated = True
                self._queue.appendleft(msg_id)
