"""What waits to pass over one stream."""

from __future__ import annotations

import pytest

from federation import way as way_module
from federation.pulse import Pulse
from federation.way import Way


def test_frames_of_others_keep_their_order_and_wake_the_writer() -> None:
    woken: list[int] = []
    way = Way("us", Pulse(1.0, 0.0), 0.0, lambda: woken.append(1), lambda _: None)
    assert way.let_pass(b"first")
    assert way.let_pass(b"second")
    assert len(woken) == 2
    assert [way.next_passing(), way.next_passing()] == [b"first", b"second"]
    assert not way.has_passing
    assert repr(way) == "<Way to us: round trip 0.0000 s, 0 frames passing>"


def test_a_frame_that_finds_no_room_does_not_pass_but_one_always_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(way_module, "PASSING_BYTES_MAX", 10)
    way = Way("us", Pulse(1.0, 0.0), 0.0, lambda: None, lambda _: None)
    assert way.let_pass(b"x" * 100)
    assert not way.let_pass(b"x")
    way.next_passing()
    assert way.let_pass(b"x" * 9)
    assert way.let_pass(b"x")
    assert not way.let_pass(b"x")
