"""Rounds in a cluster: at every gateway an initiator, and its contractors here, there or both.

All initiators begin together and are measured over the same window. Each has as many rounds in
flight as every other one, so that a gateway has the same to do whatever the size of its cluster.
"""

from __future__ import annotations

import asyncio
import enum
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from loadtest.clusters import Cluster
from loadtest.conducting import RoundsFailed
from loadtest.figures import PERCENTILES, percentile
from loadtest.rounds import Case, Play, Played

OPEN_SECONDS_MAX = 60.0
REMOTE_OF_TEN = 2
"""How many of ten contractors are elsewhere when the load is mixed."""


class Load(enum.Enum):
    """Where contractors are, seen from their initiator's gateway."""

    LOCAL = "local"
    MIXED = "mixed 80/20"
    REMOTE = "remote"


def places_of(load: Load, addresses: Sequence[str], own: int, contractors: int) -> list[str]:
    """Return where each contractor of the initiator at `addresses[own]` connects."""
    others = [*addresses[own + 1 :], *addresses[:own]]
    here = {Load.LOCAL: contractors, Load.MIXED: contractors * (10 - REMOTE_OF_TEN) // 10}
    local = here.get(load, 0)
    elsewhere = [others[index % len(others)] for index in range(contractors - local)]
    return [addresses[own]] * local + elsewhere


async def play_spread(
    cluster: Cluster, load: Load, case: Case, also_cpu: Callable[[], float] = lambda: 0.0
) -> dict[str, float]:
    """Play a case at every gateway at once; returns the figures of all together.

    `also_cpu` is of another process that is watched. Raises RoundsFailed, ServerFailed.
    """
    addresses = cluster.addresses
    all_open = asyncio.Barrier(len(addresses))
    also: list[float] = []

    def cpu_seconds() -> float:
        also.append(also_cpu())
        return cluster.cpu_seconds()

    async def ready() -> None:
        await all_open.wait()
        await cluster.told()
        await all_open.wait()

    plays = [
        Play(
            address,
            replace(case, name=f"{case.name}g{own}"),
            token_of=cluster.token_of,
            initiator_decides=False,
            server_cpu_seconds=cpu_seconds,
            places=places_of(load, addresses, own, case.contractors),
            ready=ready,
        )
        for own, address in enumerate(addresses)
    ]
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(play.run()) for play in plays]
    except ExceptionGroup as group:
        failed = group.exceptions[0]
        if not isinstance(failed, RoundsFailed):
            raise
        raise RoundsFailed(
            f"{len(addresses)} gateways, {load.value}: {failed}\n{cluster.log_tails()}"
        ) from group
    figures = figures_of_all([one.result() for one in running])
    figures["also_cpu_us_per_round"] = (max(also) - min(also)) / figures["rounds"] * 1e6
    return figures


def figures_of_all(played: Sequence[Played]) -> dict[str, float]:
    """Return the figures of rounds that were played side by side over one window.

    Each play has read the CPU time of all gateways over its own window, and the windows are the
    same but for a moment: of those readings the median counts.
    """
    rounds = sum(one.rounds for one in played)
    messages = sum(one.messages for one in played)
    cpu = statistics.median(one.server_cpu_seconds for one in played)
    latencies = sorted(seconds for one in played for seconds in one.to_last_outcome)
    figures = {
        "rounds": float(rounds),
        "rounds_per_second": sum(one.rounds / one.seconds for one in played),
        "messages_per_second": sum(one.messages / one.seconds for one in played),
        "messages_per_cpu_second": messages / cpu,
        "cpu_us_per_message": cpu / messages * 1e6,
        "cpu_us_per_round": cpu / rounds * 1e6,
        "strays": float(sum(one.strays for one in played)),
    }
    for percent in PERCENTILES:
        figures[f"p{percent}_ms"] = percentile(latencies, percent) * 1e3
    return figures
