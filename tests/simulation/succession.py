"""Who may take over what a lost gateway owned: those whom it knew, and the others when it is over.

Nobody does so in the product, where one key in etcd decides whose award of a call stands. The
simulation has heirs that do, as soon as they may: if two of them never own one thing at once, the
fence and the promises of `federation.fencing` hold whatever somebody may take over some day.

A gateway has two keys in etcd. Its registration goes seconds after it was heard last. Its *life*,
below it, lasts minutes longer: as long as the gateway may go on deciding blind. In its life it
says up to which revision it has seen who joined. Who was registered by then is known to it, and
holds it back as `fencing` says; who came later is a *stranger* to it.

- A stranger takes over nothing while a life is there whose registration is gone.
- While the registration is there, what its gateway has claimed is there too and speaks for itself;
  that it still is there is a condition of the stranger's claim.
- One whom the lost gateway knew *buries* the life, when it has been lost for as long as a lease
  lasts and no promise is kept any more: from then on the lost one has stopped, and strangers need
  not wait.

    <cluster>/gateways/<id>             the registration, a MemberInfo
    <cluster>/gateways/<id>/<number>    the life of one process
    <cluster>/claims/<negotiation>      who has taken it over; ends with its registration

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from federation.etcd.transactions import (
    Compare,
    Delete,
    Get,
    KeyValue,
    Prefix,
    Put,
    Transaction,
    created,
    modified,
    value_is,
)
from federation.membership import PREFIX

CLAIMS = "claims/"


class Life(msgspec.Struct, frozen=True):
    """What one process of a gateway says for as long as it may decide."""

    gateway_id: str
    epoch: int
    """Of the registration that it belongs to; 0 before there is one."""
    seen: int
    """Who was registered at this revision is known to it, as long as that registration lasts."""


class Holder(msgspec.Struct, frozen=True):
    """Who has taken over a negotiation."""

    gateway_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be taken over yet."""

    reason: str


@dataclass(slots=True)
class _Known:
    """A life that stands in etcd."""

    life: Life
    written_at: int
    """The revision."""
    lost_at: float | None = None
    """When it was first seen to have no registration."""


_encode = msgspec.json.Encoder().encode
_life = msgspec.json.Decoder(Life).decode
_holder = msgspec.json.Decoder(Holder).decode
_UNREADABLE = msgspec.DecodeError, UnicodeDecodeError


def written(record: Life | Holder) -> bytes:
    """Return what stands in etcd."""
    return _encode(record)


def read_holder(value: bytes) -> Holder | None:
    """Return who holds a claim; None when it cannot be read."""
    try:
        return _holder(value)
    except _UNREADABLE:
        return None


