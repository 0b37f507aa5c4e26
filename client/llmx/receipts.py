"""What became of a message whose sender wants to know.

`send(..., receipt="delivered")` returns a `Delivery`. The gateway tells it who acknowledged the
message, or that somebody did not before the message expired. A gateway that is lost may tell
neither: then the wait ends some time after the message's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from weakref import WeakValueDictionary

from llmx.errors import SessionError, Undelivered
from llmx.messages import Message, text_in
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.receipt_pb2 import Receipt

TTL_DEFAULT = 120.0  # what a gateway takes when a message does not say, unless it was told else
MARGIN = 30.0
"""Seconds beyond a message's time in which the word of its end may still come."""


class Delivery:
    """A message that was sent, and whom it has reached. Await it."""

    def __init__(self, envelope: Envelope) -> None:
        """Wait for word of a message; `Agent.send` does this."""
        self.msg_id = envelope.msg_id
        self.delivered: list[str] = []
        """Who has acknowledged it so far."""
        self.failed: dict[str, str] = {}
        """Whom it did not reach, and why: "expired", "agent_absent"."""
        self._named = {to for to in envelope.recipients if to.startswith("agent://")}
        has_ttl = envelope.scope.HasField("ttl")
        ttl = envelope.scope.ttl.ToNanoseconds() / 1e9 if has_ttl else TTL_DEFAULT
        self._until = asyncio.get_running_loop().time() + ttl + MARGIN
        self._news = asyncio.Event()
        self._over: SessionError | None = None

    def __repr__(self) -> str:
        return f"<Delivery of {self.msg_id}: {self.delivered} reached, {self.failed} not>"

    def __await__(self) -> Generator[object, None, tuple[str, ...]]:
        """Return who has acknowledged the message, once every agent that it names has.

        Of a message to topics or groups only, whose members the gateway knows, the first word
        counts. Raises Undelivered when it did not reach one of them, SessionError when the
        session ends before.
        """
        return self._all().__await__()

    async def to(self, agent: str) -> None:
        """Return when this agent has acknowledged the message; raises as awaiting all does."""
        while agent not in self.delivered:
            self._raise_if(agent in self.failed)
            await self._word(agent)

    async def _all(self) -> tuple[str, ...]:
        while not self._is_settled():
            await self._word(*self._named.difference(self.delivered, self.failed))
        self._raise_if(bool(self.failed))
        return tuple(self.delivered)

    def _is_settled(self) -> bool:
        if not self._named:
            return bool(self.delivered or self.failed)
        return self._named <= {*self.delivered, *self.failed}

    async def _word(self, *missing: str) -> None:
        """Wait for news; when they are too late, the missing have failed."""
        if self._over is not None:
            raise self._over
        self._news.clear()
        try:
            async with asyncio.timeout_at(self._until):
                await self._news.wait()
        except TimeoutError:
            self.failed |= dict.fromkeys(missing or ("anybody",), "no_word")

    def _raise_if(self, failed: bool) -> None:
        if failed:
            raise Undelivered(self.msg_id, self.failed, self.delivered)

    # ------------------------------------------------------------------ for the agent

    def reached(self, agent: str) -> None:
        """Hear that an agent has acknowledged the message."""
        if agent not in self.delivered:
            self.failed.pop(agent, None)
            self.delivered.append(agent)
            self._news.set()

    def missed(self, agent: str, reason: str) -> None:
        """Hear that the message did not reach an agent."""
        if agent not in self.delivered:
            self.failed[agent] = reason
            self._news.set()

    def end(self, error: SessionError) -> None:
        """Hear that there will be no word any more."""
        self._over = error
        self._news.set()


class Deliveries:
    """The deliveries that somebody still holds."""

    def __init__(self) -> None:
        """Follow nothing."""
        self._held: WeakValueDictionary[str, Delivery] = WeakValueDictionary()

    def follow(self, envelope: Envelope) -> Delivery:
        """Return the delivery of a message that is about to be sent."""
        delivery = Delivery(envelope)
        self._held[envelope.msg_id] = delivery
        return delivery

    def take(self, receipt: Receipt) -> None:
        """Hear a receipt of a delivery."""
        delivery = self._held.get(receipt.msg_id)
        if delivery is not None:
            delivery.reached(receipt.recipient)

    def take_failure(self, message: Message) -> None:
        """Hear a gateway's failure. Raises ValueError when it cannot be read."""
        if not message.sender.startswith("gateway://"):
            return
        delivery = self._held.get(message.in_reply_to)
        if delivery is not None:
            recipient, reason = text_in(message.body, "recipient"), text_in(message.body, "reason")
            delivery.missed(recipient, reason)

    def fail(self, error: SessionError) -> None:
        """Hear that the session is over."""
        for delivery in list(self._held.values()):
            delivery.end(error)
