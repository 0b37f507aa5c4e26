"""Play every case against ours and the floor, turn about, and compare.

For each repeat both servers are started afresh and run side by side; only one is played with
at a time. They take turns case by case, and who begins changes with every repeat, so that a
disturbance of the machine meets both.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.conducting import RoundsFailed
from loadtest.figures import Compared, Figures, figures_of, median
from loadtest.rounds import Case, Play
from loadtest.servers import Server
from loadtest.targets import Target

REPEATS_MAX = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare, and for how long."""

    contractors: Sequence[int]
    in_flight: Sequence[int]
    seconds: float
    rounds_max: int
    warm_up_seconds: float
    repeats: int
    server_core: int | None

    def seconds_expected(self, targets: int) -> float:
        """Return about how long the whole plan takes."""
        cases = len(self.contractors) * len(self.in_flight)
        return self.repeats * targets * (1.5 + cases * (self.seconds + self.warm_up_seconds + 0.2))


async def compare(
    targets: Sequence[Target], plan: Plan, logs: Path, tell: Callable[[str], None]
) -> list[Compared]:
    """Play the plan; `tell` hears of each case as it ends. Raises RoundsFailed, ServerFailed."""
    assert plan.repeats <= REPEATS_MAX, "the command line checks it"
    gathered: dict[tuple[int, int], dict[str, list[Figures]]] = {
        (contractors, in_flight): {target.name: [] for target in targets}
        for contractors in plan.contractors
        for in_flight in plan.in_flight
    }
    for repeat in range(plan.repeats):
        order = list(targets) if repeat % 2 == 0 else list(reversed(targets))
        with contextlib.ExitStack() as stack:
            servers = {
                target.name: stack.enter_context(
                    Server(target.command, plan.server_core, logs / f"{target.name}.log")
                )
                for target in targets
            }
            for (contractors, in_flight), by_target in gathered.items():
                for target in order:
                    case = _case(plan, contractors, in_flight, repeat)
                    figures = await play(target, servers[target.name], case)
                    by_target[target.name].append(figures)
                    tell(
                        f"repeat {repeat + 1}/{plan.repeats}  {target.name:5}  n={contractors:<3} "
                        f"in flight={in_flight:<4} {figures['rounds_per_second']:8.0f} rounds/s"
                    )
    return [
        Compared(
            contractors=contractors,
            in_flight=in_flight,
            targets={name: median(repeats) for name, repeats in by_target.items()},
            repeats=by_target,
        )
        for (contractors, in_flight), by_target in gathered.items()
    ]


async def play(target: Target, server: Server, case: Case) -> Figures:
    """Play one case against a running server; raises RoundsFailed with the server's last words."""
    rounds = Play(
        f"127.0.0.1:{server.port}",
        case,
        token_of=target.token_of,
        initiator_decides=target.initiator_decides,
        server_cpu_seconds=server.cpu_seconds,
    )
    gc.collect()
    gc.freeze()
    try:
        played = await rounds.run()
    except RoundsFailed as error:
        tail = server.log_tail()
        raise RoundsFailed(
            f"{target.name}, {case.contractors} contractors, {case.in_flight} in flight: {error}"
            + (f"\n{tail}" if tail else "")
        ) from error
    finally:
        gc.unfreeze()
    return figures_of(played)


def _case(plan: Plan, contractors: int, in_flight: int, repeat: int) -> Case:
    return Case(
        contractors=contractors,
        in_flight=in_flight,
        seconds=plan.seconds,
        rounds_max=plan.rounds_max,
        warm_up_seconds=plan.warm_up_seconds,
        name=f"n{contractors}f{in_flight}r{repeat}",
    )
