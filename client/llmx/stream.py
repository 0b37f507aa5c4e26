"""The state of one stream: its numbers, its token, and which frame goes out next.

The next stream starts afresh; what outlives a stream is in the outbox.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from llmx.outbox import Outbox
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

    sent_number: int = 1  # the Hello
    received_number: int = 0
    frame_bytes: int = 0
    """How much one frame may carry."""
    welcomed: bool = False
    renewal: str = ""
    """A token that waits to be sent."""
    token_until: float = 0.0
    """When the token expires by this machine's monotonic clock; 0 means never."""
    clock_offset: float = 0.0
    """The gateway's clock minus this machine's monotonic one."""
    goodbye: Goodbye | None = None
    renewed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the gateway has answered to the token that was sent last."""

    def begin(self, number: int, welcome: Welcome, now: float) -> None:
        """Hear the Welcome at `now` on this machine's monotonic clock."""
        self.welcomed = True
        self.received_number = number
        self.frame_bytes = int((welcome.frame_bytes_max or FRAME_BYTES_DEFAULT) * FRAME_SHARE)
        self.clock_offset = welcome.now.ToNanoseconds() / 1e9 - now
        if welcome.HasField("token_expires_at"):
            self.token_expires(welcome.token_expires_at.ToNanoseconds() / 1e9)

    def token_expires(self, at: float) -> None:
        """Learn when the token expires, by the gateway's clock."""
        self.token_until = at - self.clock_offset

    def next_frame(self, outbox: Outbox, acks: deque[str]) -> ExchangeRequest | None:
        """Return a frame with a new token, or else with all that is queued; None for nothing.

        A frame that would only confirm is not sent: the other side would confirm that.
        """
        number = self.sent_number + 1
        frame = ExchangeRequest(number=number, confirmed_number=self.received_number)
        if self.renewal:
            frame.renew_token.CopyFrom(RenewToken(token=self.renewal))
            self.renewal = ""
        elif acks or outbox.has_queued:
            taken = [acks.popleft() for _ in range(min(len(acks), ACKS_PER_FRAME_MAX))]
            envelopes = outbox.take(number, self.frame_bytes)
            frame.batch.CopyFrom(RequestBatch(envelopes=envelopes, acked_msg_ids=taken))
        else:
            return None
        self.sent_number = number
        return frame
