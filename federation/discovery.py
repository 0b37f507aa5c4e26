"""How gateways find each other: in etcd under a lease, or in a list of the settings.

What runs goes on while etcd is away: the members that were known stay known, the links between
them do not need it, and the registration is found again, or made anew, when it is back. Who is
gone is gone when etcd says so, which is when its lease has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

import msgspec
import structlog

from federation.etcd import EtcdClient, EtcdState, Registration, Snapshot
from federation.etcd.transactions import KeyValue
from federation.membership import PREFIX, MemberInfo, Membership, read, written

FOREVER = float("inf")

log = structlog.get_logger("llmx.discovery")


class Discovery(Protocol):
    """Who else is in the cluster."""

    on_change: Callable[[], None]
    """Called when members, or the own epoch, have changed."""

    @property
    def own(self) -> MemberInfo:
        """The gateway itself, with its epoch."""

    @property
    def members(self) -> Mapping[str, MemberInfo]:
        """The others, by id."""

    @property
    def sure_until(self) -> float:
        """Until when nobody can believe that this gateway is gone."""

    @property
    def state(self) -> EtcdState | None:
        """How etcd is; None where there is none."""

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
    ) -> None:
        """Register `own` in the cluster of this name."""
        self._client = client
        self._prefix = f"{cluster}/{PREFIX}"
        self._own = own
        self._membership = Membership(own.gateway_id)
        self._registration = Registration(
            client,
            self._prefix + own.gateway_id,
            lambda: written(self._own),
            lease_seconds,
            now,
        )
        self._registration.on_change = self._registered
        self.on_change: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<EtcdDiscovery: {self._membership!r}, {self._registration!r}>"

    @property
    def own(self) -> MemberInfo:
        """Return this gateway, with the epoch of its registration; 0 while there is none."""
        return msgspec.structs.replace(self._own, epoch=self._registration.epoch)

    @property
    def members(self) -> Mapping[str, MemberInfo]:
        """Return the others, by id."""
        return self._membership.members

    @property
    def sure_until(self) -> float:
        """Return until when nobody can believe that this gateway is gone."""
        return self._registration.sure_until

    @property
    def state(self) -> EtcdState | None:
        """Return how etcd is."""
        return self._client.state

    def announce(self, load: float) -> None:
        """Tell the others how busy this gateway is."""
        self._own = msgspec.structs.replace(self._own, load=load)
        self._registration.announce()

    async def run(self) -> None:
        """Be registered and look out for others, until cancelled; then everybody knows at once."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._registration.run())
            tasks.create_task(self._observe())

    async def _observe(self) -> None:
        async with aclosing(self._client.observe(self._prefix)) as observed:
            async for told in observed:
                if isinstance(told, Snapshot):
                    if told.reason:
                        log.warning("the members are read anew", reason=told.reason)
                    has_changed = self._membership.replace(
                        [info for pair in told.pairs if (info := self._read(pair)) is not None]
                    )
                else:
                    has_changed = False
                    for change in told.changes:
                        has_changed |= self._changed(change.key, change.pair)
                if has_changed:
                    log.info("members", others=sorted(self.members))
                    self.on_change()

    def _changed(self, key: str, pair: KeyValue | None) -> bool:
        gateway_id = key.removeprefix(self._prefix)
        if pair is None:
            return self._membership.remove(gateway_id)
        info = self._read(pair)
        return info is not None and self._membership.put(info)

    def _read(self, pair: KeyValue) -> MemberInfo | None:
        info = read(pair.value, pair.create_revision)
        if info is None or self._prefix + info.gateway_id != pair.key:
            log.error("what stands in etcd is no gateway", key=pair.key)
            return None
        return info

    def _registered(self) -> None:
        log.info("registration", epoch=self._registration.epoch, fault=self._registration.fault)
        self.on_change()


class StaticDiscovery:
    """Members that the settings name: always there, whether they answer or not."""

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

    async def run(self) -> None:
        """Tell who there is, and have nothing to do until cancelled."""
        self.on_change()
        await asyncio.Event().wait()
