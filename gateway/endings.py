"""Why streams end: a word for programs, the status of the call, does the session live on."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from llmx.v1.exchange_service_pb2 import Goodbye

STATUS_OF = {
    "token_expired": grpc.StatusCode.UNAUTHENTICATED,
    "token_revoked": grpc.StatusCode.UNAUTHENTICATED,
    "replaced": grpc.StatusCode.ALREADY_EXISTS,
    "slow_consumer": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "stopping": grpc.StatusCode.UNAVAILABLE,
    "silent": grpc.StatusCode.UNAVAILABLE,
    "aged": grpc.StatusCode.UNAVAILABLE,
    "out_of_order": grpc.StatusCode.OUT_OF_RANGE,
}
RESUMABLE = frozenset(STATUS_OF) - {"replaced", "token_revoked"}
"""After these the agent may go on with its session on another stream."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream ends."""

    reason: str
    detail: str
    reconnect_after: float = 0.0
    """Seconds that the agent shall wait; 0 for as long as it likes."""
    move_to: tuple[str, ...] = ()
    """Addresses of gateways to connect to instead."""

    def goodbye(self, resume_token: str) -> Goodbye:
        """Return the last frame of a stream whose session can be resumed with a token."""
        goodbye = Goodbye(reason=self.reason, detail=self.detail, move_to=self.move_to)
        if self.reason in RESUMABLE:
            goodbye.resume_token = resume_token
        if self.reconnect_after > 0:
            goodbye.reconnect_after.FromNanoseconds(int(self.reconnect_after * 1e9))
        return goodbye
