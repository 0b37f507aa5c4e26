"""The messages of a benchmark round, built once and patched as bytes.

A call and an offer are about 400 bytes of JSON and valid under `Negotiation.json`. What
differs from round to round is the msg_id, the negotiation and the message answered; all of
it is put in front of or behind pieces that were serialised once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration

from llmx.v1 import envelope_pb2
from loadtest.framing import field, varint

SCHEMA = "https://llm-x.org/schemas/v1/Negotiation.json"
REPLY_WITHIN_SECONDS = 60
OFFER_VARIANTS = 16

MSG_ID = 1
NEGOTIATION_ID = 8
IN_REPLY_TO = 9


def call_payload() -> dict[str, object]:
    """Return the content of a call for proposals, about 400 bytes of JSON."""
    return {
        "$schema": SCHEMA,
        "act": "cfp",
        "round": 1,
        "reply_within": REPLY_WITHIN_SECONDS,
        "policy": "high",
        "task": {
            "kind": "gpu-lease",
            "resource": "H100",
            "units": 4,
            "minutes": 30,
            "region": "eu-west",
            "purpose": "fine-tuning of a small language model overnight",
        },
        "constraints": {
            "start_before": "2030-01-01T08:00Z",
            "price_max": 100,
            "interruptible": False,
        },
        "text": "Four H100 for half an hour, tonight, in one rack.",
    }


def offer_payload(contractor: int, variant: int) -> dict[str, object]:
    """Return the content of an offer, about 400 bytes of JSON; the variant changes its value."""
    return {
        "$schema": SCHEMA,
        "act": "offer",
        "round": 1,
        "value": 40 + (contractor * 7 + variant * 5) % 61 + contractor / 1000,
        "timestamp": "2030-01-01T07:59:30Z",
        "valid_for": 600,
        "terms": {
            "gpus": 4,
            "model": "H100-SXM5-80GB",
            "rack": f"r{contractor:03d}",
            "region": "eu-west",
            "interconnect": "nvlink",
        },
        "conditions": {"start_in": 120, "minutes": 30, "revocable": False},
        "text": "Available now in one rack, not shared with others, billed by the minute.",
    }


def accept_payload(offer_id: str) -> dict[str, object]:
    """Return the content of an accept as the exchange words it."""
    return {
        "$schema": SCHEMA,
        "act": "accept",
        "decision": "accepted",
        "offer_id": offer_id,
        "price": 40.0,
        "reason": "best",
    }


def reject_payload(offer_id: str) -> dict[str, object]:
    """Return the content of a reject as the exchange words it."""
    return {
        "$schema": SCHEMA,
        "act": "reject",
        "decision": "rejected",
        "offer_id": offer_id,
        "reason": "another_offer_won",
        "detail": "ranked behind the winner",
    }


def as_bytes(payload: dict[str, object]) -> bytes:
    """Return a payload as it travels."""
    return json.dumps(payload, separators=(",", ":")).encode()


def address(name: str) -> str:
    """Return the address of an agent."""
    return f"agent://{name}"


def rest_of_envelope(
    sender: str,
    recipients: list[str],
    act: envelope_pb2.Act,
    payload: bytes,
    capabilities: tuple[str, ...] = (),
) -> bytes:
    """Return an envelope without msg_id, negotiation and in_reply_to, to be put behind them."""
    return envelope_pb2.Envelope(
        ts=datetime.now(UTC).isoformat(timespec="milliseconds"),
        sender=sender,
        recipients=recipients,
        capabilities=capabilities,
        scope=envelope_pb2.Scope(consent="opt-in", ttl=Duration(seconds=120)),
        act=act,
        payload=payload,
    ).SerializeToString()


class Pieces:
    """An envelope whose msg_id is `<before><digits><after>` and whose rest is fixed.

    The digits are those of the round. `put` adds the pieces of one envelope, framed as an
    entry of a batch, to a list of pieces; nothing is copied until the frame is joined.
    """

    __slots__ = ("_after", "_before", "_heads", "_length", "_msg_id_head")

    def __init__(self, before: str, digits: int, after: str, rest: bytes) -> None:
        msg_id_length = len(before) + digits + len(after)
        self._before = before.encode()
        self._msg_id_head = field(MSG_ID, bytes(msg_id_length))[:-msg_id_length]
        self._after = after.encode() + rest
        self._length = len(self._msg_id_head) + msg_id_length + len(rest)
        self._heads: dict[int, bytes] = {}

    def put(self, pieces: list[bytes], digits: bytes, suffix: bytes) -> None:
        """Append the envelope of the round with these digits, ended by `suffix`."""
        extra = len(suffix)
        head = self._heads.get(extra)
        if head is None:
            head = b"\x0a" + varint(self._length + extra) + self._msg_id_head + self._before
            self._heads[extra] = head
        pieces += (head, digits, self._after, suffix)


def of_negotiation(negotiation_id: str) -> bytes:
    """Return the field that says to which negotiation a message belongs."""
    return field(NEGOTIATION_ID, negotiation_id.encode())


def answer_suffix(negotiation_id: str, in_reply_to: str) -> bytes:
    """Return the two fields that say where an answer belongs."""
    return of_negotiation(negotiation_id) + field(IN_REPLY_TO, in_reply_to.encode())
