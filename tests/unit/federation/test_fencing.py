"""When a gateway may decide, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass

from federation.fencing import NEVER, Fence, Word

HEARTBEAT = 1.0
RELIED = 2.85
"""How long a promise is relied on."""


@dataclass(frozen=True)
class Said:
    heard_at: float
    said_at: float
    sees_discovery: bool = False


UNHEARD = Said(NEVER, NEVER)


class Scene:
    """A fence whose lease is sure until 10, and whose life until 100."""

    def __init__(self) -> None:
        self.fence = Fence(HEARTBEAT)
        self.epoch = 7
        self.sure_until = 10.0
        self.blind_until = 100.0
        self.said: dict[str, Said] = {}

    def may_until(self, until: float) -> bool:
        """Ask in each heartbeat from 9 on, as is promised."""
        return all(self.may(9.0 + beat) for beat in range(int(until - 9.0))) and self.may(until)

    def may(self, now: float) -> bool:
        return self.fence.may_decide(now, self.epoch, self.sure_until, self.blind_until, self.said)


def test_a_gateway_decides_while_its_lease_is_sure() -> None:
    scene = Scene()
    scene.said = {"us": UNHEARD}
    assert scene.may(9.9)
    assert not scene.may(10.0)


def test_without_a_registration_nothing_is_decided() -> None:
    scene = Scene()
    scene.epoch = 0
    assert not scene.may(1.0)


def test_alone_it_goes_on_until_its_life_may_have_ended() -> None:
    """Then somebody who came meanwhile may take over."""
    scene = Scene()
    assert scene.may_until(99.9)
    assert not scene.may(100.0)


def test_who_has_slept_longer_than_its_lease_does_not_decide_though_it_knows_nobody() -> None:
    """Somebody may have come meanwhile, taken over, and seen etcd all the time."""
    scene = Scene()
    assert scene.may(9.0) and scene.may(9.0 + RELIED)
    assert scene.may(8.9 + 2 * RELIED) and not scene.may(9.1 + 3 * RELIED)
    assert not scene.may(9.2 + 3 * RELIED), "it stays shut"


def test_who_has_slept_and_finds_its_lease_sure_decides() -> None:
    scene = Scene()
    assert scene.may(1.0) and scene.may(9.0)


def test_it_goes_on_blind_while_every_member_promises() -> None:
    scene = Scene()
    scene.said = {"us": Said(9.0, 8.9), "ap": Said(9.5, 9.4)}
    assert scene.may(9.6)
    assert scene.may(11.0)
    scene.said = {"us": Said(11.5, 11.4), "ap": Said(11.6, 11.5)}
    assert scene.may(13.0)


def test_one_member_that_sees_etcd_is_enough_to_stop() -> None:
    scene = Scene()
    scene.said = {"us": Said(9.0, 8.9), "ap": Said(9.5, 9.4, sees_discovery=True)}
    assert scene.may(9.9)
    assert not scene.may(10.1)


def test_one_silent_member_is_enough_to_stop() -> None:
    scene = Scene()
    scene.said = {"us": Said(9.0, 8.9)}
    assert scene.may(9.1)
    assert scene.may(8.9 + RELIED - 0.01)
    assert not scene.may(8.9 + RELIED)


def test_a_promise_is_as_old_as_the_heartbeat_that_it_answers() -> None:
    """It may have been on its way for long."""
    scene = Scene()
    scene.said = {"us": Said(9.9, 6.0)}
    assert scene.may(9.95)
    assert not scene.may(10.0)


def test_who_had_to_stop_does_not_go_on_because_all_promise_anew() -> None:
    """In between somebody may have taken over, and lost sight of etcd after that."""
    scene = Scene()
    scene.said = {"us": Said(9.0, 8.9)}
    assert scene.may(9.1)
    assert not scene.may(12.0)
    scene.said = {"us": Said(12.1, 12.0)}
    assert not scene.may(12.2)


def test_a_gap_between_promises_counts_though_nobody_looked() -> None:
    scene = Scene()
    scene.said = {"us": Said(9.0, 8.9)}
    assert scene.may(9.1)
    scene.said = {"us": Said(12.1, 12.0)}
    assert not scene.may(12.2)


def test_a_word_of_sight_between_two_promises_breaks_neither() -> None:
    scene = Scene()
    scene.said = {"us": Said(9.5, 9.4)}
    assert scene.may(9.6)
    scene.said = {"us": Said(10.5, 10.4, sees_discovery=True)}
    assert scene.may(10.6)
    scene.said = {"us": Said(11.5, 11.4)}
    assert scene.may(13.0)


def test_who_leaves_while_one_is_blind_is_reckoned_with_still() -> None:
    """Before it left it may have taken over."""
    scene = Scene()
    scene.said = {"us": Said(9.5, 9.4)}
    assert scene.may(9.6)
    scene.said = {}
    assert scene.may(10.5)
    assert not scene.may(12.5)


def test_who_leaves_while_the_lease_is_sure_is_forgotten() -> None:
    scene = Scene()
    scene.said = {"us": UNHEARD}
    assert scene.may(9.0)
    scene.said = {}
    assert scene.may_until(50.0)


def test_who_comes_while_one_is_blind_has_promised_nothing() -> None:
    scene = Scene()
    assert scene.may(9.0) and scene.may(11.0)
    scene.said = {"us": UNHEARD}
    assert not scene.may(11.1)


def test_a_lease_that_survived_opens_the_fence_again() -> None:
    scene = Scene()
    scene.said = {"us": UNHEARD}
    assert scene.may(9.0) and not scene.may(11.0)
    scene.sure_until = 16.0
    assert scene.may(11.1)


def test_a_new_epoch_begins_shut_until_its_lease_is_sure() -> None:
    scene = Scene()
    scene.said = {"us": Said(9.5, 9.4)}
    assert scene.may(9.6)
    scene.epoch, scene.sure_until = 8, NEVER
    assert not scene.may(9.7)
    scene.sure_until = 15.0
    assert scene.may(9.8)


def test_a_frozen_gateway_that_wakes_up_has_stopped() -> None:
    """What the others said while it slept arrives now, and answers beats of long ago."""
    scene = Scene()
    scene.said = {"us": Said(9.0, 8.9)}
    assert scene.may(9.1)
    scene.said = {"us": Said(20.0, 9.0)}
    assert not scene.may(20.0)


def test_a_promise_binds_for_some_heartbeats_and_sight_promises_nothing() -> None:
    word = awake(until=10)
    assert not word.binds(10.0)
    assert not word.say(11.0, sees_discovery=False)
    assert word.say(12.0, sees_discovery=True)
    assert word.binds(13.9)
    assert not word.binds(14.0)


def awake(until: int) -> Word:
    """Return the word of a gateway that has seen etcd since 0."""
    word = Word(HEARTBEAT)
    for now in range(until + 1):
        assert word.say(float(now), sees_discovery=True)
    return word


def test_who_has_said_nothing_for_as_long_as_a_promise_lasts_is_bound_by_one() -> None:
    """It has slept, or has just begun: it does not know what was told unwritten meanwhile."""
    word = Word(HEARTBEAT)
    assert word.binds(0.0)
    word.say(0.0, sees_discovery=True)
    assert word.binds(2.9)
    word = awake(until=10)
    assert not word.binds(13.0)
    assert word.binds(13.1), "it slept"
    word.say(20.0, sees_discovery=True)
    assert word.binds(22.9)


def test_a_promise_is_kept_for_longer_than_it_is_relied_on() -> None:
    word = Word(HEARTBEAT)
    word.say(0.0, sees_discovery=False)
    assert word.binds_until * 0.96 > RELIED


def test_they_tell_their_state_in_words() -> None:
    scene = Scene()
    assert repr(scene.fence) == "<Fence: shut, watching 0>"
    scene.may(1.0)
    assert repr(scene.fence) == "<Fence: open in epoch 7, watching 0>"
    assert repr(Word(1.0)) == "<Word: binds until -inf>"
