"""What one gateway may do, by all that it was told: who there is, and what it may decide.

Everything of discovery that is not talking to etcd: `discovery` brings what etcd says and carries
out what follows. `fencing` says why it is safe.

    etcd ─▸ membership   who there is
    heartbeats ─▸ fence  may this gateway decide now
              ◂─ word    what it tells the others that it will not do

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from federation.etcd.history import Change
from federation.etcd.transactions import KeyValue
from federation.fencing import FOREVER, NEVER, Fence, Saying, Word
from federation.membership import PREFIX, MemberInfo, Membership, read

SIGHT_SHARE: Final = 0.45
"""For that part of a lease after the last keepalive that was answered, a gateway sees etcd. Less
than half of it, so that all have said so before the first lease is not sure any more; more than
a third, which is the time between two keepalives."""
DOUBT_SHARE: Final = 0.05
"""By that part a lease may end earlier than the own clock thinks, because clocks differ in pace."""


class Standing:
    """Where one gateway stands among the others."""

    def __init__(
        self,
        cluster: str,
        gateway_id: str,
        lease_seconds: float,
        heartbeat_seconds: float,
    ) -> None:
        """Know nothing yet."""
        self.prefix = f"{cluster}/{PREFIX}"
        self.own_key = f"{self.prefix}{gateway_id}"
        self.own_id = gateway_id
        self.membership = Membership(gateway_id)
        self.others: set[str] = set()
        """Every other one that is registered, whether or not it can be read."""
        self.word = Word(heartbeat_seconds)
        self.fence = Fence(heartbeat_seconds)
        self.epoch = 0
        """Of the registration, 0 while there is none."""
        self.sure_until = NEVER
        """When the lease may have expired, if all clocks had one pace."""
        self._lease_seconds = lease_seconds
        self._lease_doubt = DOUBT_SHARE * lease_seconds

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Standing of {self.own_id}: {self.fence!r}, {self.membership!r}>"

    # What etcd says.

    def begin_anew(self, pairs: Iterable[KeyValue], revision: int) -> bool:
        """Know that these are all; tells whether the members have changed."""
        there = {gateway_id: pair for pair in pairs if (gateway_id := self._gateway_of(pair.key))}
        self.others = there.keys() - {self.own_id}
        infos = map(self._read, there.values())
        return self.membership.replace(info for info in infos if info is not None)

    def hear(self, changes: Iterable[Change], revision: int) -> bool:
        """Know what has changed; tells whether the members have."""
        has_changed = False
        for change in changes:
            gateway_id = self._gateway_of(change.key)
            if gateway_id:
                has_changed |= self._change_member(gateway_id, change.pair)
        return has_changed

    def _change_member(self, gateway_id: str, pair: KeyValue | None) -> bool:
        if pair is None:
            self.others.discard(gateway_id)
            return self.membership.remove(gateway_id)
        if gateway_id != self.own_id:
            self.others.add(gateway_id)
        info = self._read(pair)
        return info is not None and self.membership.put(info)

    def _gateway_of(self, key: str) -> str:
        """Return whose registration a key is; empty for what older versions keep below one."""
        gateway_id = key.removeprefix(self.prefix)
        return "" if "/" in gateway_id else gateway_id

    def _read(self, pair: KeyValue) -> MemberInfo | None:
        """Return a gateway; None for what cannot be read, which the fence reckons with too."""
        info = read(pair.value, pair.create_revision)
        return info if info is not None and info.gateway_id == self._gateway_of(pair.key) else None

    # What this gateway may do.

    def may_decide(self, now: float, said: Callable[[str], Saying]) -> bool:
        """Tell whether what this gateway owns may be decided by it now.

        To be asked in every heartbeat, and when members come or go. Who is registered and cannot
        be read is reckoned with too.
        """
        members = {gateway_id: said(gateway_id) for gateway_id in self.others}
        return self.fence.may_decide(now, self.epoch, self.certain_until, FOREVER, members)

    @property
    def certain_until(self) -> float:
        """Return when the lease may have expired, whatever the pace of our clock."""
        return self.sure_until - self._lease_doubt

    def is_sure(self, now: float) -> bool:
        """Tell whether its registration stands for certain."""
        return bool(self.epoch) and now < self.certain_until

    def sees_discovery(self, now: float) -> bool:
        """Tell whether it has heard of etcd of late."""
        heard_at = self.sure_until - self._lease_seconds
        return self.is_sure(now) and now - heard_at < SIGHT_SHARE * self._lease_seconds

    def say_sight(self, now: float) -> bool:
        """Return what is said of that in a heartbeat; False is a promise, see `fencing`."""
        return self.word.say(now, self.sees_discovery(now))
