"""Who is in the cluster, and what a gateway writes of itself."""

from __future__ import annotations

import msgspec
import pytest

from federation.membership import MemberInfo, Membership, read, written

EU = MemberInfo(
    gateway_id="eu-1",
    region="eu",
    peer_address="unix:/run/eu-1,10.0.0.1:7601",
    agents_address="10.0.0.1:7600",
    version="0.1.0",
    protocol=1,
    load=0.25,
    started_at=1_755_801_900.5,
    epoch=7,
)
US = MemberInfo("us-1", "us", "10.0.0.2:7601", "10.0.0.2:7600", epoch=9)


def changed(info: MemberInfo, **fields: object) -> MemberInfo:
    return msgspec.structs.replace(info, **fields)


def test_what_a_gateway_writes_of_itself_is_read_as_it_was() -> None:
    assert read(written(EU), 7) == EU
    assert read(written(US), 9) == US


def test_an_epoch_is_what_etcd_counts_and_nobody_writes_it() -> None:
    assert b"epoch" not in written(EU)
    assert read(
        b'{"gateway_id":"x","region":"","peer_address":"","agents_address":"","epoch":5}', 3
    ) == (MemberInfo("x", "", "", "", epoch=3))


def test_a_gateway_of_another_version_is_read_as_far_as_it_is_understood() -> None:
    told = msgspec.json.decode(written(EU)) | {"colour": "green"}
    assert read(msgspec.json.encode(told), 7) == EU
    old = {name: told[name] for name in ("gateway_id", "region", "peer_address", "agents_address")}
    info = read(msgspec.json.encode(old), 7)
    assert info is not None and (info.version, info.protocol, info.load) == ("", 0, 0.0)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"gateway_id":"x"}',
        b'{"gateway_id":1,"region":"","peer_address":"","agents_address":""}',
        b'{"gateway_id":"\xff","region":"","peer_address":"","agents_address":""}',
        b'{"gateway_id":"x","region":"","peer_address":"","agents_address":""',
    ],
)
def test_what_cannot_be_read_is_nobody(value: bytes) -> None:
    assert read(value, 1) is None


def test_a_gateway_is_not_a_member_to_itself() -> None:
    membership = Membership("eu-1")
    assert membership.replace([EU, US])
    assert not membership.put(EU)
    assert not membership.put(changed(EU, epoch=99))
    assert not membership.remove("eu-1")
    assert membership.members == {"us-1": US}


def test_who_comes_changes_and_goes_is_told_once() -> None:
    membership = Membership("eu-1")
    assert membership.put(US)
    assert not membership.put(US)
    busy = changed(US, load=3.0)
    assert membership.put(busy)
    assert membership.members == {"us-1": busy}
    assert membership.remove("us-1")
    assert not membership.remove("us-1")
    assert membership.members == {}


def test_a_new_life_of_a_gateway_takes_the_place_of_the_old_one() -> None:
    membership = Membership("eu-1")
    membership.put(US)
    assert membership.put(changed(US, epoch=12))
    assert [info.epoch for info in membership.members.values()] == [12]


def test_a_snapshot_forgets_who_is_not_in_it() -> None:
    membership = Membership("eu-1")
    ap = changed(US, gateway_id="ap-1")
    membership.replace([US, ap])
    assert not membership.replace([ap, EU, US]), "the same, in another order"
    assert membership.replace([ap])
    assert list(membership.members) == ["ap-1"]


def test_an_operator_reads_who_is_there() -> None:
    membership = Membership("eu-1")
    assert repr(membership) == "<Membership of eu-1: nobody else>"
    membership.replace([US, changed(US, gateway_id="ap-1")])
    assert repr(membership) == "<Membership of eu-1: ap-1, us-1>"
