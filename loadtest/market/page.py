"""The results as tables of Markdown, and their place in docs/market.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from loadtest.market.adversaries import Hoarding, Lies, Waiting
from loadtest.market.clock import Figures
from loadtest.market.collusion import Detection
from loadtest.market.live import Live
from loadtest.market.rate_limit import Traffic
from loadtest.market.scale import Scale
from policy.ledger import credits_of

BEGIN_LIVE = "<!-- written by python -m loadtest.market --live --docs -->"
END_LIVE = "<!-- end of the live figures -->"
BEGIN, END = "<!-- written by python -m loadtest.market --docs -->", "<!-- end of the figures -->"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    assert all(len(row) == len(head) for row in rows), "each figure has its column"
    marks = ["---", *(["---:"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *rows)) + "\n"


def arms_table(by_arm: Mapping[str, Sequence[Figures]]) -> str:
    """Return the figures of the arms, each the mean of its seeds, the longest wait the longest."""
    head = (
        "way",
        "in use",
        "idle though wanted",
        "value done",
        "urgent in time",
        "longest wait",
        "Jain",
        "messages",
        "decision, median",
        "p99",
        "price",
        "policy",
    )
    rows = []
    for name, runs in by_arm.items():
        mean = {
            key: fmean(getattr(run, key) for run in runs)
            for key in (
                "utilisation",
                "wasted",
                "value",
                "in_time",
                "jain",
                "messages",
                "decided_median",
                "decided_p99",
                "price",
                "micros",
            )
        }
        rows.append(
            (
                name,
                f"{mean['utilisation']:.0%}",
                f"{mean['wasted']:.0%}",
                f"{mean['value']:.0%}",
                f"{mean['in_time']:.0%}",
                f"{max(run.starved for run in runs):.0f} min",
                f"{mean['jain']:.2f}",
                f"{mean['messages']:.0f}",
                f"{mean['decided_median']:.2f} s",
                f"{mean['decided_p99']:.2f} s",
                f"{mean['price']:.2f}",
                f"{mean['micros']:.0f} µs",
            )
        )
    return table(head, rows)


def lies_table(seen: Sequence[Lies]) -> str:
    """Return what became of liars."""
    honest = [fmean(one.honest_value[place] for one in seen) for place in range(3)]
    return table(
        ("liars that claim 2.5 to 4 times their worth", "measured"),
        [
            (
                "rated below 0.5 within 20 tasks",
                f"{sum(one.below_half for one in seen)} of {sum(one.liars for one in seen)}",
            ),
            ("tasks that it took the slowest", f"{max(one.slowest for one in seen)}"),
            (
                "lowest rating that an honest agent ever had",
                f"{min(one.lowest_honest for one in seen):.3f}",
            ),
            ("value done of the honest, nobody lies", f"{honest[0]:.1%}"),
            ("the same, a tenth lies, without ratings", f"{honest[1]:.1%}"),
            ("the same, a tenth lies, with ratings", f"{honest[2]:.1%}"),
        ],
    )


def rings_table(seen: Mapping[str, Detection]) -> str:
    """Return how well rings were found."""
    return table(
        (
            "ring, rounds",
            "seeds",
            "precision",
            "recall",
            "found",
            "false alarms",
            "probes that won",
        ),
        [
            (
                name,
                f"{one.seeds}",
                f"{one.precision:.2f}" if one.recall else "–",
                f"{one.recall:.2f}",
                f"{one.rings_found}",
                f"{one.false_alarms}",
                f"{one.probes_won}",
            )
            for name, one in seen.items()
        ],
    )


def hoarding_table(seen: Mapping[str, Hoarding]) -> str:
    """Return what a hoarder got."""
    return table(
        (
            "one agent asks for ten times what there is",
            "its part of the slots",
            "urgent of others in time",
        ),
        [(name, f"{one.share:.1%}", f"{one.others_in_time:.0%}") for name, one in seen.items()],
    )


def system_table(seen: Mapping[str, Sequence[Waiting]]) -> str:
    """Return how the system class fared."""
    return table(
        ("system agents in a crowd", "asked", "served at once"),
        [
            (
                name,
                f"{sum(one.asked for one in runs)}",
                f"{sum(one.at_once for one in runs) / sum(one.asked for one in runs):.1%}",
            )
            for name, runs in seen.items()
        ],
    )


def traffic_table(seen: Mapping[str, Traffic]) -> str:
    """Return what became of the requests to a shared API."""
    return table(
        (
            "shared API",
            "429 of the API",
            "quiet passed",
            "loud passed",
            "rate in use",
            "Jain",
            "price of the loud",
            "system class passed",
        ),
        [
            (
                name,
                f"{one.refused}",
                f"{one.quiet_served:.0%}",
                f"{one.loud_served:.0%}",
                f"{one.used:.0%}",
                f"{one.jain:.2f}",
                f"× {one.multiplier:.1f}",
                f"{one.system_served:.0%}",
            )
            for name, one in seen.items()
        ],
    )


def scale_table(seen: Sequence[Scale]) -> str:
    """Return what one decision costs."""
    return table(
        ("agents", "auction of all", "messages", "bargain of two", "messages "),
        [
            (
                f"{one.agents:,}",
                f"{one.auction_micros / 1000:.1f} ms",
                f"{one.auction_messages:,.0f}",
                f"{one.bargain_micros / 1000:.2f} ms",
                f"{one.bargain_messages:.0f}",
            )
            for one in seen
        ],
    )


def live_text(seen: Live) -> str:
    """Return the arms over real gateways beside the same in simulated time, and what was found."""
    size = seen.size
    rows = [
        (
            name,
            f"{one.utilisation:.0%}",
            f"{one.value:.0%}",
            f"{one.in_time:.0%}",
            f"{one.starved:.0f} min",
            f"{one.jain:.2f}",
            f"{one.messages:.0f}" if one.messages else "–",
            f"{one.decided_median * 1e3:.0f} ms" if one.messages else "–",
            f"{one.decided_p99 * 1e3:.0f} ms" if one.messages else "–",
            f"{one.price:.2f}",
            f"{one.micros / 1e3:.1f} ms" if name.endswith("live") else "–",
        )
        for name, (one,) in seen.figures.items()
    ]
    head = ("way", "in use", "value done", "urgent in time", "longest wait", "Jain", "messages")
    costs = ("decision, median", "p99", "price", "CPU of gateways")
    no_outcome = ", ".join(f"{why} {count}" for why, count in sorted(seen.failures.items()))
    checked = (
        f"Awards that the ledger has written: {seen.awards:.0f}, that it has refused: "
        f"{seen.refused:.0f}. Calls without an outcome: {no_outcome or 'none'}. The most slots in "
        f"use at one instant: {max(seen.at_once.values())} of {size.slots}. Credits paid: "
        f"{credits_of(seen.paid_micros)}; lost or made: {credits_of(seen.difference_micros)}."
    )
    ran = f"{size.agents} agents, {size.slots} slots, {size.seconds:g} seconds of each way.\n"
    return "\n".join((ran, table(head + costs, rows), checked))


def placed(page: str, figures: str, begin: str = BEGIN, end: str = END) -> str:
    """Return the page with the figures between their marks."""
    before, _, rest = page.partition(begin)
    _, mark, after = rest.partition(end)
    assert mark, "the page has a place for the figures"
    return f"{before}{begin}\n\n{figures.strip()}\n\n{end}{after}"
