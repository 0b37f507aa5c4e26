"""The report of a run and of a curve, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.load.plan import LoadPlan
from loadtest.reliability import taken_by

Summary = Mapping[str, Any]


def of_run(command: str, machine: Mapping[str, Any], plan: LoadPlan, summary: Summary) -> str:
    """Return the report of one run."""
    parts = [
        _title(command, machine, plan, summary),
        "\n".join(
            [f"**Wrong:** {sentence}." for sentence in summary["wrong"]]
            + [f"**In doubt:** {sentence}." for sentence in summary["doubts"]]
        ),
        table(
            ("when", "rounds", "last offer p50 / p95 / p99 ms", "decision p50 / p95 / p99 ms"),
            [
                (name, f"{one['rounds']:,}", three(one, "last_offer"), three(one, "decision"))
                for name, one in summary["stretches"].items()
            ],
        ),
        _gateways(summary["by_gateway"]),
        _streams(summary["streams"]),
        _generator(plan, summary),
        "What Locust counted (it rounds its times):",
        _locust(summary["locust"]),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def of_curve(command: str, machine: Mapping[str, Any], summaries: Sequence[Summary]) -> str:
    """Return the table over gateway counts; the first count is what the others compare with."""
    first = summaries[0]
    rows = []
    for one in summaries:
        rate = one["steady_rounds_per_second"]
        grown = one["gateways"] / first["gateways"]
        rows.append(
            (
                f"{one['gateways']}",
                f"{one['agents']}",
                f"{rate:,.0f}",
                f"{rate / (grown * first['steady_rounds_per_second']):.2f}",
                f"{total(one, 'admitted_per_second'):,.0f}",
                three(whole(one), "decision"),
                f"{total(one, 'cpu_share'):.2f}",
                f"{cost_of(one):.0f}",
                f"{cost_of(one) / cost_of(first):.2f}",
                f"{one['generator']['cores_busy']:.2f}",
            )
        )
    names = (
        *("gateways", "agents", "rounds/s", "efficiency", "admitted/s"),
        *("decision p50 / p95 / p99 ms", "gateway cores", "CPU µs a delivery", "to the first"),
        "generator cores",
    )
    doubts = [
        f"{one['gateways']} gateways: {sentence}"
        for one in summaries
        for sentence in (*one["wrong"], *one["doubts"])
    ]
    parts = [f"{taken_by(command, machine)}:", table(names, rows)]
    parts += [f"{'; '.join(doubts)}."] if doubts else []
    return "\n\n".join(parts)


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def total(summary: Summary, figure: str) -> float:
    """Return a figure of all gateways together, without the warm-up."""
    return float(sum(one[figure] for one in summary["steady_by_gateway"]))


def cost_of(summary: Summary) -> float:
    """Return the CPU of all gateways for a delivery, in microseconds."""
    return total(summary, "cpu_seconds") / max(total(summary, "messages_delivered"), 1) * 1e6


def whole(summary: Summary) -> Mapping[str, Any]:
    """Return the figures of a run that is all one stretch."""
    (only,) = summary["stretches"].values()
    found: Mapping[str, Any] = only
    return found


def three(figures: Mapping[str, Any], name: str) -> str:
    """Return p50, p95 and p99 with three digits, or a dash."""
    values = [figures[f"{name}_p{percent}_ms"] for percent in (50, 95, 99)]
    return " / ".join("–" if value is None else short(value) for value in values)


def short(milliseconds: float) -> str:
    """Return three digits."""
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _title(command: str, machine: Mapping[str, Any], plan: LoadPlan, summary: Summary) -> str:
    pace = (
        f"{plan.calls_per_second:g} calls a second, each at its own time"
        if plan.calls_per_second
        else f"{plan.in_flight} rounds in flight at every initiator"
    )
    return (
        f"# {summary['gateways']} gateway{'s' * (summary['gateways'] > 1)}, "
        f"{summary['agents']} agents, {plan.shape}, {plan.seconds:g} s\n\n"
        f"{taken_by(command, machine)}; {pace}; groups of {plan.group_agents}, "
        f"{plan.elsewhere_percent} % of contractors at other gateways than "
        "their initiator."
    )


def _gateways(gateways: Sequence[Mapping[str, float]]) -> str:
    names = (
        *("gateway", "admitted/s", "delivered/s", "cores", "CPU µs a delivery"),
        *("MiB first, last", "files", "repeated", "undelivered", "refused"),
    )
    rows = [
        (
            f"gateway-{place}",
            f"{one['admitted_per_second']:,.0f}",
            f"{one['delivered_per_second']:,.0f}",
            f"{one['cpu_share']:.2f}",
            f"{one['cpu_us_per_delivery']:.0f}",
            f"{one['resident_mib_first']:.0f}, {one['resident_mib_last']:.0f}",
            *(
                f"{one[name]:.0f}"
                for name in (
                    *("open_files_max", "messages_repeated"),
                    *("messages_undelivered", "messages_refused"),
                )
            ),
        )
        for place, one in enumerate(gateways, 1)
    ]
    return table(names, rows)


def _streams(streams: Mapping[str, Any]) -> str:
    rows = []
    for name, many in (("connect", "connects"), ("return", "returns")):
        if streams[many]:
            resumed = f", {streams['resumed']} resumed" if name == "return" else ""
            longest = short(streams[f"{name}_max_ms"])
            rows.append((name, f"{streams[many]}{resumed}", three(streams, name), longest))
    return table(("streams", "how many", "p50 / p95 / p99 ms", "longest ms"), rows)


def _generator(plan: LoadPlan, summary: Summary) -> str:
    used, etcd = summary["generator"], summary["etcd"]
    locust = used["cpu_seconds"] - used["drivers_cpu_seconds"]
    drivers = f"{plan.workers} driver{'s' * (plan.workers > 1)}"
    return (
        f"The generator used {used['cpu_seconds']:.1f} s of CPU, {used['cores_busy']:.2f} cores: "
        f"Locust {locust:.1f} s, its {drivers} {used['drivers_cpu_seconds']:.1f} s, the busiest "
        f"{used['busiest_driver_share']:.0%} of a core. It was at most {used['lag_p99_ms']:.1f} ms "
        f"late with its calls (p99 of a quarter of a second). etcd {etcd['version']} used "
        f"{etcd['cpu_seconds']:.1f} s."
    )


def _locust(counted: Sequence[Mapping[str, Any]]) -> str:
    names = ("type", "name", "requests", "failures", "requests/s", "p50 ms", "p95 ms", "p99 ms")
    rows = [
        (
            *(f"{one[name]}" for name in ("type", "name", "requests", "failures")),
            f"{one['per_second']:.1f}",
            *(f"{one.get(f'p{percent}_ms', 0):g}" for percent in (50, 95, 99)),
        )
        for one in counted
    ]
    return table(names, rows)
