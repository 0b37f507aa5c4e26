"""Transactions in words of ours: what must hold, what is done then, what is done otherwise.

    await client.commit(
        [created(award) == 0, created(own_key) == epoch, created(Prefix(gateways)) <= seen],
        [Put(award, value)],
        [Get(award)],
    )

A compare on a Prefix must hold for each key under it, and holds when there is none. A Transaction
may stand where an operation stands: it takes a branch of its own, so that many can share one
entry of etcd's log without failing together.

Pure: this only builds and reads messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from federation.etcd.v1 import key_value_pb2 as wire

OPERATIONS_MAX = 128
"""What etcd takes in one transaction by default, those of the transactions inside included."""

_EQUAL, _GREATER, _LESS, _NOT_EQUAL = range(4)
_VERSION, _CREATE, _MOD, _VALUE, _LEASE = range(5)


@dataclass(frozen=True, slots=True)
class Prefix:
    """All keys that begin so."""

    start: str


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key with what it holds."""

    key: str
    value: bytes
    create_revision: int
    """When it came to be."""
    mod_revision: int
    """When it was written last."""
    version: int
    """How often it was written since it came to be, from 1."""
    lease: int
    """The lease that it ends with, 0 for none."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key, or all under a prefix."""

    key: str | Prefix


@dataclass(frozen=True, slots=True)
class Get:
    """Read a key, or all under a prefix."""

    key: str | Prefix


@dataclass(frozen=True, slots=True)
class Compare:
    """Something that must hold; `created`, `modified` and their like make them."""

    message: wire.Compare


@dataclass(frozen=True, slots=True)
class Transaction:
    """All of `then` if every compare holds, all of `otherwise` if not."""

    compares: Sequence[Compare]
    then: Sequence[Operation]
    otherwise: Sequence[Operation] = ()


Operation: TypeAlias = "Put | Delete | Get | Transaction"


@dataclass(frozen=True, slots=True)
class WasPut:
    """A key was written."""


