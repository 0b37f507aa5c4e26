"""Transactions: what is said to etcd, and how its answer reads."""

from __future__ import annotations

import pytest

from federation.etcd.transactions import (
    OPERATIONS_MAX,
    Compare,
    Delete,
    Get,
    KeyValue,
    Prefix,
    Put,
    Transaction,
    bounds,
    committed,
    created,
    lease_is,
    modified,
    pair_of,
    request_of,
    value_is,
    version,
)
from federation.etcd.v1 import key_value_pb2 as wire

EQUAL, GREATER, LESS, NOT_EQUAL = range(4)
VERSION, CREATE, MOD, VALUE, LEASE = range(5)


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (created("a") == 0, wire.Compare(result=EQUAL, target=CREATE, create_revision=0)),
        (created("a") != 7, wire.Compare(result=NOT_EQUAL, target=CREATE, create_revision=7)),
        (modified("a") < 7, wire.Compare(result=LESS, target=MOD, mod_revision=7)),
        (modified("a") <= 7, wire.Compare(result=LESS, target=MOD, mod_revision=8)),
        (version("a") > 7, wire.Compare(result=GREATER, target=VERSION, version=7)),
        (version("a") >= 7, wire.Compare(result=GREATER, target=VERSION, version=6)),
        (value_is("a") == b"x", wire.Compare(result=EQUAL, target=VALUE, value=b"x")),
        (lease_is("a") == 9, wire.Compare(result=EQUAL, target=LEASE, lease=9)),
    ],
)
def test_a_compare_says_what_it_reads_like(compare: Compare, message: wire.Compare) -> None:
    message.key = b"a"
    assert compare.message == message
    assert compare.message.WhichOneof("target_union") is not None, "etcd wants it even if it is 0"


@pytest.mark.parametrize(
    ("start", "first", "end"),
    [
        ("a/", b"a/", b"a0"),
        ("a\x7f", b"a\x7f", b"a\x80"),
        ("", b"\0", b"\0"),
        ("é", b"\xc3\xa9", b"\xc3\xaa"),
        (b"a\xff".decode(errors="surrogateescape"), b"a\xff", b"b"),
        (b"\xff\xff".decode(errors="surrogateescape"), b"\xff\xff", b"\0"),
    ],
)
def test_a_prefix_ends_before_the_first_key_that_does_not_begin_so(
    start: str, first: bytes, end: bytes
) -> None:
    """The last byte may be one that cannot be counted up; others got that wrong."""
    assert bounds(Prefix(start)) == (first, end)
    assert (created(Prefix(start)) == 1).message.range_end == end


def test_a_key_that_is_no_text_keeps_its_bytes() -> None:
    pair = pair_of(wire.KeyValue(key=b"\xfe\xff", value=b"v", mod_revision=2))
    assert bounds(pair.key) == (b"\xfe\xff", b"")


def test_each_operation_is_said_as_it_is() -> None:
    inside = Transaction([created("d") == 0], [Put("d", b"4", lease=5)], [Get("d")])
    request = request_of(
        Transaction([], [Put("a", b"1"), Delete("b"), Delete(Prefix("c/")), inside])
    )
    put, one, many, nested = request.success
    assert put.request_put == wire.PutRequest(key=b"a", value=b"1")
    assert one.request_delete_range == wire.DeleteRangeRequest(key=b"b")
    assert many.request_delete_range == wire.DeleteRangeRequest(key=b"c/", range_end=b"c0")
    assert nested.request_txn == request_of(inside)
    assert not request.failure


@pytest.mark.parametrize("branch", ["compares", "then", "otherwise"])
def test_a_branch_that_is_longer_than_etcd_takes_is_our_mistake(branch: str) -> None:
    many: dict[str, list[object]] = {"compares": [], "then": [], "otherwise": []}
    many[branch] = [(created("a") == 0) if branch == "compares" else Get("a")] * OPERATIONS_MAX
    request_of(Transaction(**many))  # type: ignore[arg-type]  # by name
    many[branch].append(many[branch][0])
    with pytest.raises(ValueError, match="129 compares or operations"):
        request_of(Transaction(**many))  # type: ignore[arg-type]  # by name


def test_what_is_inside_counts_with_what_is_around_it() -> None:
    two = Transaction([], [Get("a"), Get("b")])
    request_of(Transaction([], [two] * 126))
    with pytest.raises(
        ValueError, match="2 compares or operations in one branch, where etcd takes 1"
    ):
        request_of(Transaction([], [two] * 127))


def test_an_answer_reads_like_what_was_asked() -> None:
    pair = wire.KeyValue(
        key=b"a", value=b"1", create_revision=2, mod_revision=3, version=4, lease=5
    )
    inside = wire.TxnResponse(
        responses=[wire.ResponseOp(response_range=wire.RangeResponse(kvs=[pair]))]
    )
    answer = wire.TxnResponse(
        succeeded=True,
        responses=[
            wire.ResponseOp(response_put=wire.PutResponse()),
            wire.ResponseOp(response_delete_range=wire.DeleteRangeResponse(deleted=6)),
            wire.ResponseOp(response_txn=inside),
        ],
    )
    assert repr(committed(answer, 9)) == (
        "Committed(succeeded=True, revision=9, responses=(WasPut(), WasDeleted(count=6), "
        "Committed(succeeded=False, revision=9, responses=(Found(pairs=("
        f"{KeyValue('a', b'1', 2, 3, 4, 5)!r},)),))))"
    )


def test_two_sides_are_not_compared_by_accident() -> None:
    """`==` makes a compare, which is true whatever it says; at least no set takes one."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(created("a"))


def test_our_messages_claim_no_name_of_another_client() -> None:
    """Two descriptors of one name in one process are an error, for whoever comes second."""
    file = wire.DESCRIPTOR
    assert file.name == "federation/etcd/v1/key_value.proto"
    assert file.package == "federation.etcd.v1"
