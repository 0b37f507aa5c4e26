"""Which facts follow from an outcome: who had what, who waited, who uses what, what was claimed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from gateway.governing.facts import Awarded, Claimed, Fact, Used, Waited
from policy.call import Call
from policy.events import OfferReceived
from policy.table import Record


def facts_of(tenant: str, record: Record, outcome: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield the facts of a negotiation that has ended."""
    call, at = record.call, outcome["decided_at"]
    for won in outcome["winners"]:
        yield Awarded(tenant, won["agent"], float(won.get("price", 0.0)), at)
        paid = won.get("credit")
        if paid is not None:
            yield from _used(tenant, paid["payer"], won.get("locks", ()), at)
        if call.report_within is not None:
            claimed = _claimed(record, won)
            if claimed > 0:
                agent, named = won["agent"], call.negotiation_id
                yield Claimed(tenant, named, call.initiator, agent, claimed, at)
    yield Waited(tenant, call.initiator, at - call.opened_at, at)


def goods_of(call: Call) -> frozenset[str]:
    """Return what the awards of a call use, without parts; "" when they lock nothing."""
    needs = () if call.stakes is None else call.stakes.needs
    return frozenset(_whole(need.resource) for need in needs) or frozenset(("",))


def _whole(resource: str) -> str:
    return resource.partition("/")[0]


def _used(tenant: str, payer: str, locks: Sequence[Mapping[str, Any]], at: float) -> Iterator[Fact]:
    if not locks:
        yield Used(tenant, payer, "", 1.0, at)
    for lock in locks:
        units = lock["units"] * (lock["until"] - lock["from"])
        yield Used(tenant, payer, _whole(lock["resource"]), units, at)


def _claimed(record: Record, won: Mapping[str, Any]) -> float:
    """Return what a winner said its work would be worth, its value when it did not say; or 0."""
    said: object = next(
        (
            event.fields.get("claimed")
            for _, event in record.events
            if isinstance(event, OfferReceived) and event.msg_id == won["offer_id"]
        ),
        None,
    )
    return finite(won.get("value") if said is None else said) or 0.0


def finite(said: object) -> float | None:
    """Return a number that somebody said, None for one that is none or beyond all measure."""
    if not isinstance(said, int | float) or isinstance(said, bool):
        return None
    try:
        number = float(said)
    except OverflowError:
        return None
    return number if isfinite(number) else None
