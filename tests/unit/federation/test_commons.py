"""Groups and schemas: the same ones everywhere, whoever is gone."""

from __future__ import annotations

from itertools import permutations

import pytest

from federation import commons as commons_module
from federation.commons import Commons, GroupAt, SchemaAt

DRIVERS = GroupAt("acme", "drivers", "agent://alice", ("agent://bob",), 10)


def version(put_at: int, *members: str, owner: str = "agent://alice") -> GroupAt:
    return GroupAt("acme", "drivers", owner, members, put_at)


def test_of_two_versions_the_one_that_was_put_later_counts_in_whatever_order_they_come() -> None:
    versions = [
        version(1, "agent://bob"),
        version(2, "agent://carol"),
        version(2, "agent://bob"),
        version(2, "agent://bob", owner="agent://zoe"),
        version(1),
    ]
    for order in permutations(versions):
        commons = Commons("gateway-1")
        for number, one in enumerate(order):
            commons.hear_group(one, f"gateway-{number}")
        assert commons.groups() == [version(2, "agent://bob", owner="agent://zoe")]


def test_a_version_that_counts_already_is_no_news() -> None:
    commons = Commons("gateway-1")
    assert commons.hear_group(DRIVERS, "gateway-2")
    assert not commons.hear_group(DRIVERS, "gateway-3")
    assert not commons.hear_group(version(9, "agent://carol"), "gateway-2")
    assert commons.hear_group(version(11, "agent://carol"), "gateway-3")


def test_a_group_that_is_gone_does_not_come_back_by_an_older_version() -> None:
    commons = Commons("gateway-1")
    commons.hear_group(DRIVERS, "gateway-2")
    commons.hear_group(version(11), "gateway-2")
    assert commons.group("acme", "drivers") is None and commons.groups() == []
    assert not commons.hear_group(DRIVERS, "gateway-3")
    assert commons.hear_group(version(12, "agent://carol"), "gateway-3")
    assert commons.group("acme", "drivers") == version(12, "agent://carol")


def test_what_is_put_here_counts_though_another_clock_is_ahead() -> None:
    """Who puts a group has seen the one before, so theirs is the later one."""
    commons = Commons("gateway-1")
    commons.hear_group(version(100, "agent://bob"), "gateway-2")
    put = commons.put_group("acme", "drivers", "agent://alice", ["agent://carol"], now=50)
    assert put == version(101, "agent://carol") == commons.group("acme", "drivers")


def test_what_is_put_here_is_told_once_and_to_all_who_join() -> None:
    commons = Commons("gateway-1")
    group = commons.put_group("acme", "drivers", "agent://alice", ["agent://bob"], now=1)
    assert commons.put_schema("acme", b"{}")
    assert not commons.put_schema("acme", b"{}")
    assert commons.has_due
    told = ([group], [SchemaAt("acme", b"{}")])
    assert commons.drain() == told
    assert not commons.has_due and commons.drain() == ([], [])
    assert commons.told_from_here() == told


def test_what_others_tell_is_not_told_from_here() -> None:
    commons = Commons("gateway-1")
    assert commons.hear_group(DRIVERS, "gateway-2")
    assert commons.hear_schema(SchemaAt("acme", b"{}"), "gateway-2")
    assert not commons.hear_schema(SchemaAt("acme", b"{}"), "gateway-3")
    assert not commons.has_due
    assert commons.told_from_here() == ([], [])
    assert commons.schemas() == [SchemaAt("acme", b"{}")]


def test_what_a_gateway_told_that_is_gone_is_adopted_and_told_from_here() -> None:
    """It may have gone before it had told everybody, and newcomers cannot hear it from it."""
    commons = Commons("gateway-1")
    commons.hear_group(DRIVERS, "gateway-2")
    commons.hear_group(GroupAt("acme", "cooks", "agent://alice", ("agent://bob",), 1), "gateway-3")
    commons.hear_schema(SchemaAt("acme", b"{}"), "gateway-2")
    commons.hear_schema(SchemaAt("acme", b"true"), "gateway-3")
    commons.adopt("gateway-2")
    adopted = ([DRIVERS], [SchemaAt("acme", b"{}")])
    assert commons.told_from_here() == adopted == commons.drain()


def test_a_later_version_of_another_gateway_is_told_by_that_one() -> None:
    commons = Commons("gateway-1")
    commons.put_group("acme", "drivers", "agent://alice", ["agent://bob"], now=1)
    commons.hear_group(version(2, "agent://carol"), "gateway-2")
    assert commons.drain() == ([], []) == commons.told_from_here()


def test_what_is_remembered_of_groups_that_are_gone_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commons_module, "GONE_MAX", 4)
    commons = Commons("gateway-1")
    for number in range(5):
        commons.hear_group(GroupAt("acme", f"g{number}", "agent://alice", (), number), "gateway-2")
    revived = [
        number
        for number in range(5)
        if commons.hear_group(
            GroupAt("acme", f"g{number}", "agent://alice", ("agent://bob",), number - 1), "g"
        )
    ]
    assert revived == [0, 1], "the oldest are forgotten"


def test_a_group_that_is_gone_is_not_forgotten_before_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commons_module, "GONE_MAX", 2)
    commons = Commons("gateway-1")
    for number in range(9):
        commons.put_group("acme", f"g{number}", "agent://alice", [], now=number)
    assert len(commons.drain()[0]) == 9


def test_commons_tell_their_state_in_words() -> None:
    commons = Commons("gateway-1")
    commons.put_group("acme", "drivers", "agent://alice", ["agent://bob"], now=1)
    commons.hear_schema(SchemaAt("acme", b"{}"), "gateway-2")
    commons.hear_group(GroupAt("acme", "gone", "agent://alice", (), 1), "gateway-2")
    assert repr(commons) == "<Commons: 1 groups and 1 schemas, 1 to tell>"
