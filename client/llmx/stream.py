"""The state of one stream: its token, its silence, and which frame goes out next.

The next stream starts afresh. What outlives a stream is in the link (the numbers), the outbox
(messages) and the inbox (acknowledgements).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from llmx.inbox import Inbox
from llmx.link import Link, Pulse
from llmx.outbox import Outbox
from llmx.turns import count_from
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import (
    ExchangeRequest,
    Goodbye,
    RenewToken,
    RequestBatch,
    Welcome,
)

FRAME_SHARE = 0.75  # of what the gateway takes: room for acknowledgements and framing
FRAME_BYTES_DEFAULT = 1024 * 1024
ACKS_PER_FRAME_MAX = 8192


@dataclass(slots=True)
class Stream:
    """What is known of one stream."""

    frame_bytes: int = 0
    """How much one frame may carry."""
    welcomed: bool = False
    asks_for_word: bool = False
    """Is a batch due, though there may be nothing in it, to hear its number back?"""
    owes_beat: bool = False
    """Is a frame due to show that we are alive?"""
    pulse: Pulse = field(default_factory=lambda: Pulse(0.0, 0.0, 0.0))
    renewal: str = ""
    """A token that waits to be sent."""
    token_until: float = 0.0
    """When the token expires by this machine's monotonic clock; 0 means never."""
    clock_offset: float = 0.0
    """The gateway's clock minus this machine's monotonic one."""
    goodbye: Goodbye | None = None
    renewed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the gateway has answered to the token that was sent last."""

    def begin(self, welcome: Welcome, now: float) -> None:
        """Hear the Welcome at `now` on this machine's monotonic clock."""
        self.welcomed = True
        self.frame_bytes = int((welcome.frame_bytes_max or FRAME_BYTES_DEFAULT) * FRAME_SHARE)
        self.clock_offset = welcome.now.ToNanoseconds() / 1e9 - now
        self.pulse = Pulse(welcome.heartbeat.ToNanoseconds() / 1e9, said_at=now, heard_at=now)
        if welcome.HasField("token_expires_at"):
            self.token_expires(welcome.token_expires_at.ToNanoseconds() / 1e9)

    def token_expires(self, at: float) -> None:
        """Learn when the token expires, by the gateway's clock."""
        self.token_until = at - self.clock_offset

    def count_down(self, envelope: Envelope, now: float) -> None:
        """Make the turn of a message that comes at `now`, by our clock, say what is left of it."""
        if envelope.HasField("turn"):
            count_from(envelope.turn, now + self.clock_offset)

    def next_frame(self, link: Link, outbox: Outbox, inbox: Inbox) -> ExchangeRequest | None:
        """Return a frame with a new token, or else with all that is queued; None for nothing.

        With nothing queued it is one without content, if one is due. Only batches are numbered.
        """
        frame = ExchangeRequest(confirmed_number=link.received)
        if self.renewal:
            link.confirm()
            frame.renew_token.CopyFrom(RenewToken(token=self.renewal))
            self.renewal = ""
        elif inbox.has_acks or outbox.has_queued or self.asks_for_word:
            frame.number = link.number_next()
            taken = inbox.take_acks(frame.number, ACKS_PER_FRAME_MAX)
            envelopes = outbox.take(frame.number, self.frame_bytes)
            frame.batch.CopyFrom(RequestBatch(envelopes=envelopes, acked_msg_ids=taken))
            self.asks_for_word = False
        elif self.owes_beat or link.owes_confirmation:
            link.confirm()
        else:
            return None
        self.owes_beat = False
        return frame
