"""How a negotiation was decided, in the few figures that two profiles are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from policy.call import Call
from policy.effects import Effect, Finish


class Decision(msgspec.Struct, frozen=True):
    """How a negotiation was decided."""

    policy: str
    state: str
    reason: str
    winners: tuple[str, ...]
    price: float | None
    """What all winners are paid together; None without one."""
    seconds: float
    """From the call to the decision."""
    closed_after: float
    """Seconds from the call until no more offers could win."""


def decision_in(call: Call, effects: Iterable[Effect]) -> Decision | None:
    """Return the decision that a step has led to, if it has."""
    for effect in effects:
        if isinstance(effect, Finish):
            outcome: Mapping[str, Any] = effect.outcome
            winners = outcome["winners"]
            return Decision(
                call.acceptance.label,
                outcome["state"],
                outcome["reason"],
                tuple(won["agent"] for won in winners),
                sum(won["price"] for won in winners) if winners else None,
                round(outcome["decided_at"] - outcome["opened_at"], 6),
                round(outcome["closed_at"] - outcome["opened_at"], 6),
            )
    return None
