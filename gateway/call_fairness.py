"""From the payload of a call for proposals to its rules of fairness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.refusals import Fault
from policy.fairness import Fairness, FairnessError, parse_rules


def fairness_of(body: Mapping[str, Any]) -> Fairness | Fault | None:
    """Return the rules that a call asks for, None when none, or why they cannot be.

    What they need to know of the past is added where it is kept.
    """
    said = body.get("fairness")
    if said is None:
        return None
    try:
        return Fairness(parse_rules(said))
    except FairnessError as error:
        return Fault(
            "OPTIONS_INVALID",
            "the rules of fairness cannot be",
            f"{error}; or leave fairness out",
            "/payload/fairness",
        )


def with_fairness(
    protocol: str, options: Mapping[str, object], fairness: Fairness | None
) -> Mapping[str, object]:
    """Return the options of a protocol that has a rule of fairness of its own."""
    if fairness is None or not fairness.rules.must_concede or protocol != "alternating-offers":
        return options
    return {**options, "must_concede": True}
