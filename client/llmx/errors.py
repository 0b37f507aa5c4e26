"""What can go wrong, as an author of agents sees it.

    LlmxError
    ├── Refused                a gateway did not take a message; the session lives on
    ├── NegotiationLost        a negotiation has no outcome: the session ended before it
    ├── Undelivered            a message was admitted, and has not reached everybody it names
    ├── ControlError           the control service said no
    ├── HandlerCancelled       a handler raised CancelledError and nobody had cancelled it
    ├── StreamLost             a stream is given up, and the session goes on with another one
    └── SessionError           the session is over, or could not be opened
        ├── Unauthenticated    the token is missing, wrong or expired
        ├── NotAllowed         the token is good, and does not allow this
        ├── Replaced           the same agent opened a newer session
        ├── Unreachable        no gateway answered in the time given
        ├── ProtocolError      the gateway and this library do not speak the same protocol
        └── SessionClosed      the session was closed by this program

Errors of grpc are translated here, once, and never leave the library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc

from llmx.v1.refusal_pb2 import Refusal, RefusalCode


class LlmxError(Exception):
    """Anything that this library raises on purpose."""


class Refused(LlmxError):
    """A message did not count; nothing happened because of it."""

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        pointer: str = "",
        remedy: str = "",
        retry_after: float | None = None,
        msg_id: str = "",
        negotiation_id: str = "",
        example: str = "",
    ) -> None:
        """Say which message did not count and why."""
        self.code = code
        """A RefusalCode without its prefix, "SCHEMA_VIOLATION"."""
        self.reason = reason
        """What was wrong, in a sentence for a person or an LLM."""
        self.pointer = pointer
        """Where: a JSON pointer into the JSON form of the message; empty means all of it."""
        self.remedy = remedy
        """What would have been right."""
        self.retry_after = retry_after
        """Seconds until the same message can succeed; None when waiting does not help."""
        self.msg_id = msg_id
        self.negotiation_id = negotiation_id
        self.example = example
        """A small valid payload as JSON; empty when none is known."""
        at = f" at {pointer}" if pointer else ""
        then = f" ({remedy})" if remedy else ""
        super().__init__(f"{code}{at}: {reason}{then}")


class NegotiationLost(LlmxError):
    """A negotiation has no outcome, because the session ended before it."""

    def __init__(self, negotiation_id: str, reason: str) -> None:
        """Name the negotiation; the id is empty when it was never opened."""
        self.negotiation_id = negotiation_id
        super().__init__(f"negotiation {negotiation_id or '(not opened)'}: {reason}")


class Undelivered(LlmxError):
    """A message was admitted, and has not reached everybody whom it names."""

    def __init__(self, msg_id: str, failed: Mapping[str, str], delivered: Sequence[str]) -> None:
        """Say whom it did not reach and why, and whom it did."""
        self.msg_id = msg_id
        self.failed = dict(failed)
        """The reason for each recipient that it did not reach: "expired", "no_word"."""
        self.delivered = tuple(delivered)
        reasons = ", ".join(f"{agent} ({reason})" for agent, reason in failed.items())
        super().__init__(f"message {msg_id} did not reach {reasons}")


class ControlError(LlmxError):
    """The control service said no."""

    def __init__(self, status: str, detail: str) -> None:
        """Keep the name of the grpc status, "INVALID_ARGUMENT", and the sentence beside it."""
        self.status = status
        self.detail = detail
        super().__init__(f"{status}: {detail}")


class HandlerCancelled(LlmxError):
    """A handler raised CancelledError, and nobody had cancelled it.

    It never reaches the author: it is logged, and answered like any failure of a handler.
    """


class StreamLost(LlmxError):
    """A stream is given up by this side; the session goes on with another one.

    It never reaches the author.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Give the reason as a Goodbye would, "silent" or "out_of_order", and a sentence."""
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


class SessionError(LlmxError):
    """The session is over, or could not be opened."""

    def __init__(self, detail: str) -> None:
        """Say why in a sentence."""
        self.detail = detail
        super().__init__(detail)


class Unauthenticated(SessionError):
    """The token is missing, wrong or expired."""


class NotAllowed(SessionError):
    """The token is good, and does not allow this."""


class Replaced(SessionError):
    """The same agent opened a newer session, and this one gave way."""


class Unreachable(SessionError):
    """No gateway answered in the time given."""


class ProtocolError(SessionError):
    """The gateway and this library do not speak the same protocol."""


class SessionClosed(SessionError):
    """The session was closed by this program."""


_ENDS: dict[grpc.StatusCode, type[SessionError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
    grpc.StatusCode.ALREADY_EXISTS: Replaced,
    grpc.StatusCode.INVALID_ARGUMENT: ProtocolError,
    grpc.StatusCode.UNIMPLEMENTED: ProtocolError,
}


def ending_error(code: grpc.StatusCode, detail: str) -> SessionError | None:
    """Return the error that a stream's end means, or None when connecting again may help."""
    kind = _ENDS.get(code)
    return kind(detail or code.name) if kind else None


def control_error(error: grpc.RpcError) -> LlmxError:
    """Return what a failed call of the control service means."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return ControlError("UNKNOWN", str(error))
    code, detail = error.code(), error.details() or ""
    match code:
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unauthenticated(detail)
        case grpc.StatusCode.PERMISSION_DENIED:
            return NotAllowed(detail)
        case grpc.StatusCode.UNAVAILABLE:
            return Unreachable(detail)
        case _:
            return ControlError(code.name, detail)


def refused(refusal: Refusal) -> Refused:
    """Return the exception for what a gateway answered."""
    try:
        code = RefusalCode.Name(refusal.code).removeprefix("REFUSAL_CODE_")
    except ValueError:
        code = "UNSPECIFIED"  # a code of a newer gateway
    wait = refusal.retry_after.ToTimedelta().total_seconds()
    return Refused(
        code,
        refusal.reason,
        pointer=refusal.pointer,
        remedy=refusal.remedy,
        retry_after=wait if refusal.HasField("retry_after") else None,
        msg_id=refusal.msg_id,
        negotiation_id=refusal.negotiation_id,
        example=refusal.example,
    )
