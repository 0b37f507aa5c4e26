"""An outbox that is followed knows in which negotiations its agent takes part."""

from __future__ import annotations

from gateway.telemetry.traced_outbox import NEGOTIATIONS_MAX, TracedOutbox, outboxes


def made() -> TracedOutbox:
    outbox = outboxes(lambda span: None)(10, 1_000, 1.0, 2.0, 10)
    assert isinstance(outbox, TracedOutbox)
    return outbox


def test_what_was_heard_of_last_stands_last_and_once() -> None:
    outbox = made()
    for one in ("n1", "n2", "n1"):
        outbox.take_part(one)
    assert list(outbox.negotiations) == ["n2", "n1"]
    assert not made().negotiations, "each agent has its own"


def test_of_more_than_it_may_know_it_forgets_the_oldest() -> None:
    outbox = made()
    for number in range(NEGOTIATIONS_MAX + 1):
        outbox.take_part(f"n{number}")
    assert len(outbox.negotiations) == NEGOTIATIONS_MAX
    assert "n0" not in outbox.negotiations and f"n{NEGOTIATIONS_MAX}" in outbox.negotiations
