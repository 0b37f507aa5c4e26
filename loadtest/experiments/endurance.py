"""What must hold of runs over minutes and hours: complete, even, without drift, without growth."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from loadtest.experiments.claims import Claim, judged
from loadtest.experiments.drift import drift
from loadtest.experiments.tally import Minute, Tally
from loadtest.figures import percentile
from policy.acceptance import PROFILES
from policy.jain import evenness

DRIFT_MAX = 0.1
"""Over the run, of the median."""
DRIFT_MINUTES_MIN = 10
SPREAD_MAX = 0.51 / 4.58
"""Standard deviation over agents by their mean, as published."""
JAIN_AWARDS_MIN = 0.9
AWARDS_PER_AGENT_MIN = 20
FILES_MAX = 2
"""Open files that may come and go with whoever looks at the metrics."""
WARM_MINUTES = 10
"""Until then a gateway fills its memory of msg_ids: twice `limits.duplicates_seconds`."""
WARM_MINUTES_LONG = 60
"""Until when a run of hours is not judged."""
FLAT_MINUTES_MIN = 5
GROWTH_MAX = 0.05
"""Of memory, once the gateway is warm."""


def lasting(tallies: Sequence[Tally]) -> list[Claim]:
    """Return what must hold of runs over minutes and hours (E2)."""
    claims = []
    for tally in tallies:
        case = tally.case
        full = tally.rounds - tally.odd_offers
        claims += [
            Claim(
                f"{case.name}: complete by call and by round",
                tally.rounds == tally.calls == full,
                f"{tally.rounds} of {tally.calls} calls, {full} of {tally.rounds} rounds",
            ),
            *_steady(tally),
            *_fair(tally),
            *_flat(tally),
        ]
    return claims


def _steady(tally: Tally) -> list[Claim]:
    minutes = [(number, one) for number, one in sorted(tally.minutes.items()) if one.offer_ms]
    whole = [pair for pair in minutes if pair[0] < int(tally.case.seconds // 60)]
    name = f"{tally.case.name}: the latency of offers does not drift"
    if len(whole) < DRIFT_MINUTES_MIN:
        return [Claim(name, None, f"whole minutes: {len(whole)}; it takes {DRIFT_MINUTES_MIN}")]
    drifts = {
        percent: drift([(at, percentile(sorted(one.offer_ms), percent)) for at, one in whole])
        for percent in (50, 95)
    }
    seen = ", ".join(f"p{percent} {part:+.1%}" for percent, part in drifts.items())
    flat = all(abs(part) <= DRIFT_MAX for part in drifts.values())
    return [judged([tally], name, flat, f"{seen} of the median over {len(whole)} minutes")]


def _fair(tally: Tally) -> list[Claim]:
    agents = tally.agents.values()
    offers = evenness(agent.offers for agent in agents).index
    awards = evenness(agent.awards for agent in agents).index
    means = tally.agent_means
    spread = (tally.figures()["agent_sd_ms"] or 0.0) if means else 0.0
    part = float(spread) / fmean(means) if means else 0.0
    enough = tally.awarded >= AWARDS_PER_AGENT_MIN * tally.case.contractors
    seen = f"Jain {awards:.3f} of {tally.awarded} awards"
    needed = PROFILES[tally.case.profile].close_count(tally.case.contractors)
    if needed is not None and needed < tally.case.contractors:
        enough = False
        seen += f"; {needed} of {tally.case.contractors} answers are enough, so who is called "
        seen += "first is favoured"
    return [
        Claim(f"{tally.case.name}: all offer alike", offers > 1 - 1e-9, f"Jain {offers:.4f}"),
        Claim(
            f"{tally.case.name}: identical contractors win alike",
            awards >= JAIN_AWARDS_MIN if enough else None,
            seen,
        ),
        judged(
            [tally],
            f"{tally.case.name}: agents differ by no more than the published {SPREAD_MAX:.0%}",
            part <= SPREAD_MAX,
            f"standard deviation {part:.1%} of the mean",
        ),
    ]


def _flat(tally: Tally) -> list[Claim]:
    """Return whether memory and files stay flat once the gateway is warm."""
    seen = [one for _, one in sorted(tally.minutes.items()) if one.rss_bytes and one.open_files]
    name = f"{tally.case.name}: memory and files of the gateway stay flat"
    if not any(one.rss_bytes for one in tally.minutes.values()):
        return []
    later = seen[max(WARM_MINUTES, min(WARM_MINUTES_LONG, len(seen) // 4)) :]
    if len(later) < FLAT_MINUTES_MIN:
        why = f"minutes: {len(seen)}; for {WARM_MINUTES} the memory of msg_ids fills"
        return [Claim(name, None, why)]
    half = max(1, len(later) // 2)
    before, after = _memory(later[:half]), _memory(later[-half:])
    files = [one.open_files for one in later if one.open_files is not None]
    growth = after / before - 1
    return [
        Claim(
            name,
            growth <= GROWTH_MAX and max(files) - min(files) <= FILES_MAX,
            f"memory {before / 1e6:.0f} to {after / 1e6:.0f} MB ({growth:+.1%}), "
            f"files {min(files)} to {max(files)}",
        )
    ]


def _memory(minutes: Sequence[Minute]) -> float:
    return median(one.rss_bytes for one in minutes if one.rss_bytes is not None)
