"""Facts as they are kept."""

from __future__ import annotations

import pytest

from gateway.governing.facts import (
    Awarded,
    Claimed,
    Fact,
    FactsError,
    Used,
    Waited,
    facts_in,
    page_of,
)


def test_a_page_has_its_facts_in_order() -> None:
    facts: list[Fact] = [
        Awarded("acme", "agent://bob", 4.5, 1.0),
        Waited("acme", "agent://alice", 0.2, 1.0),
        Used("acme", "agent://bob", "gpu", 240.0, 1.0),
        Claimed("acme", "g.0.n", "agent://alice", "agent://bob", 30.0, 1.0),
    ]
    assert list(facts_in(page_of(facts))) == facts


@pytest.mark.parametrize("page", [b"", b"\x91\x91\xa1x", b"\x01", b"text"])
def test_a_page_that_cannot_be_read_says_so(page: bytes) -> None:
    with pytest.raises(FactsError):
        facts_in(page)
