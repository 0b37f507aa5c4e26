"""Play every case against ours, the floor and peers, turn about, and compare.

For each repeat both servers are started afresh and run side by side; only one is played with
at a time. They take turns case by case, and who begins changes with every repeat, so that a
disturbance of the machine meets all. Peers start and stop their own servers; they join in where
somebody has the time for them, twelve contractors unless more was asked for.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.conducting import RoundsFailed
from loadtest.figures import Compared, Figures, figures_of, median
from loadtest.peers import orders
from loadtest.rounds import Case, Play
from loadtest.servers import Server
from loadtest.targets import Target

REPEATS_MAX = 50
PEERS_EXTRA_SECONDS = 4.0
"""How long a peer takes for a case beside its window, about."""
PEER_CONTRACTORS = (12,)
PEER_IN_FLIGHT = (1, 32)


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
    peers: Sequence[orders.Found] = ()
    peers_everywhere: bool = False
    """Do peers play every case, not only those of `PEER_CONTRACTORS` and `PEER_IN_FLIGHT`?"""

    def seconds_expected(self, targets: int) -> float:
        """Return about how long the whole plan takes."""
        cases = [(n, f) for n in self.contractors for f in self.in_flight]
        once = self.seconds + self.warm_up_seconds
        with_peers = sum(self.has_peers(*case) for case in cases) * len(self.peers)
        return self.repeats * (
            targets * (1.5 + len(cases) * (once + 0.2)) + with_peers * (once + PEERS_EXTRA_SECONDS)
        )

    def has_peers(self, contractors: int, in_flight: int) -> bool:
        """Tell whether peers play a case."""
        usual = contractors in PEER_CONTRACTORS and in_flight in PEER_IN_FLIGHT
        return bool(self.peers) and (self.peers_everywhere or usual)


async def compare(
    targets: Sequence[Target], plan: Plan, logs: Path, tell: Callable[[str], None]
) -> list[Compared]:
    """Play the plan; `tell` hears of each case as it ends. Raises RoundsFailed, ServerFailed.

    A peer that fails is left out of the case, with a word.
    """
    assert plan.repeats <= REPEATS_MAX, "the command line checks it"
    gathered: dict[tuple[int, int], dict[str, list[Figures]]] = {
        (contractors, in_flight): {
            name: []
            for name in (
                *(target.name for target in targets),
                *(peer.name for peer in plan.peers if plan.has_peers(contractors, in_flight)),
            )
        }
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
                case = _case(plan, contractors, in_flight, repeat)
                where = f"n={contractors:<3} in flight={in_flight:<4}"
                for target in order:
                    figures = await play(target, servers[target.name], case)
                    by_target[target.name].append(figures)
                    tell(_line(repeat, plan, target.name, where, figures))
                for peer in _in_turn(plan.peers, repeat):
                    if peer.name not in by_target:
                        continue
                    try:
                        figures = await orders.play(peer, case, plan.server_core)
                    except RoundsFailed as error:
                        del by_target[peer.name]
                        tell(f"{peer.name} is left out of this case: {error}")
                    else:
                        by_target[peer.name].append(figures)
                        tell(_line(repeat, plan, peer.name, where, figures))
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


def _in_turn(peers: Sequence[orders.Found], repeat: int) -> list[orders.Found]:
    """Return the peers, another one first in every repeat."""
    first = repeat % max(len(peers), 1)
    return [*peers[first:], *peers[:first]]


def _line(repeat: int, plan: Plan, name: str, where: str, figures: Figures) -> str:
    return (
        f"repeat {repeat + 1}/{plan.repeats}  {name:9}  {where} "
        f"{figures['rounds_per_second']:8.0f} rounds/s"
    )


def _case(plan: Plan, contractors: int, in_flight: int, repeat: int) -> Case:
    return Case(
        contractors=contractors,
        in_flight=in_flight,
        seconds=plan.seconds,
        rounds_max=plan.rounds_max,
        warm_up_seconds=plan.warm_up_seconds,
        name=f"n{contractors}f{in_flight}r{repeat}",
    )
