"""Everything under a prefix, in pages of one revision."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from federation.etcd import EtcdClient, EtcdUnavailable
from federation.etcd.calls import RANGE
from federation.etcd.ranges import PAGE_KEYS_MAX, TRIES_MAX
from federation.etcd.v1.key_value_pb2 import KeyValue, RangeResponse, ResponseHeader
from tests.support.scripted_etcd import ScriptedEtcd

COMPACTED = StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"


def page(revision: int, *keys: bytes, more: bool = False) -> RangeResponse:
    header = ResponseHeader(revision=revision)
    return RangeResponse(header=header, kvs=[KeyValue(key=key) for key in keys], more=more)


@pytest.fixture
def etcd() -> ScriptedEtcd:
    return ScriptedEtcd()


async def test_all_pages_are_of_the_revision_of_the_first(etcd: ScriptedEtcd) -> None:
    """Later headers tell of later revisions, at which other keys may be there."""
    etcd.answers(RANGE, page(7, b"a/1", b"a/2", more=True), page(9, b"a/3"))
    async with EtcdClient([etcd.endpoint]) as client:
        pairs, revision = await client.get_prefix("a/")
    assert ([pair.key for pair in pairs], revision) == (["a/1", "a/2", "a/3"], 7)
    first, second = etcd.heard[RANGE.path]
    assert (first.key, first.range_end, first.revision) == (b"a/", b"a0", 0)
    assert (second.key, second.range_end, second.revision) == (b"a/2\0", b"a0", 7)
    assert first.limit == second.limit == PAGE_KEYS_MAX


async def test_what_is_forgotten_between_two_pages_is_read_anew(etcd: ScriptedEtcd) -> None:
    etcd.answers(RANGE, page(7, b"a/1", more=True), COMPACTED, page(9, b"a/2"))
    async with EtcdClient([etcd.endpoint]) as client:
        pairs, revision = await client.get_prefix("a/")
    assert ([pair.key for pair in pairs], revision) == (["a/2"], 9)


async def test_it_is_not_read_anew_for_ever(etcd: ScriptedEtcd) -> None:
    etcd.answers(RANGE, COMPACTED)
    async with EtcdClient([etcd.endpoint]) as client:
        with pytest.raises(EtcdUnavailable):
            await client.get_prefix("a/")
    assert len(etcd.heard[RANGE.path]) == TRIES_MAX
