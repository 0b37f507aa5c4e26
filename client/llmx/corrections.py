"""What was wrong with an answer, for whoever tries again; and answers as models write them.

async def on_cfp(self, call: llmx.Call, correction: llmx.Correction | None = None) -> llmx.Words:
    prompt = call.text if correction is None else correction.as_text()
    return call.words(await model(prompt))
"""

from __future__ import annotations

import inspect
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from llmx.calls import Call, Offer, Refusal, Words
from llmx.errors import Refused
from llmx.handlers import Handlers, ask
from llmx.messages import NEGOTIATION_SCHEMA, number_in, object_in, text_in

log = logging.getLogger("llmx")

ANSWER_SHOWN_MAX = 4_096
"""How many characters of a wrong answer a correction repeats."""

REASON_CHARACTERS_MAX = 256
"""How many characters of a model's reason the initiator hears."""
REFUSING = frozenset(("refuse", "not-understood"))

REPAIR_CODES = frozenset(
    (
        "SCHEMA_VIOLATION",
        "INVALID_JSON",
        "TOO_LARGE",
        "UNKNOWN_SCHEMA",
        "MALFORMED_ENVELOPE",
        "OFFER_EXPIRED",
        "TERMS_INVALID",
    )
)
"""What another offer can put right."""
RETRY_CODES = frozenset(("RATE_EXCEEDED", "OVERLOADED", "VALIDATION_TIMEOUT"))
"""What waiting can put right."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A gateway did not take an answer; the next one may be better."""

    refused: Refused
    """The whole refusal: code, pointer, reason, remedy, example."""
    answer: str
    """What was sent, as JSON."""
    attempt: int
    """1 for the first correction of a call."""
    attempts_left: int
    """How many more there will be if this one does not help."""

    def as_text(self) -> str:
        """Return what to tell a language model that is to try again."""
        error = self.refused
        where = f" at {error.pointer}" if error.pointer else ""
        joint = " " if error.reason.endswith(".") or not error.remedy else "; "
        words = f"{error.reason}{joint}{error.remedy}"
        said = [
            f"Your answer was not accepted: {error.code}{where}. {words}",
            f"You sent: {self.answer[:ANSWER_SHOWN_MAX]}",
        ]
        if error.example:
            said.append(f"A small valid answer looks like this: {error.example}")
        said.append("Answer again with one JSON object and nothing else.")
        return "\n".join(said)


def takes_correction(handler: Callable[..., Any]) -> bool:
    """Tell whether an author's on_cfp wants to be asked again, with what was wrong."""
    try:
        return "correction" in inspect.signature(handler).parameters
    except (TypeError, ValueError):  # something that is called and has no signature
        return False


async def corrected(
    handlers: Handlers,
    call: Call,
    sent: tuple[Offer, bytes],
    error: Refused,
    tries: tuple[int, int],
) -> object:
    """Return what the author answers instead of a refused offer; None to give up.

    `on_refused` goes before an `on_cfp` that takes a correction. `tries` are which correction
    this is, from 1, and how many may follow. A handler that raises has given up, and is logged.
    """
    try:
        repair = handlers.find("on_refused")
        if repair is not None:
            better = await ask(repair, error, sent[0])
            return better if isinstance(better, Offer | Words) else None
        handler = handlers.find("on_cfp")
        if handler is None or not takes_correction(handler):
            return None
        correction = Correction(error, sent[1].decode("utf-8", "replace"), *tries)
        better = await ask(partial(handler, correction=correction), call)
        return Refusal() if better is None else better
    except Exception:
        log.exception("a correction failed in negotiation %s", error.negotiation_id)
        return None


def draft_of(words: Words) -> Refusal | tuple[Offer, bytes]:
    """Return what a model meant: a refusal, or an offer with its payload.

    A JSON object is taken out of the prose and the fences around it, and named what it is. What
    holds none goes to the gateway as it is, whose refusal says what would have been right.
    """
    body = _object_in(words.text)
    if body is None:
        return Offer(math.nan), words.text.encode("utf-8", "replace")
    if text_in(body, "act").lower() in REFUSING:
        return Refusal(text_in(body, "reason")[:REASON_CHARACTERS_MAX])
    named = {"$schema": NEGOTIATION_SCHEMA, "act": "offer", **body}
    payload = json.dumps(named, ensure_ascii=False, separators=(",", ":"))
    return _offer(body), payload.encode("utf-8", "replace")


def _object_in(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object in a text; the text itself, or from its first to its last brace."""
    inside = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (text, inside):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def _offer(body: Mapping[str, Any]) -> Offer:
    """Return the offer as far as the payload is one; a verdict comes only for a good one."""
    value = number_in(body, "value")
    return Offer(
        math.nan if value is None else value,
        object_in(body, "conditions") or None,
        object_in(body, "terms") or None,
        number_in(body, "valid_for"),
        body.get("revocable") is True,
        text_in(body, "text"),
    )
