"""What an observer was told decides from where it goes on, and when it begins anew."""

from __future__ import annotations

import pytest

from federation.etcd.history import Anew, Change, Changes, History, Refused
from federation.etcd.transactions import KeyValue
from federation.etcd.v1 import key_value_pb2 as wire
from federation.etcd.v1.watch_pb2 import Event, WatchResponse

CLUSTER = 77


def header(revision: int, cluster_id: int = CLUSTER) -> wire.ResponseHeader:
    return wire.ResponseHeader(cluster_id=cluster_id, revision=revision)


def put(key: str, revision: int, value: bytes = b"v") -> Event:
    pair = wire.KeyValue(
        key=key.encode(), value=value, create_revision=revision, mod_revision=revision, version=1
    )
    return Event(type=0, kv=pair)


def deleted(key: str, revision: int) -> Event:
    return Event(type=1, kv=wire.KeyValue(key=key.encode(), mod_revision=revision))


def pair(key: str, revision: int) -> KeyValue:
    return KeyValue(key, b"v", revision, revision, 1, 0)


def test_changes_are_told_in_order_with_what_is_there_now() -> None:
    history = History(CLUSTER, 10, ())
    heard = history.hear(WatchResponse(header=header(12), events=[put("a", 11), deleted("b", 12)]))
    assert heard == Changes((Change("a", pair("a", 11), 11), Change("b", None, 12)), 12)
    assert history.next_revision == 13


def test_it_goes_on_after_the_last_change_whatever_the_header_says() -> None:
    """The header may be ahead of changes that are still to come."""
    history = History(CLUSTER, 10, ())
    history.hear(WatchResponse(header=header(500), events=[put("a", 11)]))
    assert history.hear(WatchResponse(header=header(900))) is None, "progress"
    assert history.next_revision == 12


def test_what_is_forgotten_is_not_waited_for() -> None:
    history = History(CLUSTER, 10, ())
    heard = history.hear(WatchResponse(header=header(99), canceled=True, compact_revision=50))
    assert isinstance(heard, Anew) and "50" in heard.reason


@pytest.mark.parametrize("created", [True, False])
def test_a_watch_that_the_server_ends_is_refused(created: bool) -> None:
    """Created and cancelled in one is an error, and no event ever follows."""
    history = History(CLUSTER, 10, ())
    response = WatchResponse(
        header=header(10), watch_id=-1, created=created, canceled=True, cancel_reason="no"
    )
    assert history.hear(response) == Refused("no")


def test_another_cluster_knows_nothing_of_ours() -> None:
    history = History(CLUSTER, 10, ())
    heard = history.hear(WatchResponse(header=header(10, CLUSTER + 1), created=True))
    assert isinstance(heard, Anew)


@pytest.mark.parametrize("created", [True, False])
def test_a_stream_that_is_a_revision_behind_has_lost_nothing(created: bool) -> None:
    """A follower hears of the last entry with the next one; an answer may be overtaken."""
    history = History(CLUSTER, 12, ())
    assert history.hear(WatchResponse(header=header(11), created=created)) is None
    assert history.next_revision == 13


@pytest.mark.parametrize(
    ("answer", "is_same"),
    [
        (wire.RangeResponse(header=header(12)), False),
        (wire.RangeResponse(header=header(12), kvs=[put("a", 12).kv]), True),
        (wire.RangeResponse(header=header(99), kvs=[put("a", 12).kv]), True),
        (wire.RangeResponse(header=header(99), kvs=[put("a", 11).kv]), False),
        (wire.RangeResponse(header=header(99), kvs=[put("a", 12, b"w").kv]), False),
        (wire.RangeResponse(header=header(11), kvs=[put("a", 12).kv]), False),
        (wire.RangeResponse(header=header(12, CLUSTER + 1), kvs=[put("a", 12).kv]), False),
    ],
)
def test_a_store_is_the_same_if_it_knows_what_it_told(
    answer: wire.RangeResponse, is_same: bool
) -> None:
    history = History(CLUSTER, 12, (pair("a", 12),))
    assert history.is_of(answer) is is_same


def test_a_store_that_told_of_nothing_is_the_same_if_it_is_as_far() -> None:
    history = History(CLUSTER, 12, ())
    assert history.is_of(wire.RangeResponse(header=header(12)))
    assert not history.is_of(wire.RangeResponse(header=header(11)))


def test_a_change_that_was_told_does_not_come_again() -> None:
    history = History(CLUSTER, 10, ())
    history.hear(WatchResponse(header=header(12), events=[put("a", 12)]))
    assert isinstance(history.hear(WatchResponse(header=header(12), events=[put("a", 12)])), Anew)


def test_the_store_is_recognised_by_the_youngest_key_that_was_told_of() -> None:
    history = History(CLUSTER, 10, (pair("a", 4), pair("b", 9), pair("c", 2)))
    assert history.anchor == pair("b", 9)
    history.hear(WatchResponse(header=header(12), events=[put("d", 11), deleted("a", 12)]))
    assert history.anchor == pair("d", 11), "a key that is gone cannot be compared"
    assert History(CLUSTER, 10, ()).anchor is None
