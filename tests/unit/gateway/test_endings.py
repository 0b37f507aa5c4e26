"""How a stream's last frame tells its agent what to do next."""

from __future__ import annotations

import pytest

from gateway.endings import STATUS_OF, Ending


@pytest.mark.parametrize("reason", STATUS_OF)
def test_a_session_can_be_resumed_unless_another_stream_or_nobody_may_have_it(reason: str) -> None:
    goodbye = Ending(reason, "why").goodbye("token")
    assert (goodbye.reason, goodbye.detail) == (reason, "why")
    assert bool(goodbye.resume_token) is (reason not in ("replaced", "token_revoked"))


def test_who_shall_wait_or_move_is_told_for_how_long_and_where() -> None:
    assert not Ending("aged", "old").goodbye("token").HasField("reconnect_after")
    goodbye = Ending("stopping", "bye", 1.5, ("b:1", "c:2")).goodbye("token")
    assert goodbye.reconnect_after.ToMilliseconds() == 1500
    assert list(goodbye.move_to) == ["b:1", "c:2"]
