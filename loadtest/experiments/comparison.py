"""Published figures beside ours, row by row, and in a line what each difference comes from.

Counts are compared as they are. Milliseconds are shown and not compared: other hardware, and the
paper's agents run inside the process that measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from loadtest.experiments.published import TABLES, Published, shown
from loadtest.experiments.tally import Tally
from policy.acceptance import PROFILES

OTHER_MACHINE = "other hardware; our `offer`: call due to offer heard by Alice"
MODEL = "a model of the wire, no measurement; our `offer`: call due to offer heard by Alice"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    of: str
    """The profile and the number of contractors."""
    quantity: str
    published: str
    ours: str
    deviation: str
    """Where a difference comes from; "" when there is none."""


def compared(name: str, tallies: Sequence[Tally], *, simulated: bool = False) -> list[Row]:
    """Return the rows of an experiment; `tallies` are its cases, whatever their rates and seeds."""
    rows = []
    groups: dict[tuple[str, int, float, str], list[Tally]] = {}
    for tally in tallies:
        case = tally.case
        key = (case.profile, case.contractors, case.rate, case.pacing)
        groups.setdefault(key, []).append(tally)
    for (profile, size, rate, pacing), group in groups.items():
        if pacing != "poisson":
            continue
        told = _told(name, profile, size)
        of = f"{profile}, n={size}, {rate:.3g}/s"
        rows += _rows(of, profile, told, group, MODEL if simulated else OTHER_MACHINE)
    return rows


def _told(name: str, profile: str, size: int) -> Published:
    """Return what the paper says of these contractors; nothing, when it says nothing."""
    for one in TABLES[name]:
        of_level = not one.note or "," not in one.note or one.note.split(",")[0] in profile
        if one.contractors == size and of_level:
            return one
    return Published(size)


def _rows(of: str, profile: str, told: Published, group: Sequence[Tally], clock: str) -> list[Row]:
    rule = PROFILES[profile]
    case = group[0].case
    calls = _mean(group, lambda tally: tally.calls)
    offers = _mean(group, lambda tally: tally.offers)
    rounds = _mean(group, lambda tally: tally.rounds)
    figures = [tally.figures() for tally in group]

    def ms(name: str) -> str:
        known = [value for one in figures if isinstance(value := one[name], float)]
        return f"{fmean(known):.2f}" if known else ""

    runs = f"{len(group)} seeds" if len(group) > 1 else "one seed"
    expected = case.rate * case.seconds
    rows = [
        Row(
            of,
            "CFPs",
            _count(told.calls),
            f"{calls:g}{_spread(group)}",
            f"Poisson, {_short(expected)} expected in {case.seconds:g} s; mean of {runs}",
        ),
        Row(
            of,
            "offers",
            _count(told.offers),
            f"{offers:g}",
            _offers(told, case.contractors),
        ),
        Row(
            of,
            "rounds with an outcome",
            _count(told.rounds),
            f"{rounds:g}",
            _rounds(told),
        ),
        Row(
            of,
            "empty rounds",
            _count(told.empty_rounds),
            f"{_mean(group, lambda tally: tally.empty):g}",
            "half of the published rounds had no offer: their defect" if told.empty_rounds else "",
        ),
    ]
    if told.confirms is not None or rule.confirm:
        confirms = _mean(group, lambda tally: tally.confirms)
        rows.append(
            Row(of, "confirms", _count(told.confirms), f"{confirms:g}", _confirms(told, profile))
        )
    if told.accepts is not None:
        accepts = _mean(group, lambda tally: tally.accepts)
        rejects = _mean(group, lambda tally: tally.rejects)
        why = "whoever offered is told, as their protocol section says"
        if rule.final == "optional":
            why = "a winner is always told; this profile tells no loser, as their tables count"
        rows.append(
            Row(
                of,
                "accepts and rejects",
                f"{_count(told.accepts)} and {_count(told.rejects)}",
                f"{accepts:g} and {rejects:g}",
                why,
            )
        )
    rows += [
        Row(of, "offer ms, mean", shown(told.mean_ms), ms("offer_mean_ms"), clock),
        Row(of, "offer ms, p95", shown(told.p95_ms), ms("offer_p95_ms"), "the same"),
    ]
    if told.p50_ms is not None:
        rows.append(Row(of, "offer ms, p50", shown(told.p50_ms), ms("offer_p50_ms"), "the same"))
    for quantity, value, name in (
        ("offer ms by agent, mean", told.agent_mean_ms, "agent_mean_ms"),
        ("offer ms by agent, standard deviation", told.agent_sd_ms, "agent_sd_ms"),
        ("offer ms by agent, p95", told.agent_p95_ms, "agent_p95_ms"),
        ("offer ms by round, mean", told.round_mean_ms, "round_mean_ms"),
    ):
        if value is not None:
            rows.append(Row(of, quantity, f"{value:g}", ms(name), "the same"))
    rows.append(Row(of, "decision ms, mean", "", ms("decision_mean_ms"), "not in the paper"))
    if told.completeness is not None:
        ours = rounds / calls if calls else 0.0
        rows.append(
            Row(of, "complete by call", f"{told.completeness:.0%}", f"{ours:.0%}", _half(told))
        )
    return rows


def _offers(told: Published, contractors: int) -> str:
    if told.calls and told.offers and told.offers != told.calls * contractors:
        return (
            f"{told.calls} calls to {contractors} would be {told.calls * contractors}: "
            "half of the published calls have no offers"
        )
    return f"calls × {contractors}, as published" if told.offers else f"calls × {contractors}"


def _rounds(told: Published) -> str:
    if told.calls and told.rounds and told.rounds < told.calls:
        return "half of the published calls have no round; ours all have"
    return ""


def _confirms(told: Published, profile: str) -> str:
    if not PROFILES[profile].confirm:
        return "flow/medium asks no winner to confirm" if told.confirms else ""
    return "one for each decided round; published is one for every other"


def _half(told: Published) -> str:
    if told.calls and told.rounds and told.rounds < told.calls:
        return f"published by round: {told.rounds} of {told.calls} calls had one"
    return ""


def _mean(group: Sequence[Tally], of: Callable[[Tally], float]) -> float:
    return round(fmean(of(tally) for tally in group), 1)


def _spread(group: Sequence[Tally]) -> str:
    """Return the fewest and the most calls of a seed, where there are several."""
    counts = [tally.calls for tally in group]
    return f" ({min(counts)}–{max(counts)})" if len(counts) > 1 else ""


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
