"""What can go wrong with etcd, and what follows from it.

    EtcdError
    ├── EtcdUnavailable   nobody answered; nothing was written
    ├── EtcdUncertain     nobody answered in time; it may have been written, or may still be
    ├── EtcdDenied        the user, the password or the rights are not good
    ├── EtcdNoLease       there is no such lease (any more)
    ├── EtcdCompacted     the revision is forgotten
    ├── EtcdFull          the database is at its bound: nothing can be put, no lease granted
    └── EtcdRefused       etcd does not understand what we ask for; our mistake

grpc's errors become these in one place, `heard`.
"""

from __future__ import annotations

import asyncio

import grpc

NEVER_SENT = ("failed to connect to all addresses", "etcdserver: no leader")
"""How grpc and etcd begin when a request was turned away before anything was done."""


class EtcdError(Exception):
    """Something went wrong with etcd."""

    def __init__(self, code: str, details: str, endpoint: str = "") -> None:
        """Keep grpc's code, what was said with it, and by whom."""
        self.code = code
        self.details = details
        self.endpoint = endpoint
        super().__init__(f"{code}: {details}" + (f" (from {endpoint})" if endpoint else ""))


class EtcdUnavailable(EtcdError):
    """Nobody answered, and nothing was written."""


class EtcdUncertain(EtcdError):
    """Nobody answered in time: it may have been written, or may be in a moment."""


class EtcdDenied(EtcdError):
    """The user, the password or the rights are not good."""


class EtcdNoLease(EtcdError):
    """There is no such lease, or not any more."""


class EtcdCompacted(EtcdError):
    """The revision that was asked for is forgotten, or has never been."""


class EtcdFull(EtcdError):
    """The database is at its bound; only reads, deletions and keepalives still work.

    Somebody has to delete, compact, defragment and disarm the alarm.
    """


class EtcdRefused(EtcdError):
    """The server does not do such a thing; asking again will not help."""


class TokenRejected(EtcdError):
    """The token is not good (any more); a new one may be. Nobody outside this package sees it."""


def heard(fault: BaseException, endpoint: str, *, writes: bool) -> EtcdError:
    """Return what a fault of a call means; of a call that writes it may mean that it has.

    A stream can end in more ways than its status: a write on one that has ended raises
    InvalidStateError, one that ends during a write says INTERNAL, and grpc may cancel the call.
    """
    if not isinstance(fault, grpc.RpcError):
        assert isinstance(fault, asyncio.InvalidStateError | asyncio.CancelledError | TimeoutError)
        details = str(fault) or type(fault).__name__
        return (EtcdUncertain if writes else EtcdUnavailable)("BROKEN", details, endpoint)
    assert isinstance(fault, grpc.aio.AioRpcError), "every call is one of grpc.aio"
    code, details = fault.code(), fault.details() or ""
    kind = _kind(code, details)
    if kind is EtcdUncertain and (not writes or details.startswith(NEVER_SENT)):
        kind = EtcdUnavailable
    return kind(code.name, details, endpoint)


def _kind(code: grpc.StatusCode, details: str) -> type[EtcdError]:
    match code:
        case grpc.StatusCode.UNAUTHENTICATED:
            return TokenRejected
        case grpc.StatusCode.PERMISSION_DENIED:
            return EtcdDenied
        case grpc.StatusCode.INVALID_ARGUMENT if "authentication failed" in details:
            return EtcdDenied
        case grpc.StatusCode.INVALID_ARGUMENT if (
            "user name is empty" in details or "auth store is old" in details
        ):
            return TokenRejected
        case grpc.StatusCode.NOT_FOUND if "lease not found" in details:
            return EtcdNoLease
        case grpc.StatusCode.OUT_OF_RANGE:
            return EtcdCompacted
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "space exceeded" in details:
            return EtcdFull
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "too many requests" in details:
            return EtcdUnavailable
        case (
            grpc.StatusCode.INVALID_ARGUMENT
            | grpc.StatusCode.FAILED_PRECONDITION
            | grpc.StatusCode.NOT_FOUND
            | grpc.StatusCode.ALREADY_EXISTS
            | grpc.StatusCode.RESOURCE_EXHAUSTED
            | grpc.StatusCode.UNIMPLEMENTED
        ):
            return EtcdRefused
        case _:
            return EtcdUncertain
