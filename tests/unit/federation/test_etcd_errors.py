"""What a fault of a call means, and whether something may have been written."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata

from federation.etcd.errors import (
    EtcdCompacted,
    EtcdDenied,
    EtcdError,
    EtcdFull,
    EtcdNoLease,
    EtcdRefused,
    EtcdUnavailable,
    EtcdUncertain,
    TokenRejected,
    heard,
)


def fault(code: StatusCode, details: str = "") -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), details)


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        (StatusCode.PERMISSION_DENIED, "etcdserver: permission denied", EtcdDenied),
        (
            StatusCode.INVALID_ARGUMENT,
            "etcdserver: authentication failed, invalid user ID or password",
            EtcdDenied,
        ),
        (StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token", TokenRejected),
        (StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty", TokenRejected),
        (
            StatusCode.INVALID_ARGUMENT,
            "etcdserver: revision of auth store is old",
            TokenRejected,
        ),
        (StatusCode.NOT_FOUND, "etcdserver: requested lease not found", EtcdNoLease),
        (
            StatusCode.OUT_OF_RANGE,
            "etcdserver: mvcc: required revision has been compacted",
            EtcdCompacted,
        ),
        (
            StatusCode.RESOURCE_EXHAUSTED,
            "etcdserver: mvcc: database space exceeded",
            EtcdFull,
        ),
        (StatusCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests", EtcdUnavailable),
        (StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max", EtcdRefused),
        (
            StatusCode.INVALID_ARGUMENT,
            "etcdserver: duplicate key given in txn request",
            EtcdRefused,
        ),
        (
            StatusCode.FAILED_PRECONDITION,
            "etcdserver: authentication is not enabled",
            EtcdRefused,
        ),
        (StatusCode.UNIMPLEMENTED, "unknown service", EtcdRefused),
    ],
)
def test_what_etcd_says_means_the_same_for_reads_and_writes(
    code: StatusCode, details: str, kind: type[EtcdError]
) -> None:
    for writes in (True, False):
        error = heard(fault(code, details), "one:2379", writes=writes)
        assert type(error) is kind
        assert (error.code, error.details, error.endpoint) == (code.name, details, "one:2379")
        assert "one:2379" in str(error)


@pytest.mark.parametrize(
    "what",
    [
        fault(StatusCode.UNAVAILABLE, "Socket closed"),
        fault(StatusCode.UNAVAILABLE, "etcdserver: request timed out"),
        fault(StatusCode.UNAVAILABLE, "etcdserver: leader changed"),
        fault(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        fault(StatusCode.INTERNAL, "Internal error from Core"),
        fault(StatusCode.CANCELLED),
        fault(StatusCode.UNKNOWN, "Stream removed"),
        asyncio.InvalidStateError("RPC already finished."),
        asyncio.CancelledError(),
        TimeoutError(),
    ],
)
def test_whatever_ends_a_call_without_an_answer_leaves_a_write_uncertain(
    what: BaseException,
) -> None:
    """A stream ends in more ways than by its status; each of these has killed a task silently."""
    assert type(heard(what, "", writes=True)) is EtcdUncertain
    read = heard(what, "", writes=False)
    assert type(read) is EtcdUnavailable


@pytest.mark.parametrize(
    "details",
    [
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: refused",
        "etcdserver: no leader",
    ],
)
def test_a_write_that_was_turned_away_was_not_done(details: str) -> None:
    error = heard(fault(StatusCode.UNAVAILABLE, details), "", writes=True)
    assert type(error) is EtcdUnavailable
