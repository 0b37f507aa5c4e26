"""Messages as values, and the one place where envelopes are written and read.

A payload is parsed when somebody looks at it and not before: most of what passes through a
busy agent is looked at once, and what only needs an acknowledgement is never looked at.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from llmx.turns import Turn, turn_of
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService, ReceiptRequest

SCHEMAS = "https://llm-x.org/schemas/v1/"
NEGOTIATION_SCHEMA = SCHEMAS + "Negotiation.json"
TEXT_SCHEMA = SCHEMAS + "Text.json"

ACT_NAMES: dict[int, str] = {
    value: name.removeprefix("ACT_").lower().replace("_", "-") for name, value in Act.items()
}
"""The wire name of each act, "not-understood"."""

QUALITIES: dict[str, QualityOfService] = {
    "at-most-once": QualityOfService.QUALITY_OF_SERVICE_AT_MOST_ONCE,
    "at-least-once": QualityOfService.QUALITY_OF_SERVICE_AT_LEAST_ONCE,
    "once": QualityOfService.QUALITY_OF_SERVICE_ONCE,
}

RECEIPTS: dict[str, ReceiptRequest] = {
    "admitted": ReceiptRequest.RECEIPT_REQUEST_ADMITTED,
    "delivered": ReceiptRequest.RECEIPT_REQUEST_DELIVERED,
}

Recipients = str | Iterable[str]
"""One address, or several: `agent://bob`, `topic://gpu`, `group://night-shift`."""


def number_in(body: Mapping[str, Any], name: str) -> float | None:
    """Return a number of a payload, or None when it is absent or something else."""
    value = body.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_in(body: Mapping[str, Any], name: str) -> str:
    """Return a text of a payload, or an empty one when it is absent or something else."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def object_in(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object of a payload, or an empty one when it is absent or something else."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}


class Message:
    """A message that came from somebody."""

    def __init__(self, envelope: Envelope) -> None:
        """Look at an envelope."""
        self.envelope = envelope
        """As it came over the wire."""
        self._came = time.monotonic()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.act} {self.msg_id} from {self.sender}>"

    @property
    def act(self) -> str:
        """Return what the message does, "message" or "failure"."""
        return ACT_NAMES.get(self.envelope.act, "unspecified")

    @property
    def sender(self) -> str:
        """Return who sent it, `agent://alice`."""
        return self.envelope.sender

    @property
    def msg_id(self) -> str:
        """Return its id, unique for its sender."""
        return self.envelope.msg_id

    @property
    def negotiation_id(self) -> str:
        """Return the negotiation it belongs to, or an empty text."""
        return self.envelope.negotiation_id

    @property
    def in_reply_to(self) -> str:
        """Return the msg_id that it answers, or an empty text."""
        return self.envelope.in_reply_to

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """The payload. Raises ValueError when it is not a JSON object."""
        value = json.loads(self.envelope.payload)
        if not isinstance(value, dict):
            raise ValueError("the payload is not a JSON object")  # as for bad JSON
        return value

    @cached_property
    def turn(self) -> Turn | None:
        """How long there is to answer, and what stands; None when no answer is expected."""
        return turn_of(self.envelope, self._came)

    @property
    def text(self) -> str:
        """Return the words for a person or an LLM, or an empty text."""
        return text_in(self.body, "text")


class Drafts:
    """Writes the envelopes of one agent."""

    def __init__(self, sender: str) -> None:
        """Write for `sender`; msg_ids are unique across processes and restarts."""
        self.sender = sender
        self._prefix = secrets.token_hex(6)
        self._written = 0

    def write(
        self,
        act: Act,
        body: Mapping[str, Any],
        to: Recipients = (),
        *,
        schema: str = NEGOTIATION_SCHEMA,
        negotiation_id: str = "",
        in_reply_to: str = "",
        capabilities: Iterable[str] = (),
        consent: str = "",
        ttl: float | None = None,
        qos: str | None = None,
        durable: bool = False,
        receipt: str | None = None,
    ) -> Envelope:
        """Return an envelope with a new msg_id.

        `ttl` is in seconds, None is the gateway's default. A "$schema" in the body wins over
        `schema`. Raises ValueError for a number that JSON does not know, a `qos` that is not one
        of QUALITIES and a `receipt` that is not one of RECEIPTS, TypeError for a value that JSON
        cannot hold.
        """
        self._written += 1
        head: dict[str, Any] = {"$schema": schema}
        if act != Act.ACT_MESSAGE:
            head["act"] = ACT_NAMES[act]
        envelope = Envelope(
            msg_id=f"{self._prefix}-{self._written:x}",
            ts=_now_text(),
            sender=self.sender,
            recipients=(to,) if isinstance(to, str) else to,
            capabilities=capabilities,
            act=act,
            negotiation_id=negotiation_id,
            in_reply_to=in_reply_to,
            payload=_dumps({**head, **body}),
            durable=durable,
        )
        if consent:
            envelope.scope.consent = consent
        if ttl is not None:
            envelope.scope.ttl.FromNanoseconds(round(ttl * 1e9))
        if qos is not None:
            if qos not in QUALITIES:
                raise ValueError(f"qos {qos!r} is none of {', '.join(QUALITIES)}")
            envelope.quality_of_service = QUALITIES[qos]
        if receipt is not None:
            if receipt not in RECEIPTS:
                raise ValueError(f"receipt {receipt!r} is none of {', '.join(RECEIPTS)}")
            envelope.receipt = RECEIPTS[receipt]
        return envelope

    def rewrite(self, envelope: Envelope, *, negotiation_id: str) -> Envelope:
        """Return the same message for another negotiation, with a new msg_id."""
        self._written += 1
        copy = Envelope()
        copy.CopyFrom(envelope)
        copy.msg_id = f"{self._prefix}-{self._written:x}"
        copy.negotiation_id = negotiation_id
        return copy


def _dumps(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
