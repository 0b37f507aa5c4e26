"""What an outcome says of the ledger, in words."""

from __future__ import annotations

import llmx
from gateway.commands.holdings import held, refusal_words


def test_locks_and_payments_are_said_with_what_their_users_need() -> None:
    lock = llmx.Lock("gpu", 4, 0.0, 60.0, 7, "agent://alice")
    paid = llmx.Payment("agent://alice", 40_500_000, "vision")
    won = llmx.RankedOffer("agent://bob", "o-1", 40.0, 1, locks=(lock,), payment=paid)
    assert list(held(llmx.Outcome("n-1", "committed", "awarded", (won,)))) == [
        (
            "holds",
            "agent://bob  4 gpu for 60 s until 1970-01-01T00:01:00Z, fence 7, for agent://alice",
        ),
        ("pays", "agent://bob  agent://alice 40.5 of project vision"),
    ]


def test_a_refusal_says_what_and_until_when() -> None:
    body = {"detail": "BUDGET_EXHAUSTED: project:x\x1b", "retry_at": 1755802800.0}
    none = llmx.Outcome("n-2", "no_award", "BUDGET_EXHAUSTED", body=body)
    assert refusal_words(none) == [
        "BUDGET_EXHAUSTED: project:x\N{REPLACEMENT CHARACTER}",
        "again from 2025-08-21T19:00:00Z",
    ]
    assert refusal_words(llmx.Outcome("n-3", "no_award", "no_offers")) == []
    never = llmx.Outcome("n-4", "no_award", "x", body={"retry_at": 1e300})
    assert refusal_words(never) == ["again from 1e+300"]
