"""What an award holds: units of resources, and credit.

A call may say in `resources` and `credit` what each of its awards holds; see docs/settlement.md.
Then accept and outcome tell what was locked and paid, and an offer may lose for another reason than
its price: `RESOURCE_GONE`, when its units are taken, or `BUDGET_EXHAUSTED`, when its price cannot
be paid. `retry_at` then says when that may be different.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmx.messages import number_in, object_in, text_in

RESOURCE_GONE = "RESOURCE_GONE"
"""Why an offer lost: its units are taken."""
BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
"""Why an offer lost: whoever pays has too little credit, or has used up its budget."""
MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Lock:
    """Units of a resource that somebody may use for a time."""

    resource: str
    units: int
    starts_at: float
    """Seconds since 1970, by the gateway's clock."""
    ends_at: float
    fence: int
    """Shown to whoever guards the resource, who refuses a smaller number than it has seen."""
    holder: str
    """Who may use them."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Credit that is held or paid for an award."""

    payer: str
    micros: int
    """In millionths of a credit."""
    project: str = ""

    @property
    def credits(self) -> float:
        """Return it in credits."""
        return self.micros / MICROS


def locks_in(body: Mapping[str, Any]) -> tuple[Lock, ...]:
    """Read the locks of an award; what is none is left out."""
    said = body.get("locks")
    if not isinstance(said, Sequence) or isinstance(said, str):
        return ()
    return tuple(_lock(one) for one in said if isinstance(one, Mapping))


def _lock(said: Mapping[str, Any]) -> Lock:
    return Lock(
        text_in(said, "resource"),
        int(number_in(said, "units") or 0),
        number_in(said, "from") or 0.0,
        number_in(said, "until") or 0.0,
        int(number_in(said, "fence") or 0),
        text_in(said, "holder"),
    )


def payment_in(body: Mapping[str, Any]) -> Payment | None:
    """Read what is paid for an award, if something is."""
    said = object_in(body, "credit")
    micros = number_in(said, "micros")
    if micros is None:
        return None
    return Payment(text_in(said, "payer"), int(micros), text_in(said, "project"))
