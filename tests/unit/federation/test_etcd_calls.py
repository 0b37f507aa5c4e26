"""One call: its deadline, its token, and its second chance."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode

from federation.etcd import EtcdClient, EtcdDenied, EtcdRefused, EtcdUnavailable, EtcdUncertain
from federation.etcd.calls import AUTHENTICATE, KEEP_ALIVE, RANGE, TXN
from federation.etcd.v1.key_value_pb2 import RangeResponse, TxnResponse
from federation.etcd.v1.lease_pb2 import LeaseKeepAliveResponse
from federation.etcd.v1.server_pb2 import AuthenticateResponse
from tests.support.scripted_etcd import SILENCE, ScriptedEtcd

SHORT = 0.2
"""Seconds after which nobody waits any more for a server that never answers."""
NO_LEADER = StatusCode.UNAVAILABLE, "etcdserver: no leader"
TIMED_OUT = StatusCode.UNAVAILABLE, "etcdserver: request timed out"
BAD_TOKEN = StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token"
NO_USERS = StatusCode.FAILED_PRECONDITION, "etcdserver: authentication is not enabled"


@pytest.fixture
def one() -> ScriptedEtcd:
    return ScriptedEtcd()


@pytest.fixture
def two() -> ScriptedEtcd:
    return ScriptedEtcd()


async def test_every_call_asks_for_a_server_that_has_a_leader(one: ScriptedEtcd) -> None:
    one.answers(RANGE, RangeResponse())
    one.answers(KEEP_ALIVE, [LeaseKeepAliveResponse(ttl=5)])
    async with EtcdClient([one.endpoint]) as client:
        await client.get("key")
        await client.keep_alive(7)
    assert one.metadata[RANGE.path][0]["hasleader"] == "true"
    assert one.metadata[KEEP_ALIVE.path][0]["hasleader"] == "true"
    assert "token" not in one.metadata[RANGE.path][0]


async def test_a_read_that_nobody_answers_in_time_goes_to_the_next(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    one.answers(RANGE, SILENCE)
    two.answers(RANGE, RangeResponse())
    async with EtcdClient([one.endpoint, two.endpoint], attempt_seconds=SHORT) as client:
        assert await client.get("key") is None
        assert client.state.endpoint == two.endpoint and client.state.reachable
        await client.get("key")
    assert len(one.heard[RANGE.path]) == 1, "it stays where it was answered"


async def test_when_nobody_answers_each_was_asked_once(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    for etcd in (one, two):
        etcd.answers(RANGE, NO_LEADER)
    async with EtcdClient([one.endpoint, two.endpoint]) as client:
        with pytest.raises(EtcdUnavailable, match="no leader") as caught:
            await client.get("key")
        assert caught.value.endpoint == two.endpoint
        assert not client.state.reachable and "no leader" in client.state.fault
    assert [len(etcd.heard[RANGE.path]) for etcd in (one, two)] == [1, 1]


async def test_a_write_that_may_have_been_done_is_not_repeated(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    one.answers(TXN, TIMED_OUT)
    two.answers(TXN, TxnResponse())
    async with EtcdClient([one.endpoint, two.endpoint]) as client:
        with pytest.raises(EtcdUncertain):
            await client.put("key", b"")
        assert not two.heard[TXN.path]
        await client.put("key", b"")
        assert two.heard[TXN.path], "the next one is asked of somebody else"


async def test_a_write_that_was_turned_away_is(one: ScriptedEtcd, two: ScriptedEtcd) -> None:
    one.answers(TXN, NO_LEADER)
    two.answers(TXN, TxnResponse())
    async with EtcdClient([one.endpoint, two.endpoint]) as client:
        await client.put("key", b"")
    assert two.heard[TXN.path]


async def test_a_keepalive_that_nobody_answers_ends_in_time(one: ScriptedEtcd) -> None:
    one.answers(KEEP_ALIVE, [SILENCE])
    async with EtcdClient([one.endpoint]) as client:
        with pytest.raises(EtcdUnavailable):
            await client.keep_alive(7, seconds=SHORT)


async def test_a_stream_that_ends_without_an_answer_is_none(one: ScriptedEtcd) -> None:
    one.answers(KEEP_ALIVE, [])
    async with EtcdClient([one.endpoint]) as client:
        with pytest.raises(EtcdUnavailable, match="without an answer"):
            await client.keep_alive(7)


async def test_a_task_that_is_cancelled_is_not_told_that_etcd_is_away(one: ScriptedEtcd) -> None:
    one.answers(RANGE, SILENCE)
    async with EtcdClient([one.endpoint]) as client, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.get("key"))
        await one.asked(RANGE)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_who_waits_while_the_client_closes_hears_that_etcd_is_away(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    """grpc cancels the call, which must not look as if somebody had cancelled the task."""
    one.answers(RANGE, SILENCE)
    client = EtcdClient([one.endpoint, two.endpoint])
    asking = asyncio.gather(client.get("key"), return_exceptions=True)
    await one.asked(RANGE)
    await client.close()
    (outcome,) = await asking
    assert isinstance(outcome, EtcdUnavailable)


# ------------------------------------------------------------------ tokens


async def test_one_token_is_enough_for_all_calls(one: ScriptedEtcd) -> None:
    one.answers(AUTHENTICATE, AuthenticateResponse(token="t1"))
    one.answers(RANGE, RangeResponse())
    client = EtcdClient([one.endpoint], user="me", password="secret")
    async with client, asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(client.get("key"))
    (asked,) = one.heard[AUTHENTICATE.path]
    assert (asked.name, asked.password) == ("me", "secret")
    assert {said["token"] for said in one.metadata[RANGE.path]} == {"t1"}


async def test_a_token_that_is_too_old_is_replaced_and_the_call_repeated(
    one: ScriptedEtcd,
) -> None:
    tokens = (AuthenticateResponse(token=token) for token in ("t1", "t2"))
    one.answers(AUTHENTICATE, *tokens)
    one.answers(TXN, BAD_TOKEN, TxnResponse())
    async with EtcdClient([one.endpoint], user="me", password="secret") as client:
        await client.put("key", b"")
        assert client.state.reachable
    assert [said["token"] for said in one.metadata[TXN.path]] == ["t1", "t2"]


async def test_a_new_token_that_is_not_good_either_means_no(one: ScriptedEtcd) -> None:
    one.answers(AUTHENTICATE, AuthenticateResponse(token="t"))
    one.answers(RANGE, BAD_TOKEN)
    async with EtcdClient([one.endpoint], user="me", password="secret") as client:
        with pytest.raises(EtcdDenied):
            await client.get("key")
    assert len(one.heard[RANGE.path]) == 2


async def test_who_has_no_user_cannot_get_a_token(one: ScriptedEtcd) -> None:
    one.answers(RANGE, (StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty"))
    async with EtcdClient([one.endpoint]) as client:
        with pytest.raises(EtcdDenied, match="user name is empty"):
            await client.get("key")


async def test_a_server_without_users_is_used_without_a_token_until_it_has_some(
    one: ScriptedEtcd,
) -> None:
    one.answers(AUTHENTICATE, NO_USERS, AuthenticateResponse(token="t"))
    nobody = StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty"
    one.answers(RANGE, RangeResponse(), RangeResponse(), nobody, RangeResponse())
    async with EtcdClient([one.endpoint], user="me", password="secret") as client:
        for _ in range(3):
            await client.get("key")
    tokens = [said.get("token") for said in one.metadata[RANGE.path]]
    assert tokens == [None, None, None, "t"]
    assert len(one.heard[AUTHENTICATE.path]) == 2


async def test_a_server_that_gives_no_token_in_time_is_left_for_another(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    one.answers(AUTHENTICATE, SILENCE)
    one.answers(TXN, TxnResponse())
    two.answers(AUTHENTICATE, AuthenticateResponse(token="t"))
    two.answers(TXN, TxnResponse())
    both = [one.endpoint, two.endpoint]
    client = EtcdClient(both, user="me", password="secret", attempt_seconds=SHORT)
    async with client:
        await client.put("key", b"")
    assert not one.heard[TXN.path] and two.heard[TXN.path]


async def test_a_refusal_is_no_reason_to_ask_somebody_else(
    one: ScriptedEtcd, two: ScriptedEtcd
) -> None:
    one.answers(TXN, (StatusCode.INVALID_ARGUMENT, "etcdserver: duplicate key"))
    two.answers(TXN, TxnResponse())
    async with EtcdClient([one.endpoint, two.endpoint]) as client:
        with pytest.raises(EtcdRefused):
            await client.put("key", b"")
        assert client.state.reachable and not two.heard[TXN.path]
