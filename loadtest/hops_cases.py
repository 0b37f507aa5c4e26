"""The cases of `loadtest.hops`: what is started, played and put away in each repeat.

Clusters that are compared run one after the other, each with fresh processes, and their order
changes with every repeat, so that a disturbance of the machine meets all of them.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from loadtest.clusters import Cluster, Wire, cluster, local_etcd
from loadtest.direct import Direct, Errand, Ran
from loadtest.figures import PERCENTILES, median, percentile
from loadtest.hops_plan import Plan
from loadtest.rounds import Case
from loadtest.spread import Load, play_spread

WAYS = {"one gateway": (1, Wire.UNIX), "Unix socket": (2, Wire.UNIX), "TCP": (2, Wire.TCP)}
AWARDS = ("none", "all")
ROUNDS_MAX = 10_000_000

Figures = dict[str, float]
T = TypeVar("T")


class Cases:
    """All cases of a plan, and the figures of the repeats so far."""

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
        """Play in a folder; `tell` hears of each case as it ends."""
        self._plan = plan
        self._folder = folder
        self._tell = tell
        self._repeat = 0
        self._started = 0
        self._etcd_version = ""
        self.direct: dict[str, list[Figures]] = {}
        """By way."""
        self.rounds: dict[tuple[int, str], list[Figures]] = {}
        """By how many gateways there are, and the load."""
        self.awards: dict[tuple[int, str], list[Figures]] = {}
        """By rounds in flight, and which awards are written."""

    async def play(self, repeat: int) -> None:
        """Play every case once. Raises RoundsFailed, ServerFailed, CommandError."""
        self._repeat = repeat
        if "direct" in self._plan.parts:
            for way in self._in_turn(list(WAYS)):
                await self._play_direct(way)
        if "rounds" in self._plan.parts:
            for count in self._in_turn(self._plan.gateways):
                await self._play_rounds(count)
        if "awards" in self._plan.parts:
            await self._play_awards()

    def result(self) -> dict[str, Any]:
        """Return the median of every figure over the repeats, and the repeats."""
        return {
            "contractors": self._plan.contractors,
            "in_flight": self._plan.in_flight,
            "messages_in_flight": self._plan.messages_in_flight,
            "etcd": self._etcd_version,
            "direct": [{"way": way, **_told(played)} for way, played in self.direct.items()],
            "rounds": [
                {"gateways": count, "load": load, **_told(played)}
                for (count, load), played in sorted(self.rounds.items(), key=lambda one: one[0][0])
            ],
            "awards": [
                {"in_flight": in_flight, "awards": awards, **_told(played)}
                for (in_flight, awards), played in self.awards.items()
            ],
        }

    async def _play_direct(self, way: str) -> None:
        plan = self._plan
        count, wire = WAYS[way]
        async with self._cluster(count, plan.server_core, wire=wire) as gateways:
            figures: Figures = {}
            for kind, in_flight in (("single", 1), ("many", plan.messages_in_flight)):
                errand = Errand(kind, in_flight, plan.seconds, plan.warm_up_seconds)
                first, *_, last = (*gateways.addresses, gateways.addresses[-1])
                direct = Direct(
                    first, last, errand, gateways.token_of, gateways.cpu_seconds, gateways.told
                )
                with _frozen():
                    ran = await direct.run()
                figures |= {f"{kind}_{name}": value for name, value in figures_of(ran).items()}
            self.direct.setdefault(way, []).append(figures)
            self._said(
                f"a message, {way}",
                f"{figures['single_p50_ms']:.2f} ms, {figures['many_cpu_us']:.1f} µs",
            )

    async def _play_rounds(self, count: int) -> None:
        plan = self._plan
        async with self._cluster(count, None) as gateways:
            for load in self._in_turn([load for load in Load if count > 1 or load is Load.LOCAL]):
                with _frozen():
                    figures = await play_spread(
                        gateways, load, self._case(load.name.lower(), plan.in_flight)
                    )
                self.rounds.setdefault((count, load.value), []).append(figures)
                self._said(
                    f"rounds, gateways: {count}, {load.value}",
                    f"{figures['rounds_per_second']:.0f} a second, "
                    f"{figures['messages_per_cpu_second']:.0f} messages a CPU second",
                )

    async def _play_awards(self) -> None:
        """Play in one gateway that is registered in etcd, so that awards are all that differs."""
        with local_etcd(self._new_folder()) as etcd:
            self._etcd_version = etcd.version
            for awards in self._in_turn(AWARDS):
                async with self._cluster(
                    1,
                    self._plan.server_core,
                    etcd=etcd.endpoint,
                    federation__awards=awards,
                    federation__cluster=f"awards-{awards}",
                ) as gateways:
                    for in_flight in self._plan.awards_in_flight:
                        with _frozen():
                            figures = await play_spread(
                                gateways,
                                Load.LOCAL,
                                self._case(f"{awards}{in_flight}", in_flight),
                                etcd.cpu_seconds,
                            )
                        self.awards.setdefault((in_flight, awards), []).append(figures)
                        self._said(
                            f"awards={awards}, {in_flight} in flight",
                            f"{figures['p50_ms']:.2f} ms, {figures['rounds_per_second']:.0f} "
                            "a second",
                        )

    def _case(self, name: str, in_flight: int) -> Case:
        plan = self._plan
        return Case(
            plan.contractors,
            in_flight,
            plan.seconds,
            ROUNDS_MAX,
            plan.warm_up_seconds,
            f"{name}r{self._repeat}",
        )

    @asynccontextmanager
    async def _cluster(
        self, count: int, core: int | None, **settings: Any
    ) -> AsyncIterator[Cluster]:
        with cluster(self._new_folder(), count, core, **settings) as gateways:
            await gateways.formed()
            yield gateways

    def _new_folder(self) -> Path:
        self._started += 1
        folder = self._folder / str(self._started)
        folder.mkdir()
        return folder

    def _in_turn(self, sides: Sequence[T]) -> Sequence[T]:
        return sides if self._repeat % 2 == 0 else sides[::-1]

    def _said(self, what: str, figures: str) -> None:
        self._tell(f"repeat {self._repeat + 1}/{self._plan.repeats}  {what}: {figures}")


def figures_of(ran: Ran) -> Figures:
    """Return the figures of an errand: milliseconds, and CPU of all gateways per message in µs."""
    ordered = sorted(ran.latencies)
    return {
        "per_second": len(ordered) / ran.seconds,
        "cpu_us": ran.cpu_seconds / len(ordered) * 1e6,
        **{f"p{percent}_ms": percentile(ordered, percent) * 1e3 for percent in PERCENTILES},
    }


def _told(played: Sequence[Figures]) -> dict[str, Any]:
    return {
        "figures": {name: round(value, 4) for name, value in median(played).items()},
        "repeats": [{name: round(value, 4) for name, value in one.items()} for one in played],
    }


@contextmanager
def _frozen() -> Any:
    """Keep what is alive now out of the collector's way."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
