"""What a run came to, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.chaos.run import Result
from loadtest.chaos.story import story

BROKEN_TOLD_MAX = 20
STORIES_TOLD_MAX = 4


def summary(result: Result) -> Iterator[str]:
    """Yield the lines of a table, and what was broken with the trace of it."""
    plan, counts = result.plan, result.judgement.counts
    yield f"seed {plan.seed}: {plan.agents} agents, {plan.seconds:g} s of faults"
    yield from _section("messages", counts)
    yield from _section("on the lines", result.proxied)
    yield from _section("faults", result.ledger.counts)
    yield f"  {'memory of the gateway':<58} {result.memory}"
    yield f"  {'the whole run took':<58} {result.seconds:.0f} s"
    broken = result.judgement.broken
    if not broken:
        yield f"every promise was kept (seed {plan.seed})"
        return
    yield ""
    yield f"{len(broken)} promises were broken; see them again with --seed {plan.seed}"
    for one in broken[:BROKEN_TOLD_MAX]:
        yield f"  {one}"
    told = [label for one in broken for label in (one.label, one.other) if label]
    for label in list(dict.fromkeys(told))[:STORIES_TOLD_MAX]:
        yield ""
        yield f"the trace of {label}:"
        yield from story(result.ledger, label)


def _section(name: str, counts: object) -> Iterator[str]:
    assert isinstance(counts, dict), "a Counter is one"
    yield f"{name}:"
    for what, count in sorted(counts.items()):
        if count:
            yield f"  {what:<58} {count:>10}"
