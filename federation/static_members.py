"""Members that the settings name, where there is no etcd.

They are always there, whether they answer or not, so nobody is ever taken for gone and nothing is
ever taken over: what a gateway owns waits for it. The epoch of a gateway is when it started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from federation.etcd import EtcdState
from federation.membership import MemberInfo, Membership

FOREVER = float("inf")


class StaticDiscovery:
    """Members that the settings name; none of them where a gateway stands alone."""

    def __init__(self, own: MemberInfo, others: Sequence[MemberInfo]) -> None:
        """Know them from the start."""
        self._own = own
        self._membership = Membership(own.gateway_id)
        self._membership.replace(others)
        self.on_change: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<StaticDiscovery: {self._membership!r}>"

    @property
    def own(self) -> MemberInfo:
        """Return this gateway; its epoch is when it started."""
        return self._own

    @property
    def members(self) -> Mapping[str, MemberInfo]:
        """Return the others, by id."""
        return self._membership.members

    @property
    def sure_until(self) -> float:
        """Return for ever: nobody is ever declared gone."""
        return FOREVER

    @property
    def state(self) -> EtcdState | None:
        """Return None: there is no etcd."""
        return None

    def may_decide(self) -> bool:
        """Tell that it may: nobody can take anything over."""
        return True

    def say_sight(self) -> bool:
        """Tell that it sees all there is to see."""
        return True

    def is_bound(self) -> bool:
        """Tell that nothing was promised."""
        return False

    def announce(self, load: float, *, leaving: bool = False) -> None:
        """Tell nobody: there is no place for it."""

    async def run(self) -> None:
        """Tell who there is, and have nothing to do until cancelled."""
        self.on_change()
        await asyncio.Event().wait()
