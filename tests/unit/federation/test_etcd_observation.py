"""Observing a prefix: what the server does, and what the observer is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from grpc import StatusCode

from federation.etcd import Changes, EtcdClient, EtcdDenied, Snapshot
from federation.etcd.calls import AUTHENTICATE, RANGE, WATCH
from federation.etcd.v1.key_value_pb2 import KeyValue, RangeResponse, ResponseHeader
from federation.etcd.v1.server_pb2 import AuthenticateResponse
from federation.etcd.v1.watch_pb2 import Event, WatchResponse
from tests.support.scripted_etcd import SILENCE, ScriptedEtcd

SHORT = 0.05
ATTEMPT_SECONDS = 0.4
"""Long enough that a busy machine answers; silence is noticed after one and a half of it."""
CREATED = WatchResponse(header=ResponseHeader(cluster_id=1, revision=10), created=True)
REFUSED = WatchResponse(
    header=ResponseHeader(cluster_id=1, revision=10),
    watch_id=-1,
    created=True,
    canceled=True,
    cancel_reason="etcdserver: permission denied",
)
BROKEN = StatusCode.INTERNAL, "Internal error from Core"


def pair(key: bytes, revision: int) -> KeyValue:
    return KeyValue(key=key, create_revision=revision, mod_revision=revision, version=1)


def range_of(revision: int, *pairs: KeyValue, cluster_id: int = 1) -> RangeResponse:
    header = ResponseHeader(cluster_id=cluster_id, revision=revision)
    return RangeResponse(header=header, kvs=pairs)


def change(key: bytes, revision: int, header_revision: int | None = None) -> WatchResponse:
    header = ResponseHeader(cluster_id=1, revision=header_revision or revision)
    return WatchResponse(header=header, events=[Event(kv=pair(key, revision))])


@pytest.fixture
def one() -> ScriptedEtcd:
    return ScriptedEtcd()


@pytest.fixture
def two() -> ScriptedEtcd:
    return ScriptedEtcd()


async def told(observer: AsyncGenerator[Snapshot | Changes, None], number: int) -> list[str]:
    """Return the next so many news, in short."""
    words: list[str] = []
    async with asyncio.timeout(5):
        for _ in range(number):
            match await anext(observer):
                case Snapshot(pairs, revision):
                    words.append(f"all of {revision}: {' '.join(pair.key for pair in pairs)}")
                case Changes(changes, revision):
                    words.append(f"to {revision}: {' '.join(change.key for change in changes)}")
    return words


async def test_it_begins_with_all_there_is_and_goes_on_with_the_next_revision(
    one: ScriptedEtcd,
) -> None:
    one.answers(RANGE, range_of(10, pair(b"a/1", 9)))
    one.answers(WATCH, [CREATED, change(b"a/2", 11), SILENCE])
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        assert await told(observer, 2) == ["all of 10: a/1", "to 11: a/2"]
    create = one.heard[WATCH.path][0].create_request
    assert (create.key, create.range_end, create.start_revision) == (b"a/", b"a0", 11)


async def test_after_a_break_it_goes_on_after_the_last_change(one: ScriptedEtcd) -> None:
    """Not after what the header said: the changes up to there may not have been sent yet."""
    has_come = asyncio.Event()

    async def broken(_: object) -> tuple[StatusCode, str]:
        await has_come.wait()  # what is on its way when a stream breaks may be lost with it
        return BROKEN

    one.answers(RANGE, range_of(10), range_of(10), range_of(11, pair(b"a/2", 11)))
    one.answers(
        WATCH,
        [CREATED, change(b"a/2", 11, header_revision=99), broken],
        [change(b"a/3", 12, header_revision=99), SILENCE],
    )
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        assert await told(observer, 2) == ["all of 10: ", "to 11: a/2"]
        has_come.set()
        assert await told(observer, 1) == ["to 12: a/3"]
    again = [
        request.create_request for request in one.heard[WATCH.path] if request.create_request.key
    ]
    assert [create.start_revision for create in again] == [11, 12]
    check = one.heard[RANGE.path][2]
    assert (check.key, check.revision) == (b"a/2", 11), "is it the same store?"


@pytest.mark.parametrize(
    "second",
    [
        range_of(50),
        range_of(50, pair(b"a/1", 8)),
        (StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"),
        (StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"),
    ],
)
async def test_a_store_that_has_lost_what_it_told_is_read_anew(
    one: ScriptedEtcd, second: object
) -> None:
    """Its revision may be as high as it was, or higher."""
    before = range_of(10, pair(b"a/1", 9))
    one.answers(RANGE, before, before, second, range_of(50, pair(b"a/9", 40)))
    one.answers(WATCH, [CREATED, BROKEN], [CREATED, SILENCE])
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        assert await told(observer, 2) == ["all of 10: a/1", "all of 50: a/9"]


async def test_what_is_forgotten_is_read_anew_and_told_why(one: ScriptedEtcd) -> None:
    forgotten = WatchResponse(header=CREATED.header, canceled=True, compact_revision=30)
    one.answers(RANGE, range_of(10), range_of(10), range_of(50))
    one.answers(WATCH, [CREATED, forgotten], [CREATED, SILENCE])
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        first, second = await anext(observer), await anext(observer)
    assert isinstance(first, Snapshot) and first.reason == ""
    assert isinstance(second, Snapshot) and "30" in second.reason


@pytest.mark.slow
async def test_a_server_that_keeps_silent_is_asked_and_then_left(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    """A frozen server keeps its connections: nothing else tells."""
    for etcd in (one, two):
        etcd.answers(RANGE, range_of(10))
    one.answers(WATCH, [CREATED, SILENCE])
    two.answers(WATCH, [CREATED, change(b"a/1", 11), SILENCE])
    client = EtcdClient([one.endpoint, two.endpoint], attempt_seconds=ATTEMPT_SECONDS)
    async with client, aclosing(client.observe("a/")) as observer:
        assert await told(observer, 2) == ["all of 10: ", "to 11: a/1"]
        assert client.state.endpoint == two.endpoint
    assert one.heard[WATCH.path][1].HasField("progress_request")


@pytest.mark.slow
async def test_a_server_that_answers_is_not_left_though_nothing_changes(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    one.answers(RANGE, range_of(10))

    async def when_asked(number: int) -> WatchResponse:
        await one.asked(WATCH, number)
        return WatchResponse(header=CREATED.header)

    progress = [lambda _, number=number: when_asked(number) for number in range(2, 6)]
    one.answers(WATCH, [CREATED, *progress, change(b"a/1", 11), SILENCE])
    async with (
        EtcdClient([one.endpoint, two.endpoint], attempt_seconds=ATTEMPT_SECONDS) as client,
        aclosing(client.observe("a/")) as observer,
    ):
        assert await told(observer, 2) == ["all of 10: ", "to 11: a/1"]
        assert client.state.endpoint == one.endpoint


async def test_a_watch_that_is_created_and_cancelled_in_one_is_denied(one: ScriptedEtcd) -> None:
    one.answers(RANGE, range_of(10))
    one.answers(WATCH, [REFUSED, SILENCE], [CREATED, change(b"a/1", 11), SILENCE])
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        assert await told(observer, 2) == ["all of 10: ", "to 11: a/1"], "it was put right"


async def test_a_watch_is_refused_for_an_old_token_too(one: ScriptedEtcd) -> None:
    """The server says the same as for want of rights; a new token shows which it is."""
    tokens = (AuthenticateResponse(token=token) for token in ("t1", "t2"))
    one.answers(AUTHENTICATE, *tokens)
    one.answers(RANGE, range_of(10))
    one.answers(WATCH, [REFUSED, SILENCE], [CREATED, change(b"a/1", 11), SILENCE])
    async with (
        EtcdClient([one.endpoint], user="me", password="secret") as client,
        aclosing(client.observe("a/")) as observer,
    ):
        assert await told(observer, 2) == ["all of 10: ", "to 11: a/1"]
    assert [said["token"] for said in one.metadata[WATCH.path]] == ["t1", "t2"]


async def test_who_may_not_even_read_hears_it_at_once(one: ScriptedEtcd) -> None:
    one.answers(RANGE, (StatusCode.PERMISSION_DENIED, "etcdserver: permission denied"))
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        with pytest.raises(EtcdDenied):
            await anext(observer)


async def test_it_waits_for_an_etcd_that_is_not_there_yet(one: ScriptedEtcd) -> None:
    one.answers(RANGE, (StatusCode.UNAVAILABLE, "etcdserver: no leader"), range_of(10))
    one.answers(WATCH, [CREATED, SILENCE])
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        assert await told(observer, 1) == ["all of 10: "]


async def test_who_stops_observing_leaves_no_task_behind(one: ScriptedEtcd) -> None:
    one.answers(RANGE, range_of(10))
    one.answers(WATCH, [CREATED, change(b"a/1", 11), SILENCE])
    before = asyncio.all_tasks()
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        await told(observer, 2)
    async with asyncio.timeout(5):
        while ours := [t for t in asyncio.all_tasks() - before if "observation" in repr(t)]:
            await asyncio.wait(ours, timeout=0.01)


async def test_an_observer_can_be_cancelled(one: ScriptedEtcd) -> None:
    one.answers(RANGE, range_of(10))
    one.answers(WATCH, [CREATED, SILENCE])
    async with EtcdClient([one.endpoint]) as client, aclosing(client.observe("a/")) as observer:
        await told(observer, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await anext(observer)
