"""What the engine's answers are on the wire: a call that is open, an act that did not count."""

from __future__ import annotations

from gateway.clock import set_seconds
from gateway.refusals import Fault
from llmx.v1.negotiation_pb2 import NegotiationOpened
from policy.call import Call
from policy.effects import Refuse

POINTERS = {
    "INVALID_ADDRESS": "/envelope/to",
    "NOT_A_PARTY": "/envelope/from",
    "WRONG_STATE": "/envelope/act",
    "ALREADY_ANSWERED": "/envelope/act",
    "LATE": "/envelope/act",
    "OFFER_BINDING": "/envelope/act",
    "NOT_YOUR_TURN": "/envelope/act",
    "UNKNOWN_OFFER": "/payload/offer_id",
    "STALE_OFFER": "/payload/offer_id",
    "OFFER_EXPIRED": "/payload",
    "TERMS_INVALID": "/payload",
    "MUST_CONCEDE": "/payload",
    "POLICY_INVALID": "/payload/policy",
    "OPTIONS_INVALID": "/payload",
    "UNKNOWN_PROTOCOL": "/payload/protocol",
}
"""Where to look for what a protocol refuses without naming a property of the call."""


UNKNOWN_NEGOTIATION = Fault(
    "UNKNOWN_NEGOTIATION",
    "there is no such negotiation, or it ended too long ago to be remembered",
    "use the negotiation_id of the call, while it is open",
    "/envelope/negotiation_id",
)


def fault_of(refuse: Refuse) -> Fault:
    """Return what an agent is told of an act that did not count."""
    pointer = f"/payload/{refuse.member}" if refuse.member else POINTERS.get(refuse.code, "")
    return Fault(refuse.code, refuse.reason, refuse.remedy, pointer)


def opened(call: Call, msg_id: str) -> bytes:
    """Return what an initiator is told of its call, serialised."""
    told = NegotiationOpened(
        msg_id=msg_id,
        negotiation_id=call.negotiation_id,
        eligible=call.eligible,
        policy=f"{call.acceptance.name}@{call.acceptance.revision}",
    )
    set_seconds(told.closes_at, call.closes_at)
    return told.SerializeToString()
