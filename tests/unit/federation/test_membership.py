"""Who is in the cluster, and what stands of it in etcd."""

from __future__ import annotations

import msgspec
import pytest

from federation.membership import MemberInfo, Membership, read, written

EU = MemberInfo(
    "eu-1",
    "eu",
    "10.0.0.1:7700",
    "10.0.0.1:7600",
    version="0.1.0",
    protocol=1,
    load=0.25,
    leaving=True,
    started_at=5.5,
    epoch=17,
)
US = MemberInfo("us-1", "us", "10.0.0.2:7700", "10.0.0.2:7600", epoch=21)


def test_what_is_written_is_read_again_with_the_epoch_that_etcd_counts() -> None:
    assert read(written(EU), 17) == EU
    assert read(written(EU), 99) == msgspec.structs.replace(EU, epoch=99)
    assert b"17" not in written(EU)


def test_a_newer_version_may_say_more() -> None:
    value = written(EU)[:-1] + b',"mood":"good"}'
    assert read(value, 17) == EU


@pytest.mark.parametrize("value", [b"", b"{}", b"nonsense", b'{"gateway_id":3}', b"\xff"])
def test_what_cannot_be_read_is_no_member(value: bytes) -> None:
    assert read(value, 1) is None


def test_a_gateway_is_not_its_own_member() -> None:
    membership = Membership("eu-1")
    assert not membership.put(EU)
    assert not membership.replace([EU])
    assert membership.replace([EU, US])
    assert dict(membership.members) == {"us-1": US}


def test_only_what_changes_is_told() -> None:
    membership = Membership("eu-1")
    assert membership.put(US)
    assert not membership.put(US)
    assert membership.put(MemberInfo("us-1", "us", "10.0.0.2:7700", "", epoch=30))
    assert not membership.replace(membership.members.values())
    assert membership.remove("us-1")
    assert not membership.remove("us-1")


def test_it_tells_its_state_in_words() -> None:
    membership = Membership("eu-1")
    assert repr(membership) == "<Membership of eu-1: nobody else>"
    membership.put(US)
    assert repr(membership) == "<Membership of eu-1: us-1>"
