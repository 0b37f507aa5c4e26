"""The ids of traces: random, but for a call that says nothing of a trace.

The trace of such a call follows from who calls, its `msg_id` and its `ts`. So the same call, sent
again to another gateway because its owner was killed, goes on in the trace that it began there, and
nothing about traces has to be kept anywhere. Pure but for chance.
"""

from __future__ import annotations

from hashlib import sha256

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

TRACE_BYTES = 16


def trace_of_call(tenant: str, agent: str, msg_id: str, ts: str) -> int:
    """Return the id of the trace of a call, the same at every gateway; as good as random."""
    said = "\0".join((tenant, agent, msg_id, ts)).encode()
    return int.from_bytes(sha256(said).digest()[:TRACE_BYTES], "big")


class TraceIds(RandomIdGenerator):
    """Makes ids; the next trace can be told its own."""

    def __init__(self) -> None:
        """Make random ids."""
        self.next_trace = 0
        """The id of the next trace that begins; 0 is a random one."""

    def generate_trace_id(self) -> int:
        """Return the id of a trace that begins."""
        told, self.next_trace = self.next_trace, 0
        return told or super().generate_trace_id()