@dataclass(frozen=True, slots=True)
class WasDeleted:
    """Keys were deleted."""

    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """The keys that are there, ascending."""

    pairs: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a transaction."""

    succeeded: bool
    """Did the compares hold?"""
    revision: int
    """The revision of the store then: of what was written, if something was."""
    responses: tuple[Response, ...]
    """One for each operation of the branch that was taken."""


Response: TypeAlias = "WasPut | WasDeleted | Found | Committed"


class Side:
    """One side of a compare, which `==`, `!=`, `<`, `>`, `<=` and `>=` make whole."""

    __slots__ = ("_fill", "_key", "_target")
    __hash__ = None  # type: ignore[assignment]  # == does not tell whether two are the same

    def __init__(
        self, key: str | Prefix, target: int, fill: Callable[[wire.Compare, object], None]
    ) -> None:
        """Compare `target` of the key; `fill` writes the other side."""
        self._key = key
        self._target = target
        self._fill = fill

    def __eq__(self, other: object) -> Compare:  # type: ignore[override]  # a compare, not its result
        """Equal."""
        return self._against(_EQUAL, other)

    def __ne__(self, other: object) -> Compare:  # type: ignore[override]  # a compare, not its result
        """Not equal."""
        return self._against(_NOT_EQUAL, other)

    def __lt__(self, other: int) -> Compare:
        """Less."""
        return self._against(_LESS, other)

    def __gt__(self, other: int) -> Compare:
        """Greater."""
        return self._against(_GREATER, other)

    def __le__(self, other: int) -> Compare:
        """At most; etcd knows only "less"."""
        return self._against(_LESS, other + 1)

    def __ge__(self, other: int) -> Compare:
        """At least; etcd knows only "greater"."""
        return self._against(_GREATER, other - 1)

    def _against(self, result: int, other: object) -> Compare:
        key, end = bounds(self._key)
        message = wire.Compare(result=result, target=self._target, key=key, range_end=end)
        self._fill(message, other)
        return Compare(message)


def created(key: str | Prefix) -> Side:
    """Compare when it came to be; 0 for a key that is not there."""

    def fill(message: wire.Compare, other: object) -> None:
        assert isinstance(other, int), "a revision is a number"
        message.create_revision = other

    return Side(key, _CREATE, fill)


def modified(key: str | Prefix) -> Side:
    """Compare when it was written last; 0 for a key that is not there."""

    def fill(message: wire.Compare, other: object) -> None:
        assert isinstance(other, int), "a revision is a number"
        message.mod_revision = other

    return Side(key, _MOD, fill)


def version(key: str | Prefix) -> Side:
    """Compare how often it was written; 0 for a key that is not there."""

    def fill(message: wire.Compare, other: object) -> None:
        assert isinstance(other, int), "a version is a number"
        message.version = other

    return Side(key, _VERSION, fill)


def lease_is(key: str | Prefix) -> Side:
    """Compare the lease that it ends with; 0 for none."""

    def fill(message: wire.Compare, other: object) -> None:
        assert isinstance(other, int), "a lease is a number"
        message.lease = other

    return Side(key, _LEASE, fill)


def value_is(key: str | Prefix) -> Side:
    """Compare what it holds; never true of a key that is not there."""

    def fill(message: wire.Compare, other: object) -> None:
        assert isinstance(other, bytes), "a value is bytes"
        message.value = other

    return Side(key, _VALUE, fill)


def bounds(key: str | Prefix) -> tuple[bytes, bytes]:
    """Return the first key and the one after the last; that is empty for a single key."""
    if isinstance(key, str):
        return key.encode(errors="surrogateescape"), b""
    start = key.start.encode(errors="surrogateescape")
    head = start.rstrip(b"\xff")
    if not head:  # every key there is; the empty prefix begins at the first possible one
        return start or b"\0", b"\0"
    return start, head[:-1] + bytes([head[-1] + 1])


def pair_of(message: wire.KeyValue) -> KeyValue:
    """Read a pair; a key that is no text keeps its bytes as surrogates."""
    return KeyValue(
        message.key.decode(errors="surrogateescape"),
        message.value,
        message.create_revision,
        message.mod_revision,
        message.version,
        message.lease,
    )


def request_of(transaction: Transaction, operations_max: int = OPERATIONS_MAX) -> wire.TxnRequest:
    """Return the message; raises ValueError when it holds more than etcd would take."""
    widest = max(map(len, (transaction.compares, transaction.then, transaction.otherwise)))
    if widest > operations_max:
        raise ValueError(
            f"{widest} compares or operations in one branch, where etcd takes {operations_max} "
            f"({OPERATIONS_MAX} with those around it)"
        )
    rest = operations_max - widest
    return wire.TxnRequest(
        compare=[compare.message for compare in transaction.compares],
        success=[_operation(operation, rest) for operation in transaction.then],
        failure=[_operation(operation, rest) for operation in transaction.otherwise],
    )


def _operation(operation: Operation, operations_max: int) -> wire.RequestOp:
    match operation:
        case Put(key, value, lease):
            put = wire.PutRequest(key=bounds(key)[0], value=value, lease=lease)
            return wire.RequestOp(request_put=put)
        case Get(key):
            first, end = bounds(key)
            return wire.RequestOp(request_range=wire.RangeRequest(key=first, range_end=end))
        case Delete(key):
            first, end = bounds(key)
            delete = wire.DeleteRangeRequest(key=first, range_end=end)
            return wire.RequestOp(request_delete_range=delete)
        case Transaction():
            return wire.RequestOp(request_txn=request_of(operation, operations_max))


def committed(message: wire.TxnResponse, revision: int) -> Committed:
    """Read what became of a transaction; those inside bear no revision of their own."""
    responses = tuple(_response(response, revision) for response in message.responses)
    return Committed(message.succeeded, revision, responses)


def _response(message: wire.ResponseOp, revision: int) -> Response:
    match message.WhichOneof("response"):
        case "response_put":
            return WasPut()
        case "response_delete_range":
            return WasDeleted(message.response_delete_range.deleted)
        case "response_range":
            return Found(tuple(map(pair_of, message.response_range.kvs)))
        case _:
            return committed(message.response_txn, revision)
