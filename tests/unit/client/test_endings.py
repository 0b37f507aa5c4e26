"""What follows the end of a stream."""

from __future__ import annotations

import grpc
import pytest

from llmx.endings import Ending, Reconnect, after
from llmx.errors import Replaced, Unauthenticated

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE


def test_a_lost_stream_is_opened_again_as_the_backoff_says():
    assert after(Ending(UNAVAILABLE, "", True), can_renew=False) == Reconnect(None)


def test_a_stopping_gateway_says_when_to_come_back():
    ending = Ending(OK, "", True, "stopping", 2.5)
    assert after(ending, can_renew=False) == Reconnect(2.5)


def test_who_was_replaced_does_not_fight_back():
    assert isinstance(after(Ending(OK, "", True, "replaced"), can_renew=True), Replaced)
    ending = Ending(grpc.StatusCode.ALREADY_EXISTS, "", True)
    assert isinstance(after(ending, can_renew=True), Replaced)


@pytest.mark.parametrize(
    "ending",
    [Ending(OK, "", True, "token_expired"), Ending(grpc.StatusCode.UNAUTHENTICATED, "", True)],
)
def test_an_expired_token_is_replaced_at_once_if_that_is_possible(ending: Ending):
    assert after(ending, can_renew=True) == Reconnect(0.0)
    assert isinstance(after(ending, can_renew=False), Unauthenticated)


def test_a_fresh_token_that_is_not_taken_is_final():
    ending = Ending(grpc.StatusCode.UNAUTHENTICATED, "wrong key", welcomed=False)
    assert isinstance(after(ending, can_renew=True), Unauthenticated)


def test_the_waits_begin_anew_after_a_good_stream_and_grow_after_a_fault_of_ours() -> None:
    assert Ending(UNAVAILABLE, "", True, "stopping").was_good
    assert Ending(UNAVAILABLE, "", True, "silent").was_good
    assert not Ending(UNAVAILABLE, "", False).was_good
    for reason in ("slow_consumer", "out_of_order"):
        assert not Ending(OK, "", True, reason).was_good


@pytest.mark.parametrize("reason", ["silent", "aged", "slow_consumer", "out_of_order"])
def test_a_session_that_can_be_resumed_is(reason: str) -> None:
    assert after(Ending(OK, "", True, reason), can_renew=False) == Reconnect(None)
