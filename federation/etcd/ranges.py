"""Everything under a prefix, in pages of one revision."""

from __future__ import annotations

from federation.etcd.calls import RANGE, Calls
from federation.etcd.errors import EtcdCompacted, EtcdUnavailable
from federation.etcd.transactions import KeyValue, Prefix, bounds, pair_of
from federation.etcd.v1.key_value_pb2 import RangeRequest, ResponseHeader

PAGE_KEYS_MAX = 1_000
TRIES_MAX = 3
"""How often to begin anew when the revision was forgotten between two pages."""


async def everything(calls: Calls, prefix: str) -> tuple[list[KeyValue], ResponseHeader]:
    """Return all pairs, ascending, and the header of the revision that they are of."""
    for _ in range(TRIES_MAX):
        try:
            return await _pages(calls, prefix)
        except EtcdCompacted as compacted:
            forgotten = compacted
    raise EtcdUnavailable(forgotten.code, forgotten.details, forgotten.endpoint) from forgotten


async def _pages(calls: Calls, prefix: str) -> tuple[list[KeyValue], ResponseHeader]:
    key, end = bounds(Prefix(prefix))
    first = await calls.ask(RANGE, RangeRequest(key=key, range_end=end, limit=PAGE_KEYS_MAX))
    header, page = first.header, first
    pairs = [pair_of(message) for message in page.kvs]
    while page.more:
        request = RangeRequest(
            key=page.kvs[-1].key + b"\0",
            range_end=end,
            limit=PAGE_KEYS_MAX,
            revision=header.revision,
        )
        page = await calls.ask(RANGE, request)
        pairs += map(pair_of, page.kvs)
    return pairs, header
