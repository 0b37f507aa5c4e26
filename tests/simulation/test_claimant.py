"""What a gateway may take over by all it was told, in the simulation."""

from __future__ import annotations

from federation.etcd.history import Change
from federation.etcd.transactions import KeyValue, Transaction
from federation.membership import MemberInfo, written
from federation.peer_states import UNHEARD, PeerView
from tests.simulation.claimant import Claimant
from tests.simulation.succession import Life, Wait
from tests.simulation.succession import written as written_life

LEASE = 10.0
OWN, LIFE, OTHER = "llmx/gateways/eu", "llmx/gateways/eu/1", "llmx/gateways/us"
US = written(MemberInfo("us", "us", "10.0.0.2:7700", ""))


def pair(key: str, value: bytes, epoch: int, lease: int = 0) -> KeyValue:
    return KeyValue(key, value, epoch, epoch, 1, lease)


def standing(*pairs: KeyValue) -> Claimant:
    """Return one that is registered in epoch 7, sure until 110, and has seen itself."""
    stands = Claimant("llmx", "eu", 1, LEASE, 1.0, 100.0)
    stands.epoch, stands.sure_until, stands.life_until = 7, 110.0, 200.0
    own = pair(OWN, b"{}", 7, lease=3)
    stands.begin_anew([own, *pairs], 9)
    return stands


def awake(*pairs: KeyValue) -> Claimant:
    """Return one that has seen etcd for longer than a promise lasts."""
    stands = standing(*pairs)
    for now in range(90, 101):
        stands.word.say(float(now), sees_discovery=True)
    return stands


def told_life() -> KeyValue:
    return pair(LIFE, written_life(Life("eu", 7, 9)), 8)


def unheard(gateway_id: str) -> PeerView:
    return UNHEARD


def test_alone_it_goes_on_when_its_life_was_told_and_until_that_may_have_ended() -> None:
    stands = standing(told_life())
    assert all(stands.may_decide(float(now), unheard) for now in range(109, 195))
    assert not stands.may_decide(195.0, unheard)
    untold = standing()
    assert untold.may_decide(109.0, unheard) and not untold.may_decide(110.0, unheard)


def test_to_say_that_nothing_is_seen_delays_what_is_claimed() -> None:
    stands = awake()
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
    stands = awake(gone)
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
