"""What one gateway may do by all it was told."""

from __future__ import annotations

from federation.etcd.history import Change
from federation.etcd.transactions import KeyValue
from federation.membership import MemberInfo, written
from federation.peer_states import UNHEARD, PeerView
from federation.standing import Standing

LEASE = 10.0
OWN, OTHER = "llmx/gateways/eu", "llmx/gateways/us"
US = written(MemberInfo("us", "us", "10.0.0.2:7700", ""))


def pair(key: str, value: bytes, epoch: int, lease: int = 0) -> KeyValue:
    return KeyValue(key, value, epoch, epoch, 1, lease)


def standing(*pairs: KeyValue) -> Standing:
    """Return one that is registered in epoch 7, sure until 110, and has seen itself."""
    stands = Standing("llmx", "eu", LEASE, 1.0)
    stands.epoch, stands.sure_until = 7, 110.0
    own = pair(OWN, b"{}", 7, lease=3)
    stands.begin_anew([own, *pairs], 9)
    return stands


def unheard(gateway_id: str) -> PeerView:
    return UNHEARD


def test_gateways_are_members_and_what_older_versions_keep_below_them_is_not() -> None:
    stands = standing(pair(OTHER, US, 8), pair(f"{OTHER}/1", b"", 8))
    assert set(stands.membership.members) == {"us"}
    assert stands.membership.members["us"].epoch == 8


def test_members_come_and_go_as_etcd_says() -> None:
    stands = standing()
    assert stands.hear([Change(OTHER, pair(OTHER, US, 10), 10)], 10)
    assert set(stands.membership.members) == {"us"} == stands.others
    assert not stands.hear([Change(f"{OTHER}/4", pair(f"{OTHER}/4", b"", 11), 11)], 11)
    assert stands.hear([Change(OTHER, None, 12)], 12)
    assert not stands.membership.members and not stands.others
    assert not stands.begin_anew([], 13)


def test_what_cannot_be_read_is_no_member_and_is_reckoned_with() -> None:
    """A newer version may write it otherwise, and it may take the place of this one."""
    stands = standing(pair(OTHER, b"nonsense", 8), pair("llmx/gateways/ap", US, 8))
    assert not stands.membership.members
    assert stands.others == {"us", "ap"}
    assert stands.may_decide(109.0, unheard)
    assert not stands.may_decide(115.0, unheard)


def test_the_lease_is_doubted_a_little_before_it_ends() -> None:
    stands = standing(pair(OTHER, US, 8))
    assert stands.is_sure(109.4) and stands.may_decide(109.4, unheard)
    assert not stands.is_sure(109.6) and not stands.may_decide(109.6, unheard)


def test_alone_it_goes_on_as_long_as_it_is_awake() -> None:
    stands = standing()
    assert all(stands.may_decide(float(now), unheard) for now in range(109, 1_000))
    assert not stands.may_decide(1_010.0, unheard), "it slept"


def test_sight_is_lost_before_the_first_lease_is_not_sure() -> None:
    stands = standing()
    assert stands.sees_discovery(100.0) and stands.sees_discovery(104.4)
    assert not stands.sees_discovery(104.6)
    stands.epoch = 0
    assert not stands.sees_discovery(100.0)


def test_it_tells_its_state_in_words() -> None:
    assert repr(standing()).startswith("<Standing of eu: <Fence: shut")
