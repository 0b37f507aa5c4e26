"""A gateway that takes over what lost ones owned, by claims in etcd: create-if-absent.

A claim ends with the registration of who made it. It counts only when nothing is promised any
more (`federation.fencing`), and it is made only where it is safe (`succession`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from federation.etcd import Committed, Found, Put, Transaction
from federation.etcd.history import Change
from federation.etcd.transactions import KeyValue
from federation.fencing import NEVER, Saying
from federation.standing import DOUBT_SHARE, Standing
from tests.simulation.succession import Holder, Succession, Wait, read_holder


class Claimant(Standing):
    """Where one such gateway stands among the others."""

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
        super().__init__(cluster, gateway_id, lease_seconds, heartbeat_seconds)
        self.succession = Succession(cluster, gateway_id, number)
        self.life_until = NEVER
        """When the life's lease may have expired, if all clocks had one pace."""
        self._life_doubt = DOUBT_SHARE * life_seconds

    def begin_anew(self, pairs: Iterable[KeyValue], revision: int) -> bool:
        """Know that these are all; tells whether the members have changed."""
        pairs = list(pairs)
        self.succession.replace(pairs, revision)
        return super().begin_anew(pairs, revision)

    def hear(self, changes: Iterable[Change], revision: int) -> bool:
        """Know what has changed; tells whether the members have."""
        changes = list(changes)
        for change in changes:
            self.succession.change(change.key, change.pair)
        self.succession.advance(revision)
        return super().hear(changes, revision)

    def may_decide(self, now: float, said: Callable[[str], Saying]) -> bool:
        """Tell whether what this gateway owns may be decided by it now.

        Blind until its life may have ended: then strangers take over. What it owned in an earlier
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


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of a claim."""

    outcome: Literal["ours", "theirs", "wait"]
    """"ours": decide it, while the epoch lasts and `may_decide` allows it. "theirs": send its acts
    there, while that gateway has that epoch. "wait": nobody can tell now, ask again in a moment."""
    gateway_id: str
    """Who has it; empty for "wait"."""
    epoch: int
    """In which epoch of that gateway."""
    reason: str = ""


def judged(done: Committed, asked: Transaction, own: str, epoch: int) -> Claim:
    """Return what etcd's answer means for the gateway `own`."""
    if done.succeeded:
        return Claim("ours", own, epoch)
    (there,) = done.responses
    assert isinstance(there, Found), "that is what was asked for otherwise"
    if not there.pairs:
        return Claim("wait", "", 0, "somebody came or left who is not known here yet")
    (pair,) = there.pairs
    holder = read_holder(pair.value) or Holder("", 0)
    (put,) = asked.then
    assert isinstance(put, Put), "that is what was asked for"
    if holder.gateway_id == own and pair.lease == put.lease:
        return Claim("ours", own, epoch)  # an earlier attempt had got there
    if holder == Holder("", 0) or holder.gateway_id == own:
        return Claim("wait", "", 0, "a claim stands that is of an earlier life, or of nobody")
    return Claim("theirs", holder.gateway_id, holder.epoch)
