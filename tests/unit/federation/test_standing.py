"""What one gateway may do by all it was told."""

from __future__ import annotations

from federation.etcd.history import Change
from federation.etcd.transactions import KeyValue, Transaction
from federation.membership import MemberInfo, written
from federation.peer_states import UNHEARD, PeerView
from federation.standing import Standing
from federation.succession import Life, Wait
from federation.succession import written as written_life

LEASE = 10.0
OWN, LIFE, OTHER = "llmx/gateways/eu", "llmx/gateways/eu/1", "llmx/gateways/us"
US = written(MemberInfo("us", "us", "10.0.0.2:7700", ""))


def pair(key: str, value: bytes, epoch: int, lease: int = 0) -> KeyValue:
    return KeyValue(key, value, epoch, epoch, 1, lease)


def standing(*pairs: KeyValue) -> Standing:
    """Return one that is registered in epoch 7, sure until 110, and has seen itself."""
    stands = Standing("llmx", "eu", 1, LEASE, 1.0, 100.0)
    stands.epoch, stands.sure_until, stands.life_until = 7, 110.0, 200.0
    own = pair(OWN, b"{}", 7, lease=3)
    stands.begin_anew([own, *pairs], 9)
    return stands


def told_life() -> KeyValue:
    return pair(LIFE, written_life(Life("eu", 7, 9)), 8)


def unheard(gateway_id: str) -> PeerView:
    return UNHEARD


def test_gateways_are_members_and_lives_are_not() -> None:
    stands = standing(pair(OTHER, US, 8), told_life())
    assert set(stands.membership.members) == {"us"}
    assert stands.membership.members["us"].epoch == 8


def test_members_come_and_go_as_etcd_says() -> None:
    stands = standing()
    assert stands.hear([Change(OTHER, pair(OTHER, US, 10), 10)], 10)
    assert set(stands.membership.members) == {"us"} == set(stands.succession.others)
    assert not stands.hear([Change(f"{OTHER}/4", pair(f"{OTHER}/4", b"", 11), 11)], 11)
    assert stands.hear([Change(OTHER, None, 12)], 12)
    assert not stands.membership.members and stands.succession.revision == 12
    assert not stands.begin_anew([], 13)


def test_what_cannot_be_read_is_no_member_and_is_reckoned_with() -> None:
    """A newer version may write it otherwise, and it may take over."""
    stands = standing(pair(OTHER, b"nonsense", 8), pair("llmx/gateways/ap", US, 8), told_life())
    assert not stands.membership.members
    assert set(stands.succession.others) == {"us", "ap"}
    assert stands.may_decide(109.0, unheard)
    assert not stands.may_decide(115.0, unheard)


def test_the_lease_is_doubted_a_little_before_it_ends() -> None:
    stands = standing(pair(OTHER, US, 8))
    assert stands.is_sure(109.4) and stands.may_decide(109.4, unheard)
    assert not stands.is_sure(109.6) and not stands.may_decide(109.6, unheard)


def test_alone_it_goes_on_when_its_life_was_told_and_until_that_may_have_ended() -> None:
    stands = standing(told_life())
    assert stands.may_decide(109.0, unheard) and stands.may_decide(194.0, unheard)
    assert not stands.may_decide(195.0, unheard)
    untold = standing()
    assert untold.may_decide(109.0, unheard) and not untold.may_decide(110.0, unheard)


def test_sight_is_lost_before_the_first_lease_is_not_sure() -> None:
    stands = standing()
    assert stands.sees_discovery(100.0) and stands.sees_discovery(104.4)
    assert not stands.sees_discovery(104.6)
    stands.epoch = 0
    assert not stands.sees_discovery(100.0)


def test_to_say_that_nothing_is_seen_delays_what_is_claimed() -> None:
    stands = standing()
    assert stands.say_sight(101.0)
    assert stands.counts_from(101.0) == 101.0
    assert not stands.say_sight(105.0)
    assert stands.counts_from(105.5) == 108.0
    assert stands.counts_from(109.0) == 109.0


def test_nothing_is_claimed_without_a_sure_registration() -> None:
    stands = standing()
    assert isinstance(stands.claim(100.0, "gone.0.x"), Transaction)
    assert isinstance(stands.claim(110.0, "gone.0.x"), Wait)


def test_nobody_is_buried_while_a_promise_binds() -> None:
    gone = pair("llmx/gateways/ap/4", written_life(Life("ap", 5, 9)), 6)
    stands = standing(gone)
    assert stands.burials(90.0) == []
    assert stands.burials(95.0) == []
    assert len(stands.burials(101.0)) == 1
    assert not stands.say_sight(105.0)
    assert stands.burials(105.5) == []
    assert len(stands.burials(108.0)) == 1
    assert stands.burials(110.0) == [], "its own registration is not sure"


def test_its_life_says_who_has_come() -> None:
    stands = standing(told_life())
    assert not stands.renews_life(), "etcd knows all that there is to say"
    stands.hear([Change(OTHER, pair(OTHER, US, 10), 10)], 10)
    assert stands.renews_life()
    assert stands.succession.own_life == Life("eu", 7, 10)


def test_it_tells_its_state_in_words() -> None:
    assert repr(standing()).startswith("<Standing of eu: <Fence: shut")
