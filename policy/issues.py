"""Issues: what a call wants offers to say about several things at once.

A call may name its issues: how many GPUs, from when, in which region. Then the terms of every
offer have one member for each, and nothing else, within the bounds of the call. An issue is

    integer   a whole number from `low` to `high`
    number    any number from `low` to `high`
    enum      one of a few texts

A value has a worth between 0 and 1 to whoever called, if the call says what is better: the high
end or the low end of a range, or a worth for each text. A utility expression reads it as
`worth.region`, and the weighted sum over all issues as `weighed`, which ranks the offers of a
call that weighs its issues and says nothing else.

`IssueError` is the one error of a call: why its issues cannot be used, and what could.
What is wrong with an offer is a value, a `TermsFault`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

NAME_SHOWN_MAX = 64

Kind = Literal["integer", "number", "enum"]


class IssueError(ValueError):
    """Tell why issues cannot be negotiated, and what would be right."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[IssueError], tuple[str, str]]:
        return type(self), (self.reason, self.remedy)


class TermsFault(msgspec.Struct, frozen=True, gc=False):
    """What is wrong with the terms of an offer."""

    reason: str
    remedy: str


class Issue(msgspec.Struct, frozen=True, gc=False):
    """One thing that offers speak about."""

    name: str
    """A name that a utility expression can read: letters, digits, underscores."""
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    """The bounds of an integer or a number, both included."""
    values: tuple[str, ...] = ()
    """The texts of an enum."""
    worth: tuple[float, ...] = ()
    """What each text of an enum is worth to who called, 0 to 1; empty: it does not say."""
    better: Literal["", "high", "low"] = ""
    """Which end of a range is worth 1, the other is worth 0; "": the call does not say."""
    weight: float = 0.0
    """How much the worth counts in the sum over all issues, at least 0."""

    def allows(self, value: object) -> bool:
        """Tell whether a value can be offered."""
        if self.kind == "enum":
            return value in self.values
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (self.kind == "number" or value == int(value))

    def worth_of(self, value: Any) -> float | None:
        """Return what an allowed value is worth, 0 to 1; None where the call does not say."""
        if self.kind == "enum":
            return self.worth[self.values.index(value)] if self.worth else None
        if not self.better:
            return None
        if self.low == self.high:
            return 1.0
        part = (value - self.low) / (self.high - self.low)
        return float(part if self.better == "high" else 1 - part)

    def holds(self, other: Issue) -> bool:
        """Tell whether everything that another issue allows is allowed here."""
        if (self.name, self.kind) != (other.name, other.kind):
            return False
        if self.kind == "enum":
            return set(other.values) <= set(self.values)
        return self.low <= other.low and other.high <= self.high

    @property
    def choice(self) -> str:
        """What can be offered, in words."""
        if self.kind == "enum":
            return f"one of {', '.join(self.values)}"
        kind = "a whole number" if self.kind == "integer" else "a number"
        return f"{kind} from {self.low:.15g} to {self.high:.15g}"


Issues = tuple[Issue, ...]


def issues_of(said: Sequence[Mapping[str, Any]]) -> Issues:
    """Return the issues of a call whose schema has judged it; raises IssueError."""
    issues = tuple(map(_issue, said))
    names = [issue.name for issue in issues]
    for name in names:
        if names.count(name) > 1:
            raise IssueError(f"two issues are called {name}", "give each a name of its own")
    return issues


def _issue(said: Mapping[str, Any]) -> Issue:
    name, kind, weight = said["name"], said["type"], float(said.get("weight", 0))
    if kind == "enum":
        values, worth = tuple(said.get("values", ())), tuple(map(float, said.get("worth", ())))
        if not values or len(set(values)) < len(values):
            raise IssueError(f"{name} does not list its values once each", "list them in values")
        if worth and len(worth) != len(values):
            raise IssueError(f"{name} has not one worth for each value", "list as many, in order")
        if weight and not worth:
            raise IssueError(f"{name} has a weight and no worth", "list the worth of each value")
        return Issue(name, kind, values=values, worth=worth, weight=weight)
    if "min" not in said or "max" not in said or said["min"] > said["max"]:
        raise IssueError(f"{name} has no range", "set min, and max no less than it")
    if weight and "better" not in said:
        raise IssueError(f"{name} has a weight, and no end is better", "set better: high or low")
    low, high = float(said["min"]), float(said["max"])
    return Issue(name, kind, low, high, better=said.get("better", ""), weight=weight)


def fault(issues: Issues, terms: object) -> TermsFault | None:
    """Return what is wrong with the terms of an offer, or None; without issues nothing is."""
    if not issues:
        return None
    if not isinstance(terms, Mapping):
        names = ", ".join(issue.name for issue in issues)
        return TermsFault("the offer has no terms", f"say in terms what you offer for {names}")
    for issue in issues:
        if issue.name not in terms:
            return TermsFault(f"terms.{issue.name} is missing", f"offer {issue.choice}")
        if not issue.allows(terms[issue.name]):
            return TermsFault(f"terms.{issue.name} is not allowed", f"offer {issue.choice}")
    if len(terms) > len(issues):
        known = {issue.name for issue in issues}
        stray = str(next(name for name in terms if name not in known))[:NAME_SHOWN_MAX]
        return TermsFault(f"terms.{stray} is no issue of the call", "leave it out")
    return None


def is_weighed(issues: Issues) -> bool:
    """Tell whether the issues alone rank offers."""
    return any(issue.weight for issue in issues)


def weighed(issues: Issues, terms: Mapping[str, Any]) -> float:
    """Return the weighted sum of what faultless terms are worth."""
    return sum(
        issue.weight * (issue.worth_of(terms[issue.name]) or 0.0)
        for issue in issues
        if issue.weight
    )


def readable(issues: Issues, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a faultless offer as a utility expression reads them."""
    if not issues:
        return fields
    terms = fields["terms"]
    worth = {issue.name: issue.worth_of(terms[issue.name]) for issue in issues}
    return {**fields, "worth": worth, "weighed": weighed(issues, terms)}


def narrows(issues: Issues, earlier: Issues) -> bool:
    """Tell whether issues allow nothing that earlier ones of the same names did not allow."""
    before = {issue.name: issue for issue in earlier}
    return len(issues) == len(earlier) and all(
        issue.name in before and before[issue.name].holds(issue) for issue in issues
    )
