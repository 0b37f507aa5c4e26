"""Proposals between two parties, and when one may be accepted.

A `Deal` is what one party has put on the table: its terms, by issue, or one number where only
that is bargained about. Conditions are evaluated where a machine can: a list of comparisons with
the fields of the deal. Conditions in any other form are carried, and nobody here judges them.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping

import msgspec

from policy.auction import canonical
from policy.events import CounterReceived, OfferReceived

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Deal(msgspec.Struct, frozen=True, gc=False):
    """What one party proposes to the other."""

    offer_id: str
    """The msg_id of the message that proposed it."""
    sender: str
    terms: Mapping[str, object]
    """Never empty: `{"value": 40}` where only a value was said."""
    value: float | None
    round: int
    """The round in which it was made, from 1."""
    valid_from: float | None = None
    valid_until: float | None = None
    conditions: tuple[Mapping[str, object], ...] = ()

    @property
    def fields(self) -> Mapping[str, object]:
        """What expressions and conditions read."""
        return {"terms": self.terms, "value": self.value}

    def body(self) -> dict[str, object]:
        """Return the deal as messages of the exchange show it."""
        shown: dict[str, object] = {
            "offer_id": self.offer_id,
            "terms": self.terms,
            "round": self.round,
        }
        if self.value is not None:
            shown["value"] = self.value
        if self.valid_until is not None:
            shown["valid_until"] = self.valid_until
        return shown


def deal_of(event: OfferReceived | CounterReceived, round_: int) -> Deal | None:
    """Return what a message proposes in this round, or None if that is nothing."""
    if isinstance(event, CounterReceived):
        terms, value, start, conditions = (
            event.terms,
            event.value,
            event.valid_from,
            event.conditions,
        )
    else:
        said = event.fields.get("terms")
        terms = said if isinstance(said, Mapping) else {}
        value, start = event.value, event.valid_from
        conditions = comparisons(event.fields.get("conditions"))
    if not terms:
        if value is None:
            return None
        terms = {"value": value}
    until = event.valid_until
    return Deal(event.msg_id, event.sender, terms, value, round_, start, until, conditions)


def comparisons(conditions: object) -> tuple[Mapping[str, object], ...]:
    """Return conditions that a machine can judge, a list of comparisons; else none."""
    if not isinstance(conditions, list | tuple):
        return ()
    return tuple(one for one in conditions if isinstance(one, Mapping))


def broken_condition(deal: Deal, round_: int) -> str:
    """Return the first condition of a deal that fails when it is accepted in a round, or ""."""
    fields: dict[str, object] = {**deal.fields, "round": round_}
    for one in deal.conditions:
        path, sign, wanted = str(one["field"]), str(one["operator"]), one["value"]
        if not _holds(_read(fields, path), sign, wanted):
            return f"{path} {sign} {wanted}"
    return ""


def _read(fields: Mapping[str, object], path: str) -> object:
    found: object = fields
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _holds(found: object, sign: str, wanted: object) -> bool:
    """Compare what was found; only numbers have an order, and true is no number."""
    if sign in ("==", "!="):
        alike = isinstance(found, bool) is isinstance(wanted, bool) and found == wanted
        return alike is (sign == "==")
    if not (_is_number(found) and _is_number(wanted)):
        return False
    return _COMPARE[sign](float(str(found)), float(str(wanted)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def said_round(event: OfferReceived | CounterReceived) -> int | None:
    """Return the round that a proposal says it is of, or None."""
    if isinstance(event, CounterReceived):
        return event.round
    said = event.fields.get("round")
    return said if isinstance(said, int) else None


def answered_id(event: OfferReceived | CounterReceived) -> str:
    """Return the msg_id of what a proposal says it answers, or ""."""
    if isinstance(event, CounterReceived):
        return event.offer_id
    return str(event.fields.get("offer_id", ""))


def terms_sha256(terms: Mapping[str, object]) -> str:
    """Return the SHA-256 of terms in canonical JSON, by which both parties know them again."""
    return hashlib.sha256(canonical(terms)).hexdigest()
