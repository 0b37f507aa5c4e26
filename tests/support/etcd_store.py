"""etcd's store without etcd: keys, revisions, leases and transactions, on a clock of the test.

What it says is what etcd says; transactions are those that `federation` makes for the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from federation.etcd.history import Change
from federation.etcd.transactions import (
    Committed,
    Compare,
    Delete,
    Found,
    Get,
    KeyValue,
    Operation,
    Prefix,
    Put,
    Response,
    Transaction,
    WasDeleted,
    WasPut,
)
from federation.etcd.v1 import key_value_pb2 as wire

_ORDERS: list[Callable[[int], bool]] = [
    lambda order: order == 0,
    lambda order: order > 0,
    lambda order: order < 0,
    lambda order: order != 0,
]
_VALUE = 3
_NOTHING = KeyValue("", b"", 0, 0, 0, 0)


@dataclass(slots=True)
class _Lease:
    seconds: float
    ends_at: float
    keys: set[str] = field(default_factory=set)


class EtcdStore:
    """What a cluster of etcd agrees on."""

    def __init__(self) -> None:
        """Begin empty, at revision 1 as etcd does."""
        self.revision = 1
        self.pairs: dict[str, KeyValue] = {}
        self.log: list[Change] = []
        """Every change there ever was, in order."""
        self._leases: dict[int, _Lease] = {}
        self._granted = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<EtcdStore: {len(self.pairs)} keys at {self.revision}>"

    # Leases.

    def grant(self, seconds: float, now: float) -> int:
        """Return a new lease."""
        self._granted += 1
        self._leases[self._granted] = _Lease(seconds, now + seconds)
        return self._granted

    def keep_alive(self, lease: int, now: float) -> float:
        """Let a lease begin anew and return how long it lasts; 0 when there is none."""
        held = self._leases.get(lease)
        if held is None:
            return 0
        held.ends_at = now + held.seconds
        return held.seconds

    def revoke(self, lease: int) -> None:
        """End a lease and its keys, in one revision."""
        held = self._leases.pop(lease, None)
        if held is not None and held.keys:
            self.revision += 1
            for key in sorted(held.keys):
                self._remove(key)

    def expire(self, now: float) -> None:
        """End every lease whose time is over."""
        for lease in [one for one, held in self._leases.items() if held.ends_at <= now]:
            self.revoke(lease)

    def restart(self, now: float) -> None:
        """Begin every lease anew, as etcd does when it starts or its leader changes."""
        for held in self._leases.values():
            held.ends_at = now + held.seconds

    # Keys.

    def under(self, prefix: str) -> tuple[KeyValue, ...]:
        """Return what is under a prefix, ascending."""
        return tuple(pair for key, pair in sorted(self.pairs.items()) if key.startswith(prefix))

    def changes(self, prefix: str, after: int) -> tuple[Change, ...]:
        """Return what has changed under a prefix since a revision."""
        found: list[Change] = []
        for change in reversed(self.log):
            if change.revision <= after:
                break
            if change.key.startswith(prefix):
                found.append(change)
        return tuple(reversed(found))

    def commit(self, transaction: Transaction) -> Committed:
        """Do what a transaction says; raises KeyError for a lease that is none."""
        before, changes = self.revision, len(self.log)
        self.revision += 1
        done = self._commit(transaction)
        if len(self.log) == changes:
            self.revision = before
        return Committed(done.succeeded, self.revision, done.responses)

    def _commit(self, transaction: Transaction) -> Committed:
        holds = all(self._holds(compare) for compare in transaction.compares)
        chosen = transaction.then if holds else transaction.otherwise
        return Committed(holds, self.revision, self._done(chosen))

    def _done(self, operations: Sequence[Operation]) -> tuple[Response, ...]:
        return tuple(self._do(operation) for operation in operations)

    def _do(self, operation: Operation) -> Response:
        match operation:
            case Put(key, value, lease):
                self._put(key, value, lease)
                return WasPut()
            case Delete(key):
                keys = self._keys(key)
                for one in keys:
                    self._remove(one)
                return WasDeleted(len(keys))
            case Get(key):
                return Found(tuple(self.pairs[one] for one in self._keys(key)))
            case Transaction():
                return self._commit(operation)

    def _put(self, key: str, value: bytes, lease: int) -> None:
        there = self.pairs.get(key)
        if lease:
            self._leases[lease].keys.add(key)
        if there is not None and there.lease and there.lease != lease:
            self._leases[there.lease].keys.discard(key)
        born = self.revision if there is None else there.create_revision
        version = 1 if there is None else there.version + 1
        pair = KeyValue(key, value, born, self.revision, version, lease)
        self.pairs[key] = pair
        self.log.append(Change(key, pair, self.revision))

    def _remove(self, key: str) -> None:
        there = self.pairs.pop(key)
        if there.lease in self._leases:
            self._leases[there.lease].keys.discard(key)
        self.log.append(Change(key, None, self.revision))

    def _keys(self, key: str | Prefix) -> list[str]:
        if isinstance(key, str):
            return [key] if key in self.pairs else []
        return sorted(one for one in self.pairs if one.startswith(key.start))

    def _holds(self, compare: Compare) -> bool:
        message = compare.message
        key = message.key.decode()
        if message.range_end:
            prefix = key  # all ranges here are prefixes
            return all(
                _is(pair, message) for one, pair in self.pairs.items() if one.startswith(prefix)
            )
        there = self.pairs.get(key)
        if there is None and message.target == _VALUE:
            return False
        return _is(there or _NOTHING, message)


def _is(pair: KeyValue, message: wire.Compare) -> bool:
    here: int | bytes
    there: int | bytes
    match message.target:
        case 1:
            here, there = pair.create_revision, message.create_revision
        case 2:
            here, there = pair.mod_revision, message.mod_revision
        case 3:
            here, there = pair.value, message.value
        case 4:
            here, there = pair.lease, message.lease
        case _:
            here, there = pair.version, message.version
    order = (here > there) - (here < there)  # type: ignore[operator]  # both are of one kind
    return _ORDERS[message.result](order)
