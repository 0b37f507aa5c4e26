"""The scene of `loadtest.sessions`: quiet, crowded, cut off, crashed.

without the crowd, with it, without, with    what do 5,000 idle sessions cost the others?
nobody says anything                         what do they cost by themselves?
all their connections are cut at once        how long until all are back, who suffers?
kill -9, start again                         the same when everybody comes back
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmx.v1 import envelope_pb2
from loadtest import scenes
from loadtest.figures import median
from loadtest.light_agent import LightAgent
from loadtest.messages import Pieces, address, as_bytes, rest_of_envelope
from loadtest.scenes import CrowdProcess, Gateway
from loadtest.traffic import Phase, Traffic, groups_of

CROWD_TOPIC = "crowd"
SEED = 20_261_121
DRAIN_SECONDS_MAX = 15.0
IDLE_SECONDS = 10.0
STRETCH_TRIES_MAX = 3
DISTURBED_LAG_MS = 20.0
"""When this process was later than that for a call in a hundred, its figures say nothing."""
TEXT_SCHEMA = "https://llm-x.org/schemas/v1/Text.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long."""

    sessions: int
    active: int
    groups: int
    rounds_per_second: float
    seconds: float
    repeats: int
    grace: float
    heartbeat: float
    server_core: int | None

    def seconds_expected(self) -> float:
        """Return about how long it takes."""
        opening = self.sessions / 700 + 1
        stretches = self.repeats * (2 * self.seconds + opening) + (self.repeats - 1) * self.grace
        return 8 + stretches + min(IDLE_SECONDS, self.seconds) + 4 * opening + 10


