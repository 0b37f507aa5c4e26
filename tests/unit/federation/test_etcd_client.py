"""The client: what it asks, and what it makes of the answers that are no errors."""

from __future__ import annotations

import pytest

from federation.etcd import EtcdClient, EtcdUnavailable, Lease, Prefix, Put, ServerStatus, created
from federation.etcd.calls import COMPACT, DELETE, GRANT, KEEP_ALIVE, RANGE, REVOKE, STATUS, TXN
from federation.etcd.v1.key_value_pb2 import (
    CompactionResponse,
    DeleteRangeResponse,
    KeyValue,
    RangeResponse,
    ResponseHeader,
    TxnResponse,
)
from federation.etcd.v1.lease_pb2 import (
    LeaseGrantResponse,
    LeaseKeepAliveResponse,
    LeaseRevokeResponse,
)
from federation.etcd.v1.server_pb2 import StatusResponse
from tests.support.scripted_etcd import ScriptedEtcd


@pytest.fixture
def etcd() -> ScriptedEtcd:
    return ScriptedEtcd()


async def test_reads_are_linearizable(etcd: ScriptedEtcd) -> None:
    etcd.answers(RANGE, RangeResponse(kvs=[KeyValue(key=b"a", value=b"1", lease=7)]))
    async with EtcdClient([etcd.endpoint]) as client:
        found = await client.get("a")
    assert found is not None and (found.value, found.lease) == (b"1", 7)
    asked = etcd.heard[RANGE.path][0]
    assert asked.SerializeToString() == b"\n\x01a", "nothing but the key: not `serializable`"


async def test_a_commit_tells_its_revision(etcd: ScriptedEtcd) -> None:
    etcd.answers(TXN, TxnResponse(header=ResponseHeader(revision=8), succeeded=True))
    async with EtcdClient([etcd.endpoint]) as client:
        assert await client.put("a", b"1", lease=5) == 8
        done = await client.commit([created("a") == 0], [Put("a", b"1")])
        assert done.succeeded and done.revision == 8
    put, conditional = etcd.heard[TXN.path]
    assert put.success[0].request_put.lease == 5 and not put.compare
    assert conditional.compare[0].key == b"a"


async def test_a_deletion_is_no_transaction(etcd: ScriptedEtcd) -> None:
    """A full database takes it all the same."""
    etcd.answers(DELETE, DeleteRangeResponse(deleted=2))
    async with EtcdClient([etcd.endpoint]) as client:
        assert await client.delete(Prefix("a/")) == 2
    assert etcd.heard[DELETE.path][0].range_end == b"a0"


async def test_a_lease_is_what_was_granted_not_what_was_asked_for(etcd: ScriptedEtcd) -> None:
    etcd.answers(GRANT, LeaseGrantResponse(id=7, ttl=2), LeaseGrantResponse(error="no"))
    async with EtcdClient([etcd.endpoint]) as client:
        assert await client.grant(1) == Lease(7, 2)
        with pytest.raises(EtcdUnavailable, match="no"):
            await client.grant(1)


@pytest.mark.parametrize(("ttl", "seconds"), [(5, 5), (0, 0), (-1, 0)])
async def test_a_lease_without_time_is_lost(etcd: ScriptedEtcd, ttl: int, seconds: int) -> None:
    etcd.answers(KEEP_ALIVE, [LeaseKeepAliveResponse(id=7, ttl=ttl)])
    async with EtcdClient([etcd.endpoint]) as client:
        assert await client.keep_alive(7) == seconds
    assert etcd.heard[KEEP_ALIVE.path][0].id == 7


async def test_the_rest_is_asked_as_it_is(etcd: ScriptedEtcd) -> None:
    etcd.answers(REVOKE, LeaseRevokeResponse())
    etcd.answers(COMPACT, CompactionResponse())
    etcd.answers(STATUS, StatusResponse(version="3.5.16", db_size=9, errors=["NOSPACE"]))
    async with EtcdClient([etcd.endpoint]) as client:
        await client.revoke(7)
        await client.compact(99)
        assert await client.status() == ServerStatus("3.5.16", 9, False, ("NOSPACE",))
        assert repr(client).startswith("<etcd reachable for")
    assert etcd.heard[COMPACT.path][0].revision == 99