class Succession:
    """Registrations and lives as they stand in etcd, and what follows for one gateway."""

    def __init__(self, cluster: str, gateway_id: str, number: int) -> None:
        """Serve the process of `gateway_id` that bears this number; no other one ever does."""
        self.prefix = f"{cluster}/{PREFIX}"
        self.own_key = f"{self.prefix}{gateway_id}"
        self.own_life_key = f"{self.own_key}/{number}"
        self._claims = f"{cluster}/{CLAIMS}"
        self._gateway_id = gateway_id
        self._registered: dict[str, int] = {}
        self._own: KeyValue | None = None
        self._lives: dict[str, _Known] = {}
        self.own_life = Life(gateway_id, 0, 0)
        """What the own life shall say."""
        self.revision = 0
        """As of which revision everything here is."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Succession of {self.own_life_key}: {len(self._registered)} others, "
            f"{len(self._lives)} lives at {self.revision}>"
        )

    @property
    def others(self) -> Mapping[str, int]:
        """Return the epochs of the other gateways that are registered, whatever they say."""
        return self._registered

    # What stands in etcd.

    def replace(self, pairs: Iterable[KeyValue], revision: int) -> None:
        """Know that these are all."""
        self._registered.clear()
        self._lives.clear()
        self._own = None
        for pair in pairs:
            self.change(pair.key, pair)
        self.revision = revision

    def change(self, key: str, pair: KeyValue | None) -> bool:
        """Know a key that was written, or deleted; tells whether it is a life's."""
        gateway_id, slash, _ = key.removeprefix(self.prefix).partition("/")
        if slash:
            self._change_life(key, gateway_id, pair)
        elif gateway_id == self._gateway_id:
            self._own = pair
        elif pair is not None:
            self._registered[gateway_id] = pair.create_revision
        else:
            self._registered.pop(gateway_id, None)
        return bool(slash)

    def advance(self, revision: int) -> None:
        """Know that all changes up to a revision were told."""
        self.revision = revision

    def _change_life(self, key: str, gateway_id: str, pair: KeyValue | None) -> None:
        if pair is None:
            self._lives.pop(key, None)
            return
        try:
            life = _life(pair.value)
        except _UNREADABLE:
            life = Life(gateway_id, 0, 0)  # it knows nobody
        self._lives[key] = _Known(life, pair.mod_revision)

    # What the own life says.

    def renew(self, epoch: int) -> bool:
        """Bring `own_life` up to date; tells whether etcd has yet to hear of it."""
        told = self.own_life
        if epoch and (told.epoch != epoch or max(self._registered.values(), default=0) > told.seen):
            self.own_life = Life(self._gateway_id, epoch, self.revision)
        known = self._lives.get(self.own_life_key)
        return known is None or known.life != self.own_life

    def is_told(self, epoch: int) -> bool:
        """Tell whether the own life stands in etcd with this epoch: others reckon with it then."""
        known = self._lives.get(self.own_life_key)
        return bool(epoch) and known is not None and known.life.epoch == epoch

    # What may be done.

    def claim(self, negotiation_id: str, epoch: int) -> Transaction | Wait:
        """Return what takes over a negotiation, and finds who has it otherwise.

        It takes over only if this registration still stands, if no gateway came that is not known
        here, and if those to whom this one is a stranger still are registered.
        """
        own = self._own
        if own is None or own.create_revision != epoch:
            return Wait("this gateway has not seen its own registration yet")
        compares = self.fence(epoch)
        for key, known in self._lives.items():
            life = known.life
            if key == self.own_life_key or life.seen >= epoch:
                continue
            if self._registered.get(life.gateway_id) != life.epoch:
                return Wait(f"{life.gateway_id} was lost before it knew this gateway")
            compares.append(created(self.prefix + life.gateway_id) == life.epoch)
        key = self._claims + negotiation_id
        compares.append(created(key) == 0)
        holder = Holder(self._gateway_id, epoch)
        return Transaction(compares, [Put(key, written(holder), own.lease)], [Get(key)])

    def release(self, negotiation_id: str, epoch: int) -> Transaction:
        """Return what gives up a negotiation that was taken over."""
        key = self._claims + negotiation_id
        ours = written(Holder(self._gateway_id, epoch))
        return Transaction([value_is(key) == ours], [Delete(key)])

    def fence(self, epoch: int) -> list[Compare]:
        """Return what must hold for a decision that is written to etcd."""
        return [created(self.own_key) == epoch, created(Prefix(self.prefix)) <= self.revision]

    def burials(self, now: float, epoch: int, lease_seconds: float) -> list[Transaction]:
        """Return what ends the lives of those that knew this gateway and are lost for good.

        Only a gateway that keeps no promise may do it: the lost ones may go on with its promises.
        """
        due = []
        for key, known in self._lives.items():
            life = known.life
            if key == self.own_life_key or life.epoch == self._registered.get(life.gateway_id):
                known.lost_at = None
                continue
            if known.lost_at is None:
                known.lost_at = now
            # A registration may also be gone because the next process of that gateway took its
            # place; then its lease lasts on, and with it the other one's confidence.
            if life.seen >= epoch and now - known.lost_at > lease_seconds:
                compares = [
                    created(self.own_key) == epoch,
                    created(self.prefix + life.gateway_id) != life.epoch,
                    modified(key) == known.written_at,
                ]
                due.append(Transaction(compares, [Delete(key)]))
        return due
