"""The faults of a run, in their order, and how long each of them lasts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from loadtest.cluster_faults.players import Load
from loadtest.cluster_faults.scene import Plan, Result, duel, play
from tests.support.cluster import Cluster
from tests.support.cluster_faults import (
    ClusterFault,
    EtcdAway,
    EtcdRestarted,
    EtcdUnreached,
    Frozen,
    Joined,
    Killed,
    Left,
    Parted,
    PartedOneWay,
    Rolled,
    Slowed,
)
from tests.support.tcp_lines import Way

Play = Callable[[Cluster, Plan, str], Coroutine[Any, Any, Result]]


@dataclass(frozen=True, slots=True)
class Length:
    """Everything that depends on how long a run is."""

    lease_seconds: int = 5
    heartbeat_seconds: float = 1.0
    relay_after_seconds: float = 2.0
    agent_heartbeat_seconds: float = 2.0
    """Of three in which nothing came an agent goes elsewhere; 25 by default."""
    away_seconds: float = 60.0
    """How long etcd is away."""
    plan: Plan = field(
        default_factory=lambda: Plan(
            load=Load(agents=12, rate=5.0, call_share=0.2, reply_seconds=(0.5, 3.0), ttl=120.0),
            before=3.0,
            lasts=15.0,
            after=3.0,
            probes_within=10.0,
            duel_seconds=12.0,
            limit=90.0,
        )
    )

    @property
    def settings(self) -> dict[str, object]:
        """Return what each gateway is told."""
        return {
            "federation__lease_seconds": self.lease_seconds,
            "federation__heartbeat_seconds": self.heartbeat_seconds,
            "federation__relay_after_seconds": self.relay_after_seconds,
            "limits__heartbeat_seconds": self.agent_heartbeat_seconds,
        }


LONG = Length()
QUICK = Length(
    lease_seconds=2,
    heartbeat_seconds=0.4,
    relay_after_seconds=0.5,
    agent_heartbeat_seconds=0.5,
    away_seconds=6.0,
    plan=Plan(),
)


def programme(length: Length) -> Iterator[tuple[str, Play]]:
    """Yield a short name for each fault, and what lets it happen."""
    lease = float(length.lease_seconds)
    yield "joined", _fault(lambda cluster: Joined(cluster, "za"))
    yield "left", _fault(lambda cluster: Left(cluster, "eu"))
    yield "killed", _fault(lambda cluster: Killed(cluster, "us"))
    yield "frozen", _fault(lambda cluster: Frozen(cluster, "ap"), 2 * lease)
    yield "parted", _fault(lambda cluster: Parted(cluster, "ap", "eu"))
    yield "one-way-up", _fault(lambda cluster: PartedOneWay(cluster, "ap", "eu", Way.UP))
    yield "one-way-down", _fault(lambda cluster: PartedOneWay(cluster, "ap", "eu", Way.DOWN))
    yield "slowed", _fault(lambda cluster: Slowed(cluster, "ap", "eu"))
    yield "unreached", _fault(lambda cluster: EtcdUnreached(cluster, "eu"), 3 * lease)
    yield "restarted", _fault(EtcdRestarted, 0.0)
    yield "away", _fault(EtcdAway, length.away_seconds)
    yield "duel", lambda cluster, plan, name: duel(cluster, "us", plan, name)
    yield (
        "duel-asleep",
        lambda cluster, plan, name: duel(
            cluster, "us", plan, name, etcd_sleeps=plan.duel_seconds + lease
        ),
    )
    yield "rolled", _fault(Rolled, 0.0)


def _fault(made: Callable[[Cluster], ClusterFault], lasts: float | None = None) -> Play:
    async def strike(cluster: Cluster, plan: Plan, name: str) -> Result:
        plan = plan if lasts is None else replace(plan, lasts=lasts)
        return await play(cluster, made(cluster), plan, name)

    return strike
