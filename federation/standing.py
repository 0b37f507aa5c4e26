"""What one gateway may do, by all that it was told: who there is, what it may decide and take over.

Everything of discovery that is not talking to etcd: `discovery` brings what etcd says and carries
out what follows. `fencing` and `succession` say why it is safe.

    etcd ─▸ membership   who there is
         ─▸ succession   who may take over what the lost ones owned
    heartbeats ─▸ fence  may this gateway decide now
              ◂─ word    what it tells the others that it will not do

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from federation.etcd.history import Change
from federation.etcd.transactions import KeyValue, Transaction
from federation.fencing import NEVER, Fence, Saying, Word
from federation.membership import MemberInfo, Membership, read
from federation.succession import Succession, Wait

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
        number: int,
        lease_seconds: float,
        heartbeat_seconds: float,
        life_seconds: float,
    ) -> None:
        """Know nothing yet; `number` tells this process from others of the same gateway."""
        self.membership = Membership(gateway_id)
        self.succession = Succession(cluster, gateway_id, number)
        self.word = Word(heartbeat_seconds)
        self.fence = Fence(heartbeat_seconds)
        self.epoch = 0
        """Of the registration, 0 while there is none."""
        self.sure_until = NEVER
        """When the lease may have expired, if all clocks had one pace."""
        self.life_until = NEVER
        """The same of the life's lease."""
        self._lease_seconds = lease_seconds
        self._lease_doubt = DOUBT_SHARE * lease_seconds
        self._life_doubt = DOUBT_SHARE * life_seconds
        self.own_id = gateway_id

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Standing of {self.own_id}: {self.fence!r}, {self.succession!r}>"

    # What etcd says.

    def begin_anew(self, pairs: Iterable[KeyValue], revision: int) -> bool:
        """Know that these are all; tells whether the members have changed."""
        pairs = list(pairs)
        self.succession.replace(pairs, revision)
        infos = (self._read(pair) for pair in pairs if "/" not in self._below(pair.key))
        return self.membership.replace(info for info in infos if info is not None)

    def hear(self, changes: Iterable[Change], revision: int) -> bool:
        """Know what has changed; tells whether the members have."""
        has_changed = False
        for change in changes:
            if not self.succession.change(change.key, change.pair):
                has_changed |= self._change_member(change.key, change.pair)
        self.succession.advance(revision)
        return has_changed

    def _change_member(self, key: str, pair: KeyValue | None) -> bool:
        if pair is None:
            return self.membership.remove(self._below(key))
        info = self._read(pair)
        return info is not None and self.membership.put(info)

    def _read(self, pair: KeyValue) -> MemberInfo | None:
        """Return a gateway; None for what cannot be read, which the fence reckons with too."""
        info = read(pair.value, pair.create_revision)
        return info if info is not None and info.gateway_id == self._below(pair.key) else None

    def _below(self, key: str) -> str:
        return key.removeprefix(self.succession.prefix)

    # What this gateway may do.

    def may_decide(self, now: float, said: Callable[[str], Saying]) -> bool:
        """Tell whether what this gateway owns may be decided by it now.

        To be asked in every heartbeat, and when members come or go. What it owned in an earlier
        epoch it owns no more, until it has claimed that.
        """
        is_told = self.succession.is_told(self.epoch)
        members = {gateway_id: said(gateway_id) for gateway_id in self.succession.others}
        return self.fence.may_decide(
            now,
            self.epoch,
            self.certain_until,
            self.life_until - self._life_doubt if is_told else NEVER,
            members,
        )

    def renews_life(self) -> bool:
        """Bring the own life up to date; tells whether etcd has yet to hear of it."""
        return self.succession.renew(self.epoch)

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

    def claim(self, now: float, negotiation_id: str) -> Transaction | Wait:
        """Return what takes a negotiation over."""
        if not self.is_sure(now):
            return Wait("this gateway is not registered for certain")
        return self.succession.claim(negotiation_id, self.epoch)

    def counts_from(self, now: float) -> float:
        """Return when a claim that was made counts: it must not count before all promises end."""
        return max(now, self.word.binds_until)

    def burials(self, now: float) -> list[Transaction]:
        """Return what ends the lives of those that have stopped for certain."""
        due = self.succession.burials(now, self.epoch, self._lease_seconds)
        return due if self.is_sure(now) and not self.word.binds(now) else []
