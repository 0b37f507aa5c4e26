"""What is checked of an envelope around its payload.

Nearly every envelope is good, so `time_to_live` takes one look, with the cheapest parts first,
and returns what admission needs of a good one; `fault` looks again at one that is not and says
what, where and what would have been right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

from gateway.admission_refusals import UNREADABLE
from gateway.clock import iso_text, seconds_of
from gateway.envelope_head import Head, has_field
from gateway.members import Member
from gateway.refusals import Fault
from llmx.v1.envelope_pb2 import ACT_CFP, ACT_MESSAGE, ACT_UNSPECIFIED, Act, Envelope, Scope

MSG_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
"""What agents call their messages. The gateway's own ids contain ":", so the two never meet."""


CONSENT_CHARACTERS_MAX = 64
SCOPES_KEPT = 1_024
SCOPE_BYTES_KEPT = 128
"""How many scopes, none longer than that, are known without another look into them."""

SENDABLE = frozenset(Act.values()) - {ACT_UNSPECIFIED}
PARTY_ACTS = SENDABLE - {ACT_MESSAGE, ACT_CFP}
"""Acts that happen inside a negotiation that is open already."""

_is_msg_id = MSG_ID.fullmatch
_moment_of = datetime.fromisoformat


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The bounds of a message."""

    envelope_bytes_max: int
    payload_bytes_max: int
    recipients_max: int
    capabilities_max: int
    ttl_default: float
    ttl_max: float
    clock_skew_max: float


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends on a stream, as its token says."""

    member: Member
    acts: frozenset[int] = SENDABLE
    """The acts that the token allows."""
    system: bool = False
    """May it use what the tenant's limits reserve?"""


class HeaderCheck:
    """Checks envelopes against the limits of one gateway."""

    def __init__(self, limits: AdmissionLimits) -> None:
        """Check against `limits`."""
        self._limits = limits
        self._bytes_max = limits.envelope_bytes_max
        self._payload_max = limits.payload_bytes_max
        self._recipients_max = limits.recipients_max
        self._capabilities_max = limits.capabilities_max
        self._ttl_by_scope: dict[bytes, float] = {}
        self._latest = datetime.fromtimestamp(0, UTC)
        self._latest_until = 0.0

    def time_to_live(
        self,
        envelope: Head,
        msg_id: str,
        act: int,
        negotiation_id: str,
        payload_bytes: int,
        raw_bytes: int,
        sender: Sender,
        now: float,
    ) -> float:
        """Return for how many seconds the message may live, or 0.0 when its header has a fault.

        The envelope is a `Head`, as admission reads it.
        """
        if now >= self._latest_until:  # a second more or less does not matter to clocks
            self._latest = datetime.fromtimestamp(now + self._limits.clock_skew_max, UTC)
            self._latest_until = now + 1.0
        try:
            if not (
                payload_bytes <= self._payload_max
                and raw_bytes <= self._bytes_max
                and act in sender.acts
                and envelope.sender == sender.member.agent_id
                and _is_msg_id(msg_id) is not None
                and (
                    negotiation_id != ""
                    if act in PARTY_ACTS
                    else len(envelope.recipients) <= self._recipients_max
                )
                and _moment_of(envelope.ts) <= self._latest
                and not has_field(envelope, "turn")
                and len(envelope.capabilities) <= self._capabilities_max
            ):
                return 0.0
        except (ValueError, TypeError):  # ts is no time, or has no zone
            return 0.0
        ttl = self._ttl_by_scope.get(envelope.scope)
        return self._new_scope(envelope.scope) if ttl is None else ttl

    def _new_scope(self, said: bytes) -> float:
        """Return the time to live that a scope asks for, or 0.0 when it has a fault."""
        try:
            scope = Scope.FromString(said)
        except DecodeError:
            return 0.0
        ttl = self._limits.ttl_default
        if scope.HasField("ttl"):
            ttl = _seconds(scope.ttl)
        if not 0 < ttl <= self._limits.ttl_max or len(scope.consent) > CONSENT_CHARACTERS_MAX:
            return 0.0
        if len(said) <= SCOPE_BYTES_KEPT:
            if len(self._ttl_by_scope) >= SCOPES_KEPT:
                self._ttl_by_scope.clear()
            self._ttl_by_scope[said] = ttl
        return ttl

    def fault_in(self, raw: bytes, sender: Sender, now: float) -> Fault | None:
        """Return what is wrong with the header of a serialised envelope, or None."""
        try:
            envelope = Envelope.FromString(raw)
        except DecodeError:
            return UNREADABLE
        return self.fault(envelope, len(raw), sender, now)

    def fault(self, envelope: Envelope, raw_bytes: int, sender: Sender, now: float) -> Fault | None:
        """Return what is wrong with the header, or None."""
        limits = self._limits
        size = len(envelope.payload)
        if raw_bytes > limits.envelope_bytes_max or size > limits.payload_bytes_max:
            return Fault(
                "TOO_LARGE",
                f"the payload has {size} bytes, the envelope {raw_bytes}",
                f"send at most {limits.payload_bytes_max} bytes of payload",
                "/payload",
            )
        if envelope.sender != sender.member.agent_id:
            return Fault(
                "SENDER_MISMATCH",
                "from is not the agent that the token names",
                f"send as {sender.member.agent_id}",
                "/envelope/from",
            )
        if MSG_ID.fullmatch(envelope.msg_id) is None:
            return Fault(
                "MALFORMED_ENVELOPE",
                "msg_id is empty, too long, or has characters that ids do not have",
                "use 1 to 128 of A-Z a-z 0-9 . _ ~ -, a UUID for example",
                "/envelope/msg_id",
            )
        return (
            _act_fault(envelope, sender)
            or (FORGED_TURN if envelope.HasField("turn") else None)
            or _address_fault(envelope, limits)
            or _scope_fault(envelope, limits, now)
        )


