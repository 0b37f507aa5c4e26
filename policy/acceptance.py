"""When a round closes and who wins, as one record of parameters.

"Low", "medium" and "high" are three presets of the record. The paper defines them twice and
differently: `flow/*` follows its protocol section and is the default, `proto/*` follows its
prototype, `paper-replay/*` counts as its published tables do. An operator's own profiles are
made by `parse` from a mapping, and named; a negotiation keeps the record it started with.

A round closes at the first of: the quorum is met (and has settled); every eligible agent has
answered; its window is over.

`PolicyError` is the one error: a field that cannot be used, why, and what could be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

Counts = Literal["valid", "any"]
Select = Literal["first", "best", "vickrey"]
OnExpiry = Literal["decide", "no_award", "decide_if"]
Final = Literal["required", "optional"]
Late = Literal["reject", "record"]

COUNT_MAX = 100_000
WINDOW_SECONDS_MAX = 86_400.0
SETTLE_SECONDS_MAX = 3_600.0
NAME_LENGTH_MAX = 64
SHORT_WINDOW_SECONDS = 5.0
"""What the profiles mean by a short window."""


class PolicyError(ValueError):
    """Tell which field of a profile cannot be used, why, and what could be."""

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(f"{field}: {reason}; {remedy}")
        self.field = field
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[PolicyError], tuple[str, str, str]]:
        return type(self), (self.field, self.reason, self.remedy)


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many answers close a round before its time; none of the three means time only."""

    count: int = 0
    """1 to 100,000, or 0 for unset."""
    fraction: float = 0.0
    """Of the eligible agents, rounded up; above 0 and at most 1, or 0 for unset."""
    all: bool = False
    """Every eligible agent."""

    def of(self, eligible: int) -> int | None:
        """Return how many answers of `eligible` agents it takes; None if only time closes.

        A count above the number of agents stays what it is: it cannot be met, and the round
        closes when all have answered or the window is over.
        """
        if self.all:
            return eligible
        if self.fraction:
            # Rounding first keeps 0.07 of 100 agents at 7 and not at the 8 of floating point.
            return max(1, math.ceil(round(self.fraction * eligible, 9)))
        return self.count or None


TIME_ONLY = Quorum()
ALL = Quorum(all=True)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """When a round closes and how its winner is chosen."""

    name: str
    revision: int = 1
    """Counts up by one with every change of the profile by that name."""
    quorum: Quorum = field(default=ALL)
    window: float | None = None
    """Seconds from the call to the close; None means until the call's deadline."""
    settle: float = 0.0
    """Seconds to listen on after the quorum is met."""
    counts: Counts = "valid"
    """What counts towards the quorum: "valid" offers; or "any" answer, once for each agent:
    a refusal, a not-understood and an offer that broke its schema as well."""
    select: Select = "best"
    on_expiry: OnExpiry = "decide"
    """What happens when the window is over before the quorum is met."""
    min_offers: int = 0
    """With "decide_if": the fewest valid offers to decide among; otherwise nothing."""
    final: Final = "required"
    """Must everybody who offered hear accept or reject? A winner is told in any case."""
    confirm: bool = False
    """Must a winner confirm before the award stands?"""
    late: Late = "reject"
    """Is an offer after the close rejected, or recorded and shown to the initiator?"""

    def close_count(self, n: int) -> int | None:
        """Return how many answers of `n` eligible agents meet the quorum; None: time only."""
        return self.quorum.of(n)

    @property
    def label(self) -> str:
        """Return the name with its revision, `flow/high@1`."""
        return f"{self.name}@{self.revision}"


def _shipped() -> dict[str, Acceptance]:
    """Return every profile that ships, by name, with the three short names."""
    short = SHORT_WINDOW_SECONDS
    low = Acceptance(
        "proto/low",
        quorum=Quorum(count=1),
        window=short,
        counts="any",
        select="first",
        on_expiry="no_award",
        final="optional",
        late="record",
    )
    medium = Acceptance(
        "proto/medium",
        quorum=Quorum(count=1),
        select="first",
        on_expiry="no_award",
        confirm=True,
        late="record",
    )
    high = Acceptance("proto/high", on_expiry="decide_if", min_offers=2)
    profiles = [
        Acceptance("flow/low", quorum=Quorum(count=1), select="first", on_expiry="no_award"),
        Acceptance("flow/medium", quorum=Quorum(fraction=0.5), window=short),
        Acceptance("flow/high"),
        low,
        # "Close early after timeout": the prototype's other reading, without any quorum. The
        # first offer wins, so running out of time is its way to decide.
        replace(low, name="proto/low-timeout", quorum=TIME_ONLY, on_expiry="decide"),
        medium,
        high,
        # "Wait for multiple offers": two are enough.
        replace(high, name="proto/high-multiple", quorum=Quorum(count=2)),
        replace(low, name="paper-replay/low"),
        replace(medium, name="paper-replay/medium", final="optional"),
        replace(high, name="paper-replay/high", final="optional", late="record"),
    ]
    named = {profile.name: profile for profile in profiles}
    return named | {level: named[f"flow/{level}"] for level in ("low", "medium", "high")}


