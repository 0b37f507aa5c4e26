"""What is read of the gateways and of the generator while a load runs, from outside.

CPU, memory and files come from `/proc`, counters from the metrics of each gateway. A sample is
taken every second; figures over the run are differences between the first and the last one.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadtest.servers import Server, cpu_seconds_with_descendants

SCRAPE_SECONDS_MAX = 5.0
SAMPLES_MAX = 100_000
"""A day of samples; a longer run keeps the last ones."""
COUNTERS = (
    "llmx_messages_admitted_total",
    "llmx_messages_delivered_total",
    "llmx_messages_acknowledged_total",
    "llmx_messages_repeated_total",
    "llmx_messages_undelivered_total",
    "llmx_messages_refused_total",
    "llmx_sessions_resumed_total",
    "llmx_negotiations_finished_total",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One gateway at one moment."""

    at: float
    """Seconds since the beginning."""
    cpu_seconds: float
    resident_bytes: int
    open_files: int
    counters: dict[str, float]


@dataclass(slots=True)
class Gauges:
    """All samples of a run."""

    servers: Sequence[Server]
    generator_pid: int
    """Locust; its drivers are its children."""
    generator_cpu: list[tuple[float, float]] = field(default_factory=list)
    """When, and how much CPU time Locust and its drivers had used."""
    samples: list[list[Sample]] = field(default_factory=list)
    """By gateway."""

    def take(self, at: float, scrape: Callable[[Server], dict[str, float]]) -> None:
        """Take one sample of everything."""
        if not self.samples:
            self.samples = [[] for _ in self.servers]
        for server, taken in zip(self.servers, self.samples, strict=True):
            counters = scrape(server)
            taken.append(
                Sample(
                    at,
                    server.cpu_seconds(),
                    server.resident_bytes(),
                    server.open_files(),
                    {name: counters.get(name, 0.0) for name in COUNTERS},
                )
            )
            del taken[:-SAMPLES_MAX]
        self.generator_cpu.append((at, cpu_seconds_with_descendants(self.generator_pid)))
        del self.generator_cpu[:-SAMPLES_MAX]


def figures_of(samples: Sequence[Sample]) -> dict[str, float]:
    """Return what a gateway did between its first and its last sample."""
    first, last = samples[0], samples[-1]
    seconds = max(last.at - first.at, 1e-9)
    cpu = last.cpu_seconds - first.cpu_seconds
    counted = {name: last.counters[name] - first.counters[name] for name in COUNTERS}
    delivered = counted["llmx_messages_delivered_total"]
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "cpu_share": cpu / seconds,
        "cpu_us_per_delivery": cpu / delivered * 1e6 if delivered else 0.0,
        "admitted_per_second": counted["llmx_messages_admitted_total"] / seconds,
        "delivered_per_second": delivered / seconds,
        "resident_mib_first": first.resident_bytes / 2**20,
        "resident_mib_last": last.resident_bytes / 2**20,
        "open_files_max": float(max(sample.open_files for sample in samples)),
        **{name.removeprefix("llmx_").removesuffix("_total"): counted[name] for name in COUNTERS},
    }


def summed_metrics(server: Server) -> dict[str, float]:
    """Return the metrics of a gateway, those with labels summed over them."""
    url = f"http://127.0.0.1:{server.announced['metrics_port']}/metrics"
    with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS_MAX) as answer:
        text: str = answer.read().decode()
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.rpartition(" ")
        bare = name.partition("{")[0]
        if bare:
            found[bare] = found.get(bare, 0.0) + float(value)
    return found