def _act_fault(envelope: Envelope, sender: Sender) -> Fault | None:
    act = envelope.act
    if act not in SENDABLE:
        return Fault(
            "UNKNOWN_ACT",
            f"{act} is not an act that agents send",
            "use one of llmx.v1.Act, ACT_MESSAGE for a plain message",
            "/envelope/act",
        )
    if act not in sender.acts:
        return Fault(
            "ACT_NOT_ALLOWED",
            "the token does not allow this act",
            "ask the issuer of the token for the act in its acts claim",
            "/envelope/act",
        )
    if act in PARTY_ACTS and not envelope.negotiation_id:
        return Fault(
            "UNKNOWN_NEGOTIATION",
            "the act belongs to a negotiation, and none is named",
            "set negotiation_id to the one that the call bears",
            "/envelope/negotiation_id",
        )
    return None


def _address_fault(envelope: Envelope, limits: AdmissionLimits) -> Fault | None:
    if len(envelope.recipients) > limits.recipients_max and envelope.act not in PARTY_ACTS:
        return Fault(
            "MALFORMED_ENVELOPE",
            f"the envelope names {len(envelope.recipients)} recipients",
            f"name at most {limits.recipients_max}, or use a topic or a group",
            "/envelope/to",
        )
    if len(envelope.capabilities) > limits.capabilities_max:
        return Fault(
            "MALFORMED_ENVELOPE",
            f"the envelope asks for {len(envelope.capabilities)} capabilities",
            f"ask for at most {limits.capabilities_max}",
            "/envelope/capabilities",
        )
    return None


def _scope_fault(envelope: Envelope, limits: AdmissionLimits, now: float) -> Fault | None:
    if envelope.HasField("scope") and envelope.scope.HasField("ttl"):
        ttl = _seconds(envelope.scope.ttl)
        if not 0 < ttl <= limits.ttl_max:
            return Fault(
                "TTL_INVALID",
                f"a time to live of {ttl:g} seconds cannot be kept",
                f"choose more than 0 and at most {limits.ttl_max:g} seconds",
                "/envelope/scope/ttl",
            )
    if len(envelope.scope.consent) > CONSENT_CHARACTERS_MAX:
        return Fault(
            "MALFORMED_ENVELOPE",
            f"the statement of consent has {len(envelope.scope.consent)} characters",
            f"use a word of at most {CONSENT_CHARACTERS_MAX}, opt-in for example",
            "/envelope/scope/consent",
        )
    at = seconds_of(envelope.ts)
    if at is None or at > now + limits.clock_skew_max:
        return Fault(
            "CLOCK_SKEW",
            "ts is no ISO 8601 time with a zone"
            if at is None
            else f"ts lies {at - now:.0f} seconds in the future",
            f"set the clock; here it is {iso_text(now)}",
            "/envelope/ts",
        )
    return None


FORGED_TURN = Fault(
    "MALFORMED_ENVELOPE",
    "the envelope says what only a gateway tells: whose turn it is, and for how long",
    "leave turn empty",
    "/envelope/turn",
)


def _seconds(ttl: Duration) -> float:
    """Return a time to live in seconds; it may be negative."""
    return ttl.seconds + ttl.nanos / 1e9
