"""Many transactions in one: what shares a request, and what each of them hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from grpc import StatusCode

from federation.etcd import (
    OPERATIONS_MAX,
    Committed,
    Compare,
    Delete,
    EtcdClient,
    EtcdRefused,
    EtcdUnavailable,
    EtcdUncertain,
    GroupCommit,
    Operation,
    Prefix,
    Put,
    Transaction,
    created,
)
from federation.etcd import group_commit as module
from federation.etcd.calls import TXN
from federation.etcd.v1.key_value_pb2 import ResponseHeader, ResponseOp, TxnRequest, TxnResponse
from tests.support.scripted_etcd import SILENCE, ScriptedEtcd

TIMED_OUT = StatusCode.UNAVAILABLE, "etcdserver: request timed out"
REFUSED = StatusCode.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"


def all_succeed(request: TxnRequest) -> TxnResponse:
    inside = [ResponseOp(response_txn=TxnResponse(succeeded=True)) for _ in request.success]
    return TxnResponse(header=ResponseHeader(revision=5), succeeded=True, responses=inside)


@pytest.fixture
def etcd() -> ScriptedEtcd:
    etcd = ScriptedEtcd()
    etcd.answers(TXN, all_succeed)
    return etcd


@asynccontextmanager
async def grouping(etcd: ScriptedEtcd) -> AsyncIterator[GroupCommit]:
    async with EtcdClient([etcd.endpoint]) as client, asyncio.TaskGroup() as tasks:
        group = GroupCommit(client, in_flight_max=1)
        running = tasks.create_task(group.run())
        yield group
        running.cancel()


async def put(group: GroupCommit, key: str, *compares: Compare) -> Committed:
    return await group.commit(compares, [Put(key, b"")])


def keys_of(etcd: ScriptedEtcd) -> list[str]:
    """Return the keys of each request."""
    return [
        " ".join(
            operation.request_txn.success[0].request_put.key.decode()
            for operation in request.success
        )
        for request in etcd.heard[TXN.path]
    ]


async def test_what_is_asked_for_together_is_sent_together(etcd: ScriptedEtcd) -> None:
    async with grouping(etcd) as group:
        outcomes = await asyncio.gather(*(put(group, key) for key in "abc"))
        assert outcomes == [Committed(True, 5, ())] * 3
        assert group.requests == 1
    assert keys_of(etcd) == ["a b c"]


async def test_what_writes_the_same_key_goes_one_after_the_other(etcd: ScriptedEtcd) -> None:
    """etcd would refuse everything around them; nor may the third overtake the second."""
    async with grouping(etcd) as group:
        await asyncio.gather(*(put(group, key) for key in "abaca"))
    assert keys_of(etcd) == ["a b c", "a", "a"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([created("b") == 0], []),
        ([], [created("a") == 0]),
        ([created("b") == 0], [created("a") == 0]),
        ([created(Prefix("b")) == 0], []),
        ([], [created(Prefix("a")) == 0]),
    ],
)
async def test_what_compares_a_key_that_another_writes_waits_for_it(
    etcd: ScriptedEtcd, first: list[Compare], second: list[Compare]
) -> None:
    """etcd judges every compare of a request before it writes any of it."""
    async with grouping(etcd) as group:
        await asyncio.gather(put(group, "a", *first), put(group, "b", *second))
    assert keys_of(etcd) == ["a", "b"]


async def test_what_compares_the_same_keys_and_writes_others_goes_together(
    etcd: ScriptedEtcd,
) -> None:
    fence = [created("me") == 7, created(Prefix("gateways/")) <= 9]
    async with grouping(etcd) as group:
        await asyncio.gather(*(put(group, key, *fence, created(key) == 0) for key in "abc"))
    assert keys_of(etcd) == ["a b c"]


async def test_a_request_holds_what_etcd_takes(
    etcd: ScriptedEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widest inside counts with the number of them."""
    async with grouping(etcd) as group:
        await asyncio.gather(*(put(group, f"{number}", created("x") == 0) for number in range(130)))
        await asyncio.gather(
            *(
                group.commit([], [Put(f"{number}.{n}", b"") for n in range(28)])
                for number in range(101)
            )
        )
        monkeypatch.setattr(module, "BATCH_BYTES_MAX", 5)
        await asyncio.gather(*(put(group, key) for key in ("aa", "bb", "cc", "too long")))
    sizes = [len(request.success) for request in etcd.heard[TXN.path]]
    assert sizes == [127, 3, 100, 1, 2, 1, 1]


async def test_one_that_etcd_refuses_does_not_spoil_the_others(etcd: ScriptedEtcd) -> None:
    def one_is_bad(request: TxnRequest) -> object:
        bad = any(one.request_txn.success[0].request_put.key == b"b" for one in request.success)
        return REFUSED if bad else all_succeed(request)

    etcd.answers(TXN, one_is_bad)
    async with grouping(etcd) as group:
        outcomes = await asyncio.gather(*(put(group, k) for k in "abc"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Committed, EtcdRefused, Committed]


async def test_when_nobody_knows_what_was_done_everybody_hears_it(etcd: ScriptedEtcd) -> None:
    etcd.answers(TXN, TIMED_OUT, all_succeed)
    async with grouping(etcd) as group:
        outcomes = await asyncio.gather(*(put(group, k) for k in "ab"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [EtcdUncertain, EtcdUncertain]
        assert (await put(group, "a")).succeeded, "it goes on"


async def test_who_gives_up_before_it_was_sent_is_not_sent(etcd: ScriptedEtcd) -> None:
    async with grouping(etcd) as group, asyncio.TaskGroup() as tasks:
        hasty = tasks.create_task(put(group, "hasty"))
        patient = tasks.create_task(put(group, "patient"))
        hasty.cancel()
        await patient
    assert keys_of(etcd) in (["patient"], ["hasty patient"])
    assert hasty.cancelled()


async def test_who_waits_when_it_ends_is_cancelled(etcd: ScriptedEtcd) -> None:
    etcd.answers(TXN, SILENCE)
    async with EtcdClient([etcd.endpoint]) as client, asyncio.TaskGroup() as tasks:
        group = GroupCommit(client, in_flight_max=1)
        running = tasks.create_task(group.run())
        sent = tasks.create_task(put(group, "sent"))
        await etcd.asked(TXN)
        waiting = tasks.create_task(put(group, "waiting"))
        await asyncio.sleep(0)  # its turn
        assert len(group) == 1
        running.cancel()
        await asyncio.wait([sent, waiting])
        assert sent.cancelled() and waiting.cancelled()


async def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch, etcd: ScriptedEtcd) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 0)
    async with EtcdClient([etcd.endpoint]) as client:
        with pytest.raises(EtcdUnavailable, match="wait already"):
            await put(GroupCommit(client), "a")


@pytest.mark.parametrize(
    "operations",
    [
        [Delete(Prefix("a"))],
        [Transaction([], [])],
        [Put(f"{number}", b"") for number in range(OPERATIONS_MAX)],
    ],
)
async def test_what_cannot_share_is_our_mistake(
    etcd: ScriptedEtcd, operations: list[Operation]
) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        with pytest.raises(ValueError, match="group"):
            await GroupCommit(client).commit([], operations)
