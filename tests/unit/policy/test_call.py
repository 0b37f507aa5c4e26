"""Calls and what cannot be opened."""

from __future__ import annotations

import sys

import pytest

from policy.call import Terms, objection
from tests.support.plays import make_call


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"utility": "value +"}, "UTILITY_INVALID"),
        ({"max_awards": 0}, "POLICY_INVALID"),
        ({"max_awards": 65}, "POLICY_INVALID"),
        ({"policy": {"select": "vickrey"}, "utility": "value"}, "POLICY_INVALID"),
        ({"policy": {"select": "vickrey"}, "decider": "initiator"}, "POLICY_INVALID"),
        (
            {"policy": {"select": "vickrey", "confirm": True}, "max_awards": 2},
            "POLICY_INVALID",
        ),
    ],
)
def test_a_call_that_contradicts_itself_is_refused(fields: dict[str, object], code: str) -> None:
    refuse = objection(make_call(**fields))  # type: ignore[arg-type]
    assert refuse is not None
    assert (refuse.recipient, refuse.msg_id, refuse.code) == ("agent://alice", "call", code)
    assert refuse.reason and refuse.remedy


@pytest.mark.parametrize("fields", [{}, {"utility": "value"}, {"policy": {"select": "vickrey"}}])
def test_other_calls_are_opened(fields: dict[str, object]) -> None:
    assert objection(make_call(**fields)) is None  # type: ignore[arg-type]


def test_terms_know_what_follows_from_a_call() -> None:
    """Agents that are named twice count once."""
    terms = Terms.of(make_call("flow/medium", agents="bob carol bob dave"))
    assert (terms.size, terms.quorum, terms.sealed) == (3, 2, False)
    assert Terms.of(make_call(policy={"quorum": 0})).quorum == sys.maxsize
