"""The paper's JSON form of an envelope, for people and language models.

    {"envelope": {"msg_id", "ts", "from", "to", "capabilities", "scope": {"consent", "ttl"}},
     "payload": {"$schema": …}}

The two forms convert into each other without loss. The JSON form has no field for most acts,
because the paper reads them off the payload; so `act` stands in the envelope only when the
payload does not show it. `ts` is text in both forms and comes back as it was written; the
payload comes back as the same value in its shortest spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
from google.protobuf.duration_pb2 import Duration
from jsonschema import Draft202012Validator

from gateway import shipped_schemas
from gateway.acts import ACT_NAMES, act_named
from gateway.explanation import Finding, from_native, from_reference
from gateway.strict_json import DEPTH_MAX, JsonFault, parse
from llmx.v1.envelope_pb2 import (
    ACT_ACCEPT,
    ACT_CFP,
    ACT_MESSAGE,
    ACT_OFFER,
    ACT_REJECT,
    Envelope,
    QualityOfService,
    ReceiptRequest,
    Scope,
)

NANOSECONDS = 1_000_000_000

_QUALITIES = {
    QualityOfService.QUALITY_OF_SERVICE_AT_MOST_ONCE: "at-most-once",
    QualityOfService.QUALITY_OF_SERVICE_AT_LEAST_ONCE: "at-least-once",
    QualityOfService.QUALITY_OF_SERVICE_ONCE: "once",
}
_QUALITY_NAMED = {name: quality for quality, name in _QUALITIES.items()}
_RECEIPTS = {
    ReceiptRequest.RECEIPT_REQUEST_ADMITTED: "admitted",
    ReceiptRequest.RECEIPT_REQUEST_DELIVERED: "delivered",
}
_RECEIPT_NAMED = {name: receipt for receipt, name in _RECEIPTS.items()}
# What shows an act of `Negotiation.json` when nothing names it; the first that fits.
_SHAPES = (
    (lambda payload: "deadline" in payload or "reply_within" in payload, ACT_CFP),
    (lambda payload: payload.get("decision") == "accepted", ACT_ACCEPT),
    (lambda payload: payload.get("decision") == "rejected", ACT_REJECT),
    (lambda payload: "value" in payload, ACT_OFFER),
)


class PaperFormError(ValueError):
    """Tells where a message cannot be converted, why, and what would be right."""

    def __init__(self, pointer: str, reason: str, remedy: str) -> None:
        super().__init__(f"{pointer or 'message'}: {reason} {remedy}")
        self.pointer = pointer
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[PaperFormError], tuple[str, str, str]]:
        return type(self), (self.pointer, self.reason, self.remedy)


def to_json(envelope: Envelope) -> dict[str, Any]:
    """Return the JSON form; raises PaperFormError if act or payload have none."""
    payload = parse(envelope.payload)
    if isinstance(payload, JsonFault):
        raise PaperFormError("/payload" + payload.pointer, payload.reason, payload.remedy)
    if envelope.act not in ACT_NAMES:
        raise PaperFormError("/envelope/act", "The message has no act.", "Set one of Act.")
    head: dict[str, Any] = {
        "msg_id": envelope.msg_id,
        "ts": envelope.ts,
        "from": envelope.sender,
        "to": list(envelope.recipients),
    }
    if envelope.capabilities:
        head["capabilities"] = list(envelope.capabilities)
    if envelope.HasField("scope"):
        head["scope"] = _scope_json(envelope.scope)
    if act_shown(payload) != envelope.act:
        head["act"] = ACT_NAMES[envelope.act]
    if envelope.negotiation_id:
        head["negotiation_id"] = envelope.negotiation_id
    if envelope.in_reply_to:
        head["in_reply_to"] = envelope.in_reply_to
    if envelope.quality_of_service in _QUALITIES:
        head["quality_of_service"] = _QUALITIES[envelope.quality_of_service]
    if envelope.durable:
        head["durable"] = True
    if envelope.receipt in _RECEIPTS:
        head["receipt"] = _RECEIPTS[envelope.receipt]
    if envelope.sent_before:
        head["sent_before"] = True
    if envelope.traceparent:
        head["traceparent"] = envelope.traceparent
    if envelope.tracestate:
        head["tracestate"] = envelope.tracestate
    return {"envelope": head, "payload": payload}


def from_json(message: Mapping[str, Any] | bytes | str) -> Envelope:
    """Return the envelope of a message in the JSON form, as text or parsed.

    Raises PaperFormError when `Envelope.json` refuses it or its act cannot be told. The payload
    is judged by its own schema later, as that of every message. The caller bounds the size.
    """
    form = _form(message)
    judge, _ = _envelope_schema()
    if not judge.is_valid(form):
        finding = _explained(form)
        raise PaperFormError(finding.pointer, finding.reason, finding.remedy)
    head, payload = form["envelope"], form["payload"]
    act = act_named(head["act"]) if "act" in head else act_shown(payload)
    if act is None:
        raise PaperFormError(
            "/payload/act", "There is no such act.", f"Use one of {', '.join(ACT_NAMES.values())}."
        )
    envelope = Envelope(
        msg_id=head["msg_id"],
        ts=head["ts"],
        sender=head["from"],
        recipients=head["to"],
        capabilities=head.get("capabilities", ()),
        negotiation_id=head.get("negotiation_id", ""),
        in_reply_to=head.get("in_reply_to", ""),
        durable=head.get("durable", False),
        sent_before=head.get("sent_before", False),
        traceparent=head.get("traceparent", ""),
        tracestate=head.get("tracestate", ""),
        payload=orjson.dumps(payload),
    )
    envelope.act = act  # type: ignore[assignment]  # the stubs tell the enum from its numbers
    if "quality_of_service" in head:
        envelope.quality_of_service = _QUALITY_NAMED[head["quality_of_service"]]
    if "receipt" in head:
        envelope.receipt = _RECEIPT_NAMED[head["receipt"]]
    if "scope" in head:
        envelope.scope.CopyFrom(_scope(head["scope"]))
    return envelope


def act_shown(payload: object) -> int | None:
    """Return the act that a payload names or shows; None if it names one there is not."""
    if not isinstance(payload, Mapping):
        return ACT_MESSAGE
    if "act" in payload:
        named = payload["act"]
        if not isinstance(named, str):
            return None
        # An ack acknowledges on the transport; as a payload it is a message like another.
        return ACT_MESSAGE if named.lower() == "ack" else act_named(named)
    schema = payload.get("$schema")
    if isinstance(schema, str) and schema.rpartition("/")[2] == "Negotiation.json":
        return next((act for fits, act in _SHAPES if fits(payload)), ACT_MESSAGE)
    return ACT_MESSAGE


def _form(message: Mapping[str, Any] | bytes | str) -> Any:
    """Return the message as strict JSON has it."""
    depth_max = DEPTH_MAX + 1  # the payload stands one level down
    try:
        if isinstance(message, str):
            text = message.encode()
        elif isinstance(message, bytes):
            text = message
        else:
            text = orjson.dumps(message)
    except (TypeError, UnicodeEncodeError):
        raise _not_json() from None
    form = parse(text, depth_max)
    if isinstance(form, JsonFault):
        raise PaperFormError(form.pointer, form.reason, form.remedy)
    if isinstance(message, Mapping) and form != message:
        raise _not_json()  # printing has changed it: NaN, a tuple, a time
    return form


def _not_json() -> PaperFormError:
    return PaperFormError(
        "",
        "The message holds something that JSON does not have.",
        "Use dicts with text keys, lists, text, finite numbers up to 64 bits, booleans and None.",
    )


@cache
def _envelope_schema() -> tuple[jsonschema_rs.Validator, Draft202012Validator]:
    document = shipped_schemas.documents()[shipped_schemas.schema_id("Envelope")]
    return shipped_schemas.native(document), Draft202012Validator(document)


def _explained(form: object) -> Finding:
    native, reference = _envelope_schema()
    return from_reference(reference.iter_errors(form)) or from_native(
        next(iter(native.iter_errors(form)))
    )


def _scope_json(scope: Scope) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if scope.consent:
        written["consent"] = scope.consent
    if scope.HasField("ttl"):
        nanoseconds = scope.ttl.seconds * NANOSECONDS + scope.ttl.nanos
        whole = not scope.ttl.nanos
        written["ttl"] = scope.ttl.seconds if whole else nanoseconds / NANOSECONDS
    return written


def _scope(written: Mapping[str, Any]) -> Scope:
    scope = Scope(consent=written.get("consent", ""))
    ttl = written.get("ttl")
    if ttl is not None:
        nanoseconds = ttl * NANOSECONDS if isinstance(ttl, int) else round(ttl * NANOSECONDS)
        if nanoseconds / NANOSECONDS != ttl:
            raise PaperFormError(
                "/envelope/scope/ttl",
                "The time to live is finer than a nanosecond.",
                "Use at most nine digits after the point.",
            )
        seconds, nanos = divmod(nanoseconds, NANOSECONDS)
        scope.ttl.CopyFrom(Duration(seconds=seconds, nanos=nanos))
    return scope
