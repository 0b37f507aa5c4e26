"""The trace of a call is the same at every gateway; all other ids are random."""

from __future__ import annotations

from gateway.telemetry.trace_ids import TraceIds, trace_of_call

CALL = ("acme", "agent://alice", "m1", "2026-11-22T10:00:00Z")


def test_a_call_has_one_trace_wherever_it_is_sent() -> None:
    assert trace_of_call(*CALL) == trace_of_call(*CALL)
    assert 0 < trace_of_call(*CALL) < 1 << 128


def test_another_call_has_another_trace_whatever_of_it_differs() -> None:
    """An agent that uses a msg_id again another day begins another trace."""
    others = {
        trace_of_call(
            *(f"{word}2" if number == which else word for number, word in enumerate(CALL))
        )
        for which in range(len(CALL))
    }
    assert len(others | {trace_of_call(*CALL)}) == len(CALL) + 1
    assert trace_of_call("ab", "c", "", "") != trace_of_call("a", "bc", "", "")


def test_only_the_next_trace_has_the_id_that_was_told() -> None:
    ids = TraceIds()
    ids.next_trace = 7
    assert ids.generate_trace_id() == 7
    assert len({ids.generate_trace_id() for _ in range(10)} - {7}) == 10
