"""What was claimed, and who may say what came true."""

from __future__ import annotations

import pytest

from gateway.governing.claims import NOT_YOURS, UNCLAIMED, WHOSE, Claims
from gateway.governing.facts import Claimed

ALICE, BOB, CAROL = "agent://alice", "agent://bob", "agent://carol"


def claim(negotiation_id: str, agent: str = BOB, at: float = 0.0) -> Claimed:
    return Claimed("acme", negotiation_id, ALICE, agent, 30.0, at)


def test_the_initiator_reports_of_its_only_winner_without_naming_it() -> None:
    claims = Claims(100.0)
    claims.note(claim("n"))
    assert claims.claim("n", ALICE, None) == claim("n")
    assert claims.claim("n", ALICE, BOB) == claim("n")
    assert claims.claim("n", ALICE, CAROL) == WHOSE
    assert claims.claim("n", BOB, None) == NOT_YOURS
    assert claims.claim("other", ALICE, None) == UNCLAIMED


def test_of_several_winners_one_is_named() -> None:
    claims = Claims(100.0)
    for agent in (BOB, CAROL, CAROL):
        claims.note(claim("n", agent))
    assert len(claims) == 2
    assert claims.claim("n", ALICE, None) == WHOSE
    assert claims.claim("n", ALICE, CAROL) == claim("n", CAROL)


@pytest.mark.parametrize(("claims_max", "at"), [(2, 1.0), (9, 101.0)])
def test_the_oldest_claims_are_forgotten(claims_max: int, at: float) -> None:
    claims = Claims(100.0, claims_max)
    claims.note(claim("first", BOB, at=0.0))
    claims.note(claim("second", BOB, at=1.0))
    claims.note(claim("second", CAROL, at=at))
    assert not claims.knows("first")
    assert claims.claim("second", ALICE, CAROL) == claim("second", CAROL, at=at)
    claims.note(claim("third", BOB, at=at))
    assert claims.knows("second")


def test_what_is_too_old_is_forgotten_though_nothing_follows() -> None:
    claims = Claims(100.0)
    claims.note(claim("first", at=0.0))
    claims.note(claim("second", at=1.0))
    claims.forget(100.5)
    assert (claims.knows("first"), claims.knows("second")) == (False, True)
    claims.forget(1e9)
    assert len(claims) == 0
