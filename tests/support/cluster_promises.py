"""What a test demands of what a fault came to, with words for whoever reads that it failed."""

from __future__ import annotations

from dataclasses import replace

from loadtest.cluster_faults.scene import Plan, Result


def patient(plan: Plan) -> Plan:
    """Return a plan whose probes may take as long as anything else that is waited for.

    How soon they arrive is measured elsewhere: here others use the machine.
    """
    return replace(plan, probes_within=plan.limit)


def all_kept(result: Result) -> None:
    """Demand that every promise was kept, and that the exchange went on during the fault."""
    verdict = result.verdict
    words = [*map(str, verdict.broken), *result.errors]
    words.append(str({what: count for what, count in verdict.counts.items() if count}))
    told = "\n".join(words)
    assert not verdict.broken, told
    assert result.probes_arrived == result.probes > 0, told
    assert not [what for what in verdict.counts if what.startswith(("failure ", "refused "))], told
    assert verdict.counts["messages admitted"] > result.probes, told
    assert result.calls > 0, told
