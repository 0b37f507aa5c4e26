"""What is sent and not yet admitted, and who waits for that.

A message is *owed* from `post` until it is admitted or refused. At most so many are owed at
once; whoever wants to send one more waits for its turn, first come, first served.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from llmx.errors import Refused, SessionError
from llmx.outbox import Outbox
from llmx.v1.envelope_pb2 import Envelope


class Admission:
    """Waits for what the gateway says to each message."""

    def __init__(self, unconfirmed_max: int) -> None:
        """Let at most `unconfirmed_max` messages be owed at once."""
        self.outbox = Outbox()
        self.failure: SessionError | None = None
        """What ended the session for good; None while there is hope."""
        self._unconfirmed_max = unconfirmed_max
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._for_room: deque[asyncio.Future[None]] = deque()

    @property
    def has_room(self) -> bool:
        """Can one more message be owed?"""
        return len(self.outbox) < self._unconfirmed_max

    def post(self, envelope: Envelope, *, repeated: bool = False) -> None:
        """Owe a message. Raises SessionError when the session is over."""
        if self.failure is not None:
            raise self.failure
        self.outbox.put(envelope, repeated=repeated)

    def expect(self, msg_id: str) -> asyncio.Future[None]:
        """Return a future that ends when the message is admitted; it may raise Refused."""
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[msg_id] = admitted
        admitted.add_done_callback(lambda _: self._waiting.pop(msg_id, None))
        return admitted

    async def room(self) -> None:
        """Return when one more message can be owed. Raises SessionError when it is over."""
        while self.failure is None and not self.has_room:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._for_room.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._give_turns()  # ours may have come in the same instant: pass it on
                raise
        if self.failure is not None:
            raise self.failure

    def confirm(self, number: int) -> None:
        """Hear that every message up to this frame was admitted, unless it was refused."""
        self._admit(self.outbox.confirm(number))

    def admit(self, msg_id: str) -> None:
        """Hear that one message was admitted."""
        self.outbox.settle(msg_id)
        self._admit((msg_id,))

    def refuse(self, error: Refused) -> bool:
        """Hear that a message did not count; False when nobody waits for it."""
        self.outbox.settle(error.msg_id)
        waiting = self._waiting.get(error.msg_id)
        self._give_turns()
        if waiting is None or waiting.done():
            return False
        waiting.set_exception(error)
        return True

    def hold_back(self, msg_id: str) -> bool:
        """Owe a message no more, to post it later; False when no stream has carried it yet."""
        if msg_id in self.outbox and not self.outbox.is_repeated(msg_id):
            return False
        self.outbox.settle(msg_id)
        self._give_turns()
        return True

    def too_large(self) -> list[Refused]:
        """Return, once, the refusals of what no frame can carry."""
        reason = f"the message is larger than a frame, {self.outbox.envelope_bytes_max} bytes"
        return [
            Refused("TOO_LARGE", reason, remedy="send less in one message", msg_id=msg_id)
            for msg_id in self.outbox.too_large()
        ]

    def fail(self, error: SessionError) -> None:
        """Hear that nothing will be admitted any more."""
        self.failure = error
        for waiting in (*self._waiting.values(), *self._for_room):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever waited may be gone

    def _admit(self, msg_ids: Iterable[str]) -> None:
        for msg_id in msg_ids:
            waiting = self._waiting.get(msg_id)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        if self._for_room:
            self._give_turns()

    def _give_turns(self) -> None:
        free = self._unconfirmed_max - len(self.outbox)
        while self._for_room and free > 0:
            turn = self._for_room.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