async def play(plan: Plan, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Play the scene and return every figure; raises SceneFailed, ServerFailed, TrafficFailed."""
    with scenes.gateway(
        folder, plan.server_core, limits__reconnect_grace_seconds=plan.grace
    ) as gateway:
        traffic = Traffic(
            groups_of(plan.active, plan.groups, gateway.who), plan.rounds_per_second, SEED
        )
        async with (
            scenes.crowd(gateway, plan.sessions, CROWD_TOPIC, plan.heartbeat) as crowd,
            asyncio.TaskGroup() as tasks,
        ):
            await scenes.open_all(list(traffic.agents), tasks)
            crier = await scenes.one_agent(gateway.who("crier"), tasks)
            runner = tasks.create_task(traffic.run())
            scene = _Scene(plan, gateway, crowd, traffic, crier, tell)
            result = await scene.play()
            runner.cancel()
            for agent in (*traffic.agents, crier):
                agent.leave()
                agent.cut()
        return result


class _Scene:
    def __init__(
        self,
        plan: Plan,
        gateway: Gateway,
        crowd: CrowdProcess,
        traffic: Traffic,
        crier: LightAgent,
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._gateway = gateway
        self._crowd = crowd
        self._traffic = traffic
        self._crier = crier
        self._tell = tell

    async def play(self) -> dict[str, Any]:
        plan = self._plan
        self._traffic.measure("warm-up")
        await asyncio.sleep(min(plan.seconds, 3.0))
        await self._quiet()
        alone: list[Phase] = []
        crowded: list[Phase] = []
        memory: dict[str, float] = {}
        openings: list[dict[str, Any]] = []
        cpu_alone = 0.0
        for repeat in range(plan.repeats):
            alone.append(await self._stretch("without"))
            cpu_alone = await self._idle_cpu()
            before = self._gateway.server.resident_bytes()
            files_before = self._gateway.server.open_files()
            cpu = self._gateway.server.cpu_seconds()
            opening = await self._crowd.order("connect")
            opening["cpu_seconds"] = self._gateway.server.cpu_seconds() - cpu
            openings.append(opening)
            await asyncio.sleep(1.0)
            if not memory:
                memory = {
                    "rss_before_bytes": before,
                    "rss_with_bytes": self._gateway.server.resident_bytes(),
                    "files_before": files_before,
                    "files_with": self._gateway.server.open_files(),
                }
                memory["bytes_per_session"] = (memory["rss_with_bytes"] - before) / plan.sessions
            crowded.append(await self._stretch("with"))
            if repeat + 1 < plan.repeats:
                await self._crowd.order("leave")
                await asyncio.sleep(plan.grace + 1.0)
        cpu_crowded = await self._idle_cpu()
        memory["rss_before_storms_bytes"] = self._gateway.server.resident_bytes()
        cut = await self._storm("cut", self._cut)
        memory["rss_after_cut_bytes"] = self._gateway.server.resident_bytes()
        crash = await self._storm("crash", self._crash)
        return {
            "plan": asdict(plan),
            "memory": memory,
            "openings": openings,
            "idle_cpu_ms_per_second": {"without": cpu_alone, "with": cpu_crowded},
            "without": together(alone),
            "with": together(crowded),
            "repeats": [
                {"without": a.figures(), "with": c.figures()}
                for a, c in zip(alone, crowded, strict=True)
            ],
            "cut": cut,
            "crash": crash,
            "refused": dict(self._traffic.refused),
        }

    async def _stretch(self, name: str) -> Phase:
        """Measure the active ones for a while; once more when something else held us up."""
        for _ in range(STRETCH_TRIES_MAX if self._plan.repeats > 1 else 1):
            phase = await self._one_stretch(name)
            if phase.figures()["own_lag_p99_ms"] <= DISTURBED_LAG_MS:
                break
            self._tell(f"{name:8} this process was held up itself; that stretch does not count")
        return phase

    async def _one_stretch(self, name: str) -> Phase:
        phase = self._traffic.measure(name)
        cpu, at = self._gateway.server.cpu_seconds(), time.perf_counter()
        await asyncio.sleep(self._plan.seconds)
        busy = (self._gateway.server.cpu_seconds() - cpu) / (time.perf_counter() - at)
        await self._quiet()
        figures = phase.figures()
        self._tell(
            f"{name:8} p50/p95/p99 {figures['p50_ms']:.1f}/{figures['p95_ms']:.1f}/"
            f"{figures['p99_ms']:.1f} ms, {figures['rounds']:.0f} rounds, "
            f"{figures['unfinished']:.0f} unfinished, gateway busy {busy:.0%}, "
            f"own lag p99 {figures['own_lag_p99_ms']:.1f} ms"
        )
        return phase

    async def _quiet(self) -> None:
        self._traffic.rest()
        await self._traffic.drained(DRAIN_SECONDS_MAX)

    async def _idle_cpu(self) -> float:
        """Return the gateway's CPU while nobody says anything, in ms per second."""
        server = self._gateway.server
        cpu, at = server.cpu_seconds(), time.perf_counter()
        await asyncio.sleep(min(IDLE_SECONDS, self._plan.seconds))
        return (server.cpu_seconds() - cpu) / (time.perf_counter() - at) * 1e3

    async def _storm(self, name: str, blow: Callable[[], Any]) -> dict[str, Any]:
        """Lose the crowd's connections and measure until everybody is back."""
        before = await self._gateway.counters()
        self._traffic.measure("before")
        await asyncio.sleep(min(1.0, self._plan.seconds / 2))
        phase = self._traffic.measure(name)
        more = await blow()
        steady = await self._crowd.order("steady")
        after = self._traffic.measure("after")
        await asyncio.sleep(min(3.0, self._plan.seconds))
        await self._quiet()
        counters = await self._gateway.counters()
        repeated = "llmx_messages_repeated_total"
        begun = 0.0 if name == "crash" else before.get(repeated, 0.0)
        heard = await self._crowd.order("heard")
        figures = {
            **steady,
            **more,
            "heard": heard,
            "repeats_sent": counters.get(repeated, 0.0) - begun,
            "during": phase.figures(),
            "after": after.figures(),
        }
        during = figures["during"]
        self._tell(
            f"{name:8} all {steady['welcomed']} back after {steady['seconds']:.2f} s with "
            f"{steady['attempts']} attempts, {steady['resumed']} resumed, "
            f"{figures['repeats_sent']:.0f} repeats; meanwhile p50/p99 {during['p50_ms']:.1f}/"
            f"{during['p99_ms']:.1f} ms of {during['rounds']:.0f} rounds, "
            f"{during['unfinished']:.0f} unfinished"
        )
        return figures

    async def _cut(self) -> dict[str, Any]:
        """Cut everybody off, and send everybody a message in that moment."""
        cpu = self._gateway.server.cpu_seconds()
        await self._crowd.order("cut")
        text = as_bytes({"$schema": TEXT_SCHEMA, "text": "Are you still there?"})
        rest = rest_of_envelope(
            address("crier"), [f"topic://{CROWD_TOPIC}"], envelope_pb2.ACT_MESSAGE, text
        )
        Pieces("cry-", 1, "", rest).put(self._crier.pieces, b"1", b"")
        self._crier.wake()
        return {"cpu_seconds_before": cpu}

    async def _crash(self) -> dict[str, Any]:
        """Kill the gateway and start another one."""
        await self._crowd.order("mark")
        at = time.perf_counter()
        await asyncio.to_thread(self._gateway.lose)
        return {"restart_seconds": time.perf_counter() - at}


def together(phases: Sequence[Phase]) -> dict[str, float]:
    """Return the sums of what was counted and the medians of what was timed."""
    figures = [phase.figures() for phase in phases]
    timed = median(figures)
    counted = {
        name: sum(one[name] for one in figures) for name in timed if not name.endswith("_ms")
    }
    return {**timed, **counted}
