"""How the gateway says that a message did not count.

What an agent does wrong is a value here, a `Fault`, never an exception. It becomes a
`llmx.v1.Refusal` on the agent's stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from llmx.v1 import refusal_pb2
from llmx.v1.refusal_pb2 import Refusal, RefusalCode

PREFIX = "REFUSAL_CODE_"
CODES = {
    name.removeprefix(PREFIX): getattr(refusal_pb2, name)
    for name in RefusalCode.keys()  # noqa: SIM118 - not a dict: it cannot be iterated
}
"""RefusalCode by its short name, "WRONG_STATE"."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something did not count."""

    code: str
    """A RefusalCode without its prefix."""
    reason: str
    """A sentence; never the payload's text."""
    remedy: str
    """What would have been right."""
    pointer: str = ""
    """Where, as a JSON pointer into the paper's form of the message."""
    retry_after: float = 0.0
    """Seconds; 0 when waiting does not help."""
    example: str = ""
    """A small valid payload."""


def refusal_of(fault: Fault, msg_id: str, negotiation_id: str = "") -> Refusal:
    """Return the refusal that tells an agent about `fault`."""
    refusal = Refusal(
        msg_id=msg_id,
        code=CODES[fault.code],
        pointer=fault.pointer,
        reason=fault.reason,
        remedy=fault.remedy,
        negotiation_id=negotiation_id,
        example=fault.example,
    )
    if 0 < fault.retry_after < 1e9:
        refusal.retry_after.CopyFrom(Duration())
        refusal.retry_after.FromNanoseconds(int(fault.retry_after * 1e9) + 1)
    return refusal
