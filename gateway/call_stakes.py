"""From the payload of a call for proposals to what each of its awards holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.clock import seconds_of
from gateway.refusals import Fault
from gateway.settling.escrow import FORGETFUL, Escrow, waits
from policy.stakes import SETTLE_SECONDS, Credit, Need, Payer, Stakes
from policy.store import CHANGES_MAX

SECONDS_A_MINUTE = 60.0

NO_LEDGER = Fault(
    "STORE_UNAVAILABLE",
    "this gateway keeps no ledger, so no award of it can hold resources or credit",
    "leave resources and credit out, or use a gateway whose operator has set market.store",
    "/payload",
)


def stakes_of(
    body: Mapping[str, Any],
    direction: str,
    *,
    has_ledger: bool,
    most_units: Callable[[str], int | None],
    now: float,
    escrow: Escrow = "plain",
) -> Stakes | Fault | None:
    """Return what each award of a call holds, None when nothing, or why that cannot be.

    `most_units` tells how many units of a resource one award can have, None when nobody knows;
    `escrow` whether a price can wait for a report.
    """
    if "resources" not in body and "credit" not in body:
        return None
    if not has_ledger:
        return NO_LEDGER
    if escrow == "refused" and waits(body):
        return FORGETFUL
    needs = tuple(_need(said) for said in body.get("resources", ()))
    for place, need in enumerate(needs):
        if need.starts_at is not None and need.starts_at + need.seconds <= now:
            return Fault(
                "OPTIONS_INVALID",
                "the time for which units are wanted has passed",
                "choose a later from, or leave it out to begin with the award",
                f"/payload/resources/{place}/from",
            )
        most = most_units(need.resource)
        if most is not None and most < need.units:
            return _gone(need, place, most)
    credit = _credit(body["credit"], direction) if "credit" in body else None
    changes = len(needs) + (2 if credit else 0)
    awards = int(body.get("max_awards", 1))
    if awards * changes >= CHANGES_MAX:
        return Fault(
            "OPTIONS_INVALID",
            "the awards of one call are written in one go, and these are too much for that",
            f"ask for at most {(CHANGES_MAX - 1) // changes} awards, or for fewer resources",
            "/payload/max_awards",
        )
    return Stakes(needs, credit, float(body.get("settle_within", SETTLE_SECONDS)))


def _gone(need: Need, place: int, most: int) -> Fault:
    """Return why no award can have its units, so that nobody is asked for an offer in vain."""
    if not most:
        return Fault(
            "RESOURCE_GONE",
            "no resource of this name is registered",
            "choose one that `llmx ctl resources` shows, or have an operator register it",
            f"/payload/resources/{place}/resource",
        )
    return Fault(
        "RESOURCE_GONE",
        f"it has {most} units, and {need.units} are asked for",
        f"ask for at most {most} units",
        f"/payload/resources/{place}/units",
    )


def _need(said: Mapping[str, Any]) -> Need:
    seconds = said["seconds"] if "seconds" in said else said["minutes"] * SECONDS_A_MINUTE
    starts_at = seconds_of(said["from"]) if "from" in said else None
    return Need(said["resource"], int(said.get("units", 1)), float(seconds), starts_at)


def _credit(said: Mapping[str, Any], direction: str) -> Credit:
    payer: Payer = "winner" if direction == "allocate" else "initiator"
    payer = said.get("payer", payer)
    return Credit(payer, said.get("project", ""))