PROFILES: Mapping[str, Acceptance] = MappingProxyType(_shipped())
"""The profiles that ship. `low`, `medium` and `high` mean `flow/*`."""

DEFAULT = PROFILES["flow/high"]


def resolve(
    policy: str | Mapping[str, object] | None, profiles: Mapping[str, Acceptance] = PROFILES
) -> Acceptance:
    """Return what a call's `policy` means: a name, or `{"profile": name, ...overrides}`.

    None, and a mapping without `profile`, start from `flow/high`. Raises PolicyError.
    """
    if policy is None:
        return DEFAULT
    if isinstance(policy, str):
        return _named(policy, profiles)
    overrides = dict(policy)
    base = overrides.pop("profile", None)
    return parse(overrides, DEFAULT if base is None else _named(base, profiles))


def _named(name: object, profiles: Mapping[str, Acceptance]) -> Acceptance:
    if not isinstance(name, str) or name not in profiles:
        known = ", ".join(sorted(profiles))
        raise PolicyError("profile", "no profile has this name", f"use one of {known}")
    return profiles[name]


def parse(
    overrides: Mapping[str, object],
    base: Acceptance = DEFAULT,
    *,
    name: str | None = None,
    revision: int | None = None,
) -> Acceptance:
    """Return `base` with fields replaced by plain values as JSON has them.

    Without a `name` of its own the result is called as its base with a star, `flow/high*`.
    Raises PolicyError at the first field that is unknown or out of range.
    """
    for key in overrides:
        if key not in _READERS:
            raise PolicyError(key, "no such parameter", f"use one of {', '.join(_READERS)}")
    if name is not None and not 0 < len(name) <= NAME_LENGTH_MAX:
        raise PolicyError("name", "the name is empty or too long", "use 1 to 64 characters")
    changes = {key: _READERS[key](key, given) for key, given in overrides.items()}
    if name is None and changes and not base.name.endswith("*"):
        name = f"{base.name}*"
    changed = replace(
        base,
        name=base.name if name is None else name,
        revision=base.revision if revision is None else revision,
        **changes,  # type: ignore[arg-type]  # each reader returns what its field takes
    )
    if changed.on_expiry == "decide_if" and changed.min_offers < 1:
        raise PolicyError("min_offers", '"decide_if" needs it', "set min_offers to 1 or more")
    return changed


def _quorum(key: str, given: object) -> Quorum:
    remedy = 'use 0 (time only), a count like 3, a fraction like 0.5, or "all"'
    if isinstance(given, Quorum):
        return given
    if given == "all":
        return ALL
    if isinstance(given, int) and not isinstance(given, bool):
        if 0 <= given <= COUNT_MAX:
            return Quorum(count=given)
        raise PolicyError(key, f"a count is 0 to {COUNT_MAX}", remedy)
    if isinstance(given, float):
        if 0 < given <= 1:
            return Quorum(fraction=given)
        raise PolicyError(key, "a fraction is above 0 and at most 1", remedy)
    raise PolicyError(key, "not a quorum", remedy)


def _window(key: str, given: object) -> float | None:
    if given is None:
        return None
    seconds = _seconds(key, given, WINDOW_SECONDS_MAX)
    if seconds <= 0:
        raise PolicyError(key, "a window is longer than 0 s", "leave it out to use the deadline")
    return seconds


def _settle(key: str, given: object) -> float:
    return _seconds(key, given, SETTLE_SECONDS_MAX)


def _seconds(key: str, given: object, longest: float) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= longest:
        raise PolicyError(key, "not a number of seconds in range", f"use 0 to {longest:g}")
    return float(given)


def _min_offers(key: str, given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= COUNT_MAX:
        raise PolicyError(key, "not a count in range", f"use 0 to {COUNT_MAX}")
    return given


def _confirm(key: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise PolicyError(key, "not a yes or no", "use true or false")
    return given


def _one_of(*choices: str) -> Callable[[str, object], object]:
    def read(key: str, given: object) -> object:
        if given not in choices:
            raise PolicyError(key, "not one of its values", f"use one of {', '.join(choices)}")
        return given

    return read


_READERS: Mapping[str, Callable[[str, object], object]] = {
    "quorum": _quorum,
    "window": _window,
    "settle": _settle,
    "counts": _one_of("valid", "any"),
    "select": _one_of("first", "best", "vickrey"),
    "on_expiry": _one_of("decide", "no_award", "decide_if"),
    "min_offers": _min_offers,
    "final": _one_of("required", "optional"),
    "confirm": _confirm,
    "late": _one_of("reject", "record"),
}
