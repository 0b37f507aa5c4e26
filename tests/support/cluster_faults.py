"""What goes wrong in a cluster, as objects: injected, noticed by operators, healed, over.

A fault of a gateway that is gone is over as soon as the others go on without it, so its recovery
counts from its beginning; `heal` brings the gateway back. Any other is over some time after it
was healed.
"""

from __future__ import annotations

import asyncio

from tests.support.cluster import Cluster, Views
from tests.support.tcp_lines import Way


class ClusterFault:
    """Something that goes wrong in a cluster."""

    name = "nothing"
    is_survived = False
    """Do the others go on without what it took away?"""

    def __init__(self, cluster: Cluster) -> None:
        """Happen to a cluster."""
        self.cluster = cluster

    async def inject(self) -> None:
        """Let it go wrong."""

    def is_noticed(self, views: Views) -> bool:
        """Tell whether an operator can see it."""
        return True

    async def heal(self) -> None:
        """Put it right."""
        self.cluster.heal()

    def is_over(self, views: Views) -> bool:
        """Tell whether all who live are together again."""
        return self.cluster.is_whole(views)


class OfGateway(ClusterFault):
    """A gateway is gone for a while, and the others go on."""

    is_survived = True

    def __init__(self, cluster: Cluster, gateway: str) -> None:
        """Happen to this one."""
        super().__init__(cluster)
        self.gateway = gateway

    def is_noticed(self, views: Views) -> bool:
        return all(self.gateway not in view.members for view in views.values())

    async def heal(self) -> None:
        await self.cluster.gateways[self.gateway].restart()


class Joined(OfGateway):
    """A gateway more; when it is healed it leaves again."""

    name = "a gateway joins"

    async def inject(self) -> None:
        await self.cluster.add(self.gateway)

    def is_noticed(self, views: Views) -> bool:
        others = [view for name, view in views.items() if name != self.gateway]
        return all(self.gateway in view.members for view in others)

    async def heal(self) -> None:
        await self.cluster.remove(self.gateway)


class Left(OfGateway):
    """A gateway is stopped as an operator does."""

    name = "a gateway leaves (SIGTERM)"

    async def inject(self) -> None:
        await self.cluster.leave(self.gateway)


class Killed(OfGateway):
    """A gateway is gone from one moment to the next."""

    name = "a gateway is killed (kill -9)"

    async def inject(self) -> None:
        await self.cluster.gateways[self.gateway].kill()


class Frozen(OfGateway):
    """A gateway gets no processor for longer than its lease lasts."""

    name = "a gateway is frozen (SIGSTOP) for longer than its lease"

    async def inject(self) -> None:
        self.cluster.freeze(self.gateway)

    async def heal(self) -> None:
        self.cluster.thaw(self.gateway)


class OfPair(ClusterFault):
    """Something is wrong between two gateways, while both reach the third and etcd."""

    def __init__(self, cluster: Cluster, first: str, second: str) -> None:
        """Happen between these two."""
        super().__init__(cluster)
        self.pair = (first, second)
        self.line = cluster.line(first, second)

    def is_noticed(self, views: Views) -> bool:
        return self._reach(views).isdisjoint(("open", ""))

    def is_relayed(self, views: Views) -> bool:
        """Tell whether each has heard the other through the third."""
        return self._reach(views) == {"relayed"}

    def _reach(self, views: Views) -> set[str]:
        """Return how each reaches the other; "" where it cannot be asked."""
        first, second = self.pair
        return {
            views[one].reach.get(other, "") if one in views else ""
            for one, other in ((first, second), (second, first))
        }


class Parted(OfPair):
    """Nothing comes through between the two, and nobody says so."""

    name = "two gateways cannot reach each other"

    async def inject(self) -> None:
        self.line.hold()


class PartedOneWay(OfPair):
    """One hears the other, and is not heard."""

    def __init__(self, cluster: Cluster, first: str, second: str, way: Way) -> None:
        """Cut the way up, from the one that dials, or the way down."""
        super().__init__(cluster, first, second)
        dialler = "the one that dials" if way is Way.UP else "the one that is dialled"
        self.name = f"two gateways, and {dialler} is not heard"
        self.way = way

    async def inject(self) -> None:
        self.line.hold(self.way)


class Slowed(OfPair):
    """The way between two gateways is long, and loses packets."""

    name = "a slow link (200 ms each way, 2 % loss)"

    def __init__(
        self, cluster: Cluster, first: str, second: str, delay: float = 0.2, loss: float = 0.02
    ) -> None:
        """Let every byte take so many seconds each way, and lose a share of the packets."""
        super().__init__(cluster, first, second)
        self.delay, self.loss = delay, loss

    async def inject(self) -> None:
        self.line.slow(self.delay, self.loss)

    def is_noticed(self, views: Views) -> bool:
        return self._round_trip(views) > self.delay

    def is_over(self, views: Views) -> bool:
        return super().is_over(views) and self._round_trip(views) < self.delay

    def _round_trip(self, views: Views) -> float:
        first, second = self.pair
        if not {first, second} <= views.keys():
            return 0.0
        return max(
            views[first].round_trip.get(second, 0.0), views[second].round_trip.get(first, 0.0)
        )


class EtcdUnreached(ClusterFault):
    """One gateway cannot reach etcd, and all others can."""

    name = "a gateway cannot reach etcd"

    def __init__(self, cluster: Cluster, gateway: str) -> None:
        """Happen to this one."""
        super().__init__(cluster)
        self.gateway = gateway

    async def inject(self) -> None:
        self.cluster.etcd_lines[self.gateway].hold()

    def is_noticed(self, views: Views) -> bool:
        return self.gateway in views and not views[self.gateway].sees_etcd


class EtcdRestarted(ClusterFault):
    """Etcd is killed and started again at once."""

    name = "etcd is killed and restarts"

    async def inject(self) -> None:
        await self.cluster.etcd.kill()

    def is_noticed(self, views: Views) -> bool:
        return not any(view.sees_etcd for view in views.values())

    async def heal(self) -> None:
        await self.cluster.etcd.restart()


class EtcdAway(EtcdRestarted):
    """Etcd is away for longer than any lease."""

    name = "etcd is away"


class Rolled(ClusterFault):
    """Every gateway is stopped and started again, one after the other."""

    name = "three gateways restart in turn"

    async def inject(self) -> None:
        for name, gateway in list(self.cluster.gateways.items()):
            await self.cluster.leave(name)
            await gateway.restart()
            await self.cluster.until(self.cluster.is_whole)

    async def heal(self) -> None:
        await asyncio.sleep(0)  # nothing to mend, but whoever heals waits
