"""How gateways find each other: in etcd under a lease, or in a list of the settings.

What runs goes on while etcd is away: the members that were known stay known, the links between
them do not need it, and the registration is found again, or made anew, when it is back. Who is
gone is gone when etcd says so, which is when its lease has ended.

Whether a gateway may decide what it owns is for `standing` to say; this brings it what etcd says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Protocol

import msgspec
import structlog

from federation.etcd import EtcdClient, EtcdState, Registration, Snapshot
from federation.fencing import Saying
from federation.membership import MemberInfo, read, written
from federation.peer_states import UNHEARD
from federation.predecessors import is_gone
from federation.standing import Standing
from federation.static_members import StaticDiscovery

__all__ = ["Discovery", "EtcdDiscovery", "StaticDiscovery"]

LOOKS_PER_HEARTBEAT = 2

log = structlog.get_logger("llmx.discovery")


class Discovery(Protocol):
    """Who else is in the cluster, and what that allows this gateway to do."""

    on_change: Callable[[], None]
    """Called when members, or the own epoch, have changed."""

    @property
    def own(self) -> MemberInfo:
        """Whom the others see: this gateway, with its epoch."""

    @property
    def members(self) -> Mapping[str, MemberInfo]:
        """The others, by id."""

    @property
    def sure_until(self) -> float:
        """Until when nobody can believe that this gateway is gone."""

    @property
    def state(self) -> EtcdState | None:
        """How etcd is; None where there is none."""

    def may_decide(self) -> bool:
        """Tell whether nobody else can decide what this gateway owns in its epoch."""

    def say_sight(self) -> bool:
        """Tell what heartbeats say: whether discovery is seen. False is a promise (`fencing`)."""

    def is_bound(self) -> bool:
        """Tell whether such a promise is to be kept now."""

    def announce(self, load: float, *, leaving: bool = False) -> None:
        """Tell the others how busy this gateway is."""

    async def run(self) -> None:
        """Look out for others until cancelled."""


class EtcdDiscovery:
    """Members that register in etcd."""

    def __init__(
        self,
        client: EtcdClient,
        cluster: str,
        own: MemberInfo,
        lease_seconds: int,
        now: Callable[[], float],
        *,
        said: Callable[[str], Saying] = lambda gateway_id: UNHEARD,
        heartbeat_seconds: float = 1.0,
    ) -> None:
        """Register `own` in the cluster of this name; `said` is what a member has said last."""
        self._client = client
        self._own = own
        self._is_warned = False
        self._now = now
        self._said = said
        self._look_seconds = heartbeat_seconds / LOOKS_PER_HEARTBEAT
        self._standing = standing = Standing(
            cluster, own.gateway_id, lease_seconds, heartbeat_seconds
        )
        self._registration = Registration(
            client, standing.own_key, lambda: written(self._own), lease_seconds, now
        )
        self._registration.on_change = self._registered
        self._registration.is_gone = self._is_gone
        self.on_change: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<EtcdDiscovery: {self._standing.membership!r}, {self._registration!r}>"

    @property
    def own(self) -> MemberInfo:
        """Return this gateway, with the epoch of its registration; 0 while there is none."""
        return msgspec.structs.replace(self._own, epoch=self._registration.epoch)

    @property
    def own_key(self) -> str:
        """Return under which key this gateway is registered; it is created in its epoch."""
        return self._standing.own_key

    @property
    def members(self) -> Mapping[str, MemberInfo]:
        """Return the others, by id."""
        return self._standing.membership.members

    @property
    def sure_until(self) -> float:
        """Return until when nobody can believe that this gateway is gone."""
        return self._told().certain_until

    @property
    def state(self) -> EtcdState | None:
        """Return how etcd is."""
        return self._client.state

    def may_decide(self) -> bool:
        """Tell whether nobody else can decide what this gateway owns in its epoch."""
        return self._told().may_decide(self._now(), self._said)

    def say_sight(self) -> bool:
        """Tell what heartbeats say: whether etcd is seen. False is a promise, see `fencing`."""
        return self._told().say_sight(self._now())

    def is_bound(self) -> bool:
        """Tell whether a promise is to be kept now, to take nothing over."""
        return self._standing.word.binds(self._now())

    def announce(self, load: float, *, leaving: bool = False) -> None:
        """Tell the others how busy this gateway is, and whether it is being emptied."""
        self._own = msgspec.structs.replace(self._own, load=load, leaving=leaving)
        self._registration.announce()

    async def run(self) -> None:
        """Be registered and look out for others, until cancelled; then everybody knows at once.

        From then on others take over: whoever cancels it has stopped deciding.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._registration.run())
            tasks.create_task(self._observe())
            tasks.create_task(self._look())

    async def _observe(self) -> None:
        standing = self._standing
        async with aclosing(self._client.observe(standing.prefix)) as observed:
            async for told in observed:
                if isinstance(told, Snapshot):
                    if told.reason:
                        log.warning("the members are read anew", reason=told.reason)
                    has_changed = standing.begin_anew(told.pairs, told.revision)
                else:
                    has_changed = standing.hear(told.changes, told.revision)
                self.may_decide()  # the fence has to know who was there
                if has_changed:
                    log.info("members", others=sorted(self.members))
                    self.on_change()

    async def _look(self) -> None:
        """See what the others say."""
        while True:
            await asyncio.sleep(self._look_seconds)
            self.may_decide()
            self.say_sight()  # to itself: who has nobody to tell is bound by its word too

    async def _is_gone(self, value: bytes) -> bool:
        gone = await is_gone(read(value, 0), self._own)
        if not gone and not self._is_warned:
            self._is_warned = True
            log.warning("another process has this gateway's id, its lease is waited for")
        return gone

    def _registered(self) -> None:
        log.info("registration", epoch=self._registration.epoch, fault=self._registration.fault)
        self.on_change()

    def _told(self) -> Standing:
        """Return the standing, that knows how the registrations are."""
        standing, registration = self._standing, self._registration
        standing.epoch, standing.sure_until = registration.epoch, registration.sure_until
        return standing
