"""A key that lives as long as this process does, and what may be believed meanwhile.

    no lease → a lease → registered ⇄ (etcd is away) → the lease is lost → no lease
                            ↓ cancelled
                          revoked: everybody knows at once

The *epoch* is the revision at which the key came to be: it grows with every registration. The
lease cannot have expired elsewhere before `sure_until`, which counts from the moment at which the
last keepalive that was answered was *sent*. After an outage the lease is tried first: it may have
survived, and the epoch with it.

At its start a process takes the place of a key that it finds, which is that of an earlier life of
its own. Later it waits until the key is gone: somebody else was started under the same name, and
two that take each other's place would never end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from federation.etcd.client import EtcdClient
from federation.etcd.errors import EtcdDenied, EtcdError
from federation.etcd.transactions import Delete, KeyValue, Put, created, lease_is

NEVER = float("-inf")
KEEPALIVES_PER_LEASE = 3
TRIES_PER_LEASE = 10
"""How often a failed attempt is repeated in the time that a lease lasts."""


async def _is_gone(value: bytes) -> bool:
    """Tell that it is, where a key has one owner ever."""
    return True


class Registration:
    """One key under one lease."""

    def __init__(
        self,
        client: EtcdClient,
        key: str,
        value: Callable[[], bytes],
        ttl_seconds: int,
        now: Callable[[], float],
    ) -> None:
        """Register `key` with what `value` returns, for `ttl_seconds` after the last keepalive."""
        if ttl_seconds < 1:
            raise ValueError("a lease lasts a second at least")
        self._client = client
        self._key = key
        self._value = value
        self._ttl_seconds = ttl_seconds
        self._now = now
        self.on_change: Callable[[], None] = lambda: None
        """Called whenever `epoch` has changed."""
        self.is_gone: Callable[[bytes], Awaitable[bool]] = _is_gone
        """Asked at the start about what stands under the key: is whoever wrote it gone for sure?
        If not, the key is waited for until its lease is over."""
        self.epoch = 0
        """The revision at which the key came to be; 0 while it is not registered."""
        self.sure_until = NEVER
        """On `now`: until then nobody can believe that this process is gone."""
        self.fault = "not tried yet"
        """Why it is not registered, or not sure; empty when all is well."""
        self._lease = 0
        self._lease_seconds = ttl_seconds
        self._written = b""
        self._was_registered = False
        self._announced = asyncio.Event()

    def __repr__(self) -> str:
        """Tell the state in words."""
        if not self.epoch:
            return f"<Registration of {self._key}: none ({self.fault})>"
        sure = self.sure_until - self._now()
        return f"<Registration of {self._key}: epoch {self.epoch}, sure for {sure:.1f} s>"

    def announce(self) -> None:
        """Write the value anew soon, because it has changed."""
        self._announced.set()

    async def run(self) -> None:
        """Be registered until cancelled; then end the lease, so that everybody knows at once.

        Raises EtcdDenied only before the first registration; later it waits until somebody has put
        that right.
        """
        try:
            while True:
                pause = await self.look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._announced.wait()
                self._announced.clear()
        finally:
            await self._leave()

    async def look(self) -> float:
        """Do what is due, and return in how many seconds something is due again."""
        try:
            if self.epoch:
                await self._keep()
            if not self.epoch:
                await self._register()
        except EtcdDenied as denied:
            if not self._was_registered:
                raise
            self.fault = str(denied)
        except EtcdError as fault:
            self.fault = str(fault)
        if self.fault:
            return self._lease_seconds / TRIES_PER_LEASE
        return self._lease_seconds / KEEPALIVES_PER_LEASE

    async def _keep(self) -> None:
        """Keep the lease alive, see that the key is there, and write what has changed."""
        sent = self._now()
        seconds = await self._kept_alive()
        if not seconds:
            self._lose("the lease has expired")
            return
        value = self._value()
        if value != self._written:
            ours = [created(self._key) == self.epoch, lease_is(self._key) == self._lease]
            put = [Put(self._key, value, self._lease)]
            is_ours = (await self._client.commit(ours, put, seconds=self._seconds)).succeeded
            self._written = value
        else:
            pair = await self._client.get(self._key, seconds=self._seconds)
            is_ours = pair is not None and pair.create_revision == self.epoch
        if is_ours:
            self.sure_until = sent + seconds
            self.fault = ""
        else:
            self._lose("somebody has taken the key away")

    async def _register(self) -> None:
        sent = self._now()
        if self._lease and not await self._kept_alive():
            self._lease = 0
        if not self._lease:
            sent = self._now()
            granted = await self._client.grant(self._ttl_seconds)
            self._lease, self._lease_seconds = granted.lease, granted.seconds
        found = await self._client.get(self._key)
        if found is not None and found.lease == self._lease:
            self._begin(found.create_revision, found.value, sent)  # the last attempt had got there
            return
        if found is not None and not await self._makes_way(found):
            self.fault = f"somebody else is registered as {self._key}"
            return
        value = self._value()
        put = [Put(self._key, value, self._lease)]
        done = await self._client.commit([created(self._key) == 0], put)
        if done.succeeded:
            self._begin(done.revision, value, sent)
        else:
            self.fault = f"somebody else has just registered as {self._key}"

    async def _makes_way(self, found: KeyValue) -> bool:
        """Remove what an earlier life of this process has left, if this is the start of another."""
        if self._was_registered or not await self.is_gone(found.value):
            return False
        unchanged = [created(self._key) == found.create_revision]
        await self._client.commit(unchanged, [Delete(self._key)])
        return True

    def _begin(self, epoch: int, value: bytes, sent: float) -> None:
        self.epoch = epoch
        self.sure_until = sent + self._lease_seconds
        self.fault = ""
        self._written = value
        self._was_registered = True
        self.on_change()

    def _lose(self, fault: str) -> None:
        self.epoch = 0
        self.sure_until = NEVER
        self.fault = fault
        self.on_change()

    async def _kept_alive(self) -> int:
        return await self._client.keep_alive(self._lease, seconds=self._seconds)

    @property
    def _seconds(self) -> float:
        """Return how long an answer is worth waiting for: another attempt has to fit in."""
        share = self._lease_seconds / KEEPALIVES_PER_LEASE
        return min(self._client.attempt_seconds, share)

    async def _leave(self) -> None:
        """End the lease; if nobody answers it ends by itself."""
        lease, self._lease = self._lease, 0
        if self.epoch:
            self._lose("it has left")
        if lease:
            with suppress(EtcdError, TimeoutError):
                async with asyncio.timeout(self._client.attempt_seconds):
                    await self._client.revoke(lease)
