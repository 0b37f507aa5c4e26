"""What the paper claims of policies, and what we claim beyond it (experiments.md, E3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from loadtest.experiments.cases import LEVELS
from loadtest.experiments.claims import Claim, judged
from loadtest.experiments.replayed import Replayed
from loadtest.experiments.tally import Tally

RATES_MIN = 3
AFTER_THE_END = frozenset({"LATE", "UNKNOWN_NEGOTIATION"})
"""How an offer is refused that comes when its negotiation is over, or forgotten."""


def stricter(tallies: Sequence[Tally]) -> list[Claim]:
    """C1: a stricter policy decides later, of more answers (flow/*, the same agents)."""
    group = {
        tally.case.level: tally
        for tally in tallies
        if tally.case.profile in {f"flow/{level}" for level in LEVELS}
    }
    if len(group) < len(LEVELS) or not all(tally.decision_ms for tally in group.values()):
        return []
    low, medium, high = (group[level] for level in LEVELS)
    under = f"{low.case.faults.name}, {low.case.pacing}"
    times = [median(tally.decision_ms) for tally in (low, medium, high)]
    parts = [tally.completeness for tally in (low, medium, high)]
    worth = [float(tally.figures()["utility"] or 0.0) for tally in (low, medium, high)]
    return [
        judged(
            tallies,
            f"C1: low decides before medium, and medium before high ({under})",
            times[0] < times[1] < times[2],
            " < ".join(f"{ms:.1f} ms" for ms in times),
        ),
        Claim(
            f"C1: medium hears more answers than low, and high more than medium ({under})",
            parts[0] < parts[1] < parts[2],
            ", ".join(f"{part:.1%}" for part in parts),
        ),
        Claim(
            f"C1: what is awarded is worth more, the more is waited for ({under})",
            worth[0] < worth[1] < worth[2],
            ", ".join(f"{value:.3f}" for value in worth),
        ),
    ]


def lighter(tallies: Sequence[Tally]) -> list[Claim]:
    """C1, the other axis: who waits for an outcome before calling again sends less under high."""
    group = {one.case.level: one for one in tallies if one.case.pacing == "after outcome"}
    if len(group) < len(LEVELS):
        return []
    loads = [group[level].messages / group[level].case.seconds for level in LEVELS]
    return [
        Claim(
            "C1: a stricter policy sends fewer messages in the same time, when the next call "
            "waits for the outcome",
            loads[0] > loads[1] > loads[2],
            " > ".join(f"{load:.2f}/s" for load in loads),
        )
    ]


def bound_by_cpu(tallies: Sequence[Tally]) -> list[Claim]:
    """C2: more calls use up more of the gateway's processor, though each costs less.

    The more is queued, the more messages share a frame: a line through the rates would promise
    less than there is.
    """
    points = sorted(
        (tally.case.rate, used)
        for tally in tallies
        if isinstance(used := tally.figures()["gateway_cpu"], float)
    )
    what = "C2: more calls a second take more of the gateway's processor"
    if len(points) < RATES_MIN:
        return [Claim(what, None, "real time and three rates are needed")]
    seen = ", ".join(
        f"{used:.0%} at {rate:g}/s ({used / rate * 1e3:.1f} ms a call)" for rate, used in points
    )
    grows = all(before < after for (_, before), (_, after) in pairwise(points))
    return [judged(tallies, what, grows, seen)]


def switched(tallies: Sequence[Tally]) -> list[Claim]:
    """C4: what is open keeps its revision, what comes after the switch gets the new one."""
    claims = []
    for tally in tallies:
        if tally.case.switch is None:
            continue
        refused = sum(count for code, count in tally.refusals.items() if code not in AFTER_THE_END)
        revisions = {label: span for label, span in tally.policies.items() if label}
        old, new = (f"{tally.case.profile}@{number}" for number in (1, 2))
        both = revisions.keys() == {old, new}
        kept, straddling = sum(tally.straddling.values()), sorted(tally.straddling.items())
        claims += [
            Claim(
                f"C4: calls before the switch get {old}, calls after it {new}",
                both and revisions[old][1] <= revisions[new][0],
                "; ".join(
                    f"{label} from {first:.2f} to {last:.2f} s"
                    for label, (first, last) in sorted(revisions.items())
                ),
            ),
            Claim(
                "C4: rounds that were open at the switch keep their revision",
                None if not kept else set(tally.straddling) == {old},
                ", ".join(f"{count} of {label} were open" for label, count in straddling) or "none",
            ),
            Claim(
                "C4: the switch costs no error",
                refused == 0,
                f"{refused} refusals, but for what came too late",
            ),
        ]
    return claims


def replay(again: Replayed) -> list[Claim]:
    """C5: what was recorded plays again, on another number of gateways too."""
    counts = ", ".join(str(count) for count in again.hashes if count)
    same = len(set(again.hashes.values())) == 1
    return [
        Claim(
            "C5: every record plays again to the byte",
            again.differing == 0 if again.records else None,
            f"{again.differing} of {again.records} differ",
        ),
        Claim(
            f"C5: {counts} gateways decide the same",
            same if again.records else None,
            f"decisions {min(again.hashes.values())[:12]}" if same else str(dict(again.hashes)),
        ),
    ]
