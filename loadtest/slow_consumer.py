"""Measure what one consumer that stops reading costs everybody else.

    python -m loadtest.slow_consumer
    python -m loadtest.slow_consumer --agents 200 --seconds 20 --repeats 3 --out result.json

Groups negotiate at a fixed rate; beside them a talker fills a topic, and one consumer listens
to it. Stretches take turns: in one the consumer reads, in the next it stops, with its socket
open, until the gateway disconnects it. What is measured is the latency of the groups in both,
when the consumer was warned and disconnected, and how much memory the gateway needed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.sessions import GROUP_AGENTS, core_of, own_core

TOPIC = "busy"
TEXT_CHARACTERS = 900
TICK_SECONDS = 0.01
WATCH_SECONDS = 0.25
SETTLE_SECONDS = 1.0
CATCH_UP_SECONDS_MAX = 60.0
WARNED = "llmx_slow_consumers_warned_total"
ENDED = 'llmx_streams_ended_total{reason="slow_consumer"}'


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long."""

    agents: int
    rounds_per_second: float
    messages_per_second: float
    outbox_messages_max: int
    seconds: float
    repeats: int
    server_core: int | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; returns 0, or 1 with a sentence when it could not be run."""
    options = parse(arguments)
    if options.client_core is not None:
        os.sched_setaffinity(0, {options.client_core})
    import uvloop

    from loadtest import reliability, report
    from loadtest.scenes import SceneFailed
    from loadtest.servers import ServerFailed
    from loadtest.traffic import TrafficFailed

    plan = Plan(
        agents=options.agents,
        rounds_per_second=options.rate,
        messages_per_second=options.messages,
        outbox_messages_max=options.outbox,
        seconds=options.seconds,
        repeats=options.repeats,
        server_core=options.server_core,
    )
    gc.set_threshold(50_000, 20, 100)
    machine = report.facts()
    print(f"about {10 + plan.repeats * (2 * plan.seconds + 5):.0f} s to go", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="llmx-slow-") as folder:
        try:
            measured = uvloop.run(play(plan, Path(folder)))
        except (SceneFailed, ServerFailed, TrafficFailed, ExceptionGroup) as error:
            print(f"slow_consumer: {error}", file=sys.stderr)
            return 1
    result = {"machine": machine, **measured}
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    quick = " --quick" if options.quick else ""
    rows = reliability.rows_of_slow_consumer(result)
    table = reliability.as_table(f"python -m loadtest.slow_consumer{quick}", machine, rows)
    print(table)
    if options.page is not None:
        reliability.refresh(options.page, "slow consumer", table)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.slow_consumer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="24 agents and a small outbox, in under 20 s")
    add("--agents", type=int, default=200, help="agents that negotiate, %(default)s")
    add("--rate", type=float, default=50.0, help="rounds a second of all groups, %(default)s")
    add("--messages", type=float, default=1_000.0, help="messages a second on the topic, 1000")
    add("--outbox", type=int, default=10_000, help="outbox_messages_max, %(default)s")
    add("--seconds", type=float, default=20.0, help="how long each stretch is, %(default)s")
    add("--repeats", type=int, default=3, help="stretches of each kind, %(default)s")
    add("--out", type=Path, help="write the whole result to this file, as JSON")
    add("--page", type=Path, help="refresh the table in this page, docs/reliability.md")
    add("--server-core", type=core_of, default=own_core(0), help="a number, or any")
    add("--client-core", type=core_of, default=own_core(1), help="a number, or any")
    options = parser.parse_args(arguments)
    if options.quick:
        options.agents, options.rate, options.outbox = 24, 20.0, 1_000
        options.seconds, options.repeats = 4.0, 1
    for name, least, most in (
        ("agents", 2, 2_000),
        ("rate", 0.1, 10_000),
        ("messages", 1, 20_000),
        ("outbox", 10, 1_000_000),
        ("seconds", 0.2, 600),
        ("repeats", 1, 20),
    ):
        if not least <= getattr(options, name) <= most:
            parser.error(f"--{name} must be {least} to {most}")
    return options


async def play(plan: Plan, folder: Path) -> dict[str, Any]:
    """Play all stretches and return every figure; raises SceneFailed, ServerFailed."""
    from loadtest import scenes
    from loadtest.storms import SEED
    from loadtest.traffic import Traffic, groups_of

    with scenes.gateway(
        folder, plan.server_core, limits__outbox_messages_max=plan.outbox_messages_max
    ) as gateway:
        groups = groups_of(plan.agents, max(round(plan.agents / GROUP_AGENTS), 1), gateway.who)
        traffic = Traffic(groups, plan.rounds_per_second, SEED)
        async with asyncio.TaskGroup() as tasks:
            await scenes.open_all(list(traffic.agents), tasks)
            talker = await scenes.one_agent(gateway.who("talker"), tasks)
            consumer = await scenes.one_agent(gateway.who("consumer", (TOPIC,)), tasks, acknowledge)
            runner = tasks.create_task(traffic.run())
            talking = tasks.create_task(_talk(talker, plan.messages_per_second))
            result = await _Scene(plan, gateway, traffic, consumer).play()
            runner.cancel()
            talking.cancel()
            for agent in (*traffic.agents, talker, consumer):
                agent.leave()
                agent.cut()
        return result


def acknowledge(batch: Any, acks: list[str]) -> None:
    """Acknowledge whatever comes."""
    acks.extend(envelope.msg_id for envelope in batch.envelopes)


async def _talk(talker: Any, messages_per_second: float) -> None:
    """Say something on the topic, at a fixed rate, until cancelled."""
    from llmx.v1 import envelope_pb2
    from loadtest.messages import Pieces, address, as_bytes, rest_of_envelope
    from loadtest.storms import TEXT_SCHEMA

    text = as_bytes({"$schema": TEXT_SCHEMA, "text": "x" * TEXT_CHARACTERS})
    rest = rest_of_envelope(address("talker"), [f"topic://{TOPIC}"], envelope_pb2.ACT_MESSAGE, text)
    said = Pieces("said-", 9, "", rest)
    began, last = time.perf_counter(), 0
    while True:
        await asyncio.sleep(TICK_SECONDS)
        due = int((time.perf_counter() - began) * messages_per_second)
        for number in range(last + 1, due + 1):
            said.put(talker.pieces, b"%09d" % number, b"")
        last = due
        talker.wake()


class _Scene:
    def __init__(self, plan: Plan, gateway: Any, traffic: Any, consumer: Any) -> None:
        self._plan = plan
        self._gateway = gateway
        self._traffic = traffic
        self._consumer = consumer

    async def play(self) -> dict[str, Any]:
        from loadtest.storms import together

        self._traffic.measure("warm-up")
        await asyncio.sleep(min(self._plan.seconds, 3.0))
        reading, stopped = [], []
        watched: list[dict[str, float]] = []
        for _ in range(self._plan.repeats):
            reading.append(await self._stretch("reading"))
            before = self._gateway.server.resident_bytes()
            self._consumer.stop_reading()
            watch = asyncio.get_running_loop().create_future()
            stopped.append(await self._stretch("stopped", watch))
            watched.append({**watch.result(), "rss_before_bytes": before})
            self._consumer.read_again()
            await self._caught_up()
        return {
            "plan": asdict(self._plan),
            "reading": together(reading),
            "stopped": together(stopped),
            "repeats": [
                {"reading": a.figures(), "stopped": b.figures()}
                for a, b in zip(reading, stopped, strict=True)
            ],
            "watched": watched,
            "log": self._gateway.log_lines("slow consumer")[:4],
            "consumer": {
                "welcomes": self._consumer.welcomes,
                "resumed": self._consumer.resumed,
                "goodbye": self._consumer.goodbye and self._consumer.goodbye[1],
                "warned": self._consumer.warned_at > 0,
                "endings": dict(self._consumer.endings),
            },
            "refused": dict(self._traffic.refused),
        }

    async def _stretch(self, name: str, watch: Any = None) -> Any:
        """Measure the groups for a while; the metrics are read in both kinds of stretches."""
        phase = self._traffic.measure(name)
        seen = await self._watch()
        if watch is not None:
            watch.set_result(seen)
        self._traffic.rest()
        await self._traffic.drained(CATCH_UP_SECONDS_MAX)
        figures = phase.figures()
        print(
            f"{name:8} p50/p95/p99 {figures['p50_ms']:.1f}/{figures['p95_ms']:.1f}/"
            f"{figures['p99_ms']:.1f} ms, {figures['rounds']:.0f} rounds, own lag p99 "
            f"{figures['own_lag_p99_ms']:.1f} ms  {seen}",
            file=sys.stderr,
        )
        return phase

    async def _watch(self) -> dict[str, float]:
        """Look at the gateway until the stretch is over."""
        began = time.perf_counter()
        first = await self._gateway.counters()
        seen: dict[str, float] = {"rss_most_bytes": 0.0}
        while (now := time.perf_counter() - began) < self._plan.seconds:
            await asyncio.sleep(min(WATCH_SECONDS, self._plan.seconds - now))
            counters = await self._gateway.counters()
            rss = float(self._gateway.server.resident_bytes())
            seen["rss_most_bytes"] = max(seen["rss_most_bytes"], rss)
            for name, metric in (("warned_after", WARNED), ("closed_after", ENDED)):
                if name not in seen and counters.get(metric, 0.0) > first.get(metric, 0.0):
                    seen[name] = time.perf_counter() - began
        return seen

    async def _caught_up(self) -> None:
        """Wait until the consumer is back and has read what waited for it."""
        ends_at = time.perf_counter() + CATCH_UP_SECONDS_MAX
        received = -1
        while time.perf_counter() < ends_at:
            await asyncio.sleep(SETTLE_SECONDS)
            more = self._consumer.messages_received - max(received, 0)
            received = self._consumer.messages_received
            if self._consumer.is_welcomed and more <= 2 * self._plan.messages_per_second:
                return


if __name__ == "__main__":
    sys.exit(main())
