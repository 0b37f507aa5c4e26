"""A clock for tests that never wait."""

from __future__ import annotations

from tests.support.virtual_time import VirtualTime


def test_what_is_due_happens_in_order_and_at_its_moment() -> None:
    time = VirtualTime(10.0)
    seen: list[tuple[float, str]] = []

    def see(what: str) -> None:
        seen.append((time.now, what))

    time.after(2.0, lambda: see("second"))
    time.after(1.0, lambda: see("first"))
    time.at(12.0, lambda: see("third"))
    assert time.next_due == 11.0
    while time.step():
        pass
    assert seen == [(11.0, "first"), (12.0, "second"), (12.0, "third")]
    assert time.next_due == float("inf")


def test_a_moment_is_reached_with_all_that_follows_from_what_was_due() -> None:
    time = VirtualTime()
    seen: list[float] = []

    def again() -> None:
        seen.append(time.now)
        time.after(1.0, again)

    time.after(1.0, again)
    time.run_until(3.5)
    assert (seen, time.now) == ([1.0, 2.0, 3.0], 3.5)
    assert repr(time) == "<VirtualTime: 3.500 s, 1 actions due>"
