"""A party that gives way as the rounds go by."""

from __future__ import annotations

import pytest

from llmx.bargain import Accept, End, Propose
from llmx.concession import Concede
from llmx.turns import Turn
from tests.support.bargain_scenes import ALICE, BOB, Table
from tests.support.bargains import CONCESSION, make_bargain


def turn(round_: int, left: int) -> Turn:
    return Turn(round_, left, 1.0, 1.0)


def test_the_price_goes_from_start_to_limit():
    seller = Concede(start=100, limit=20)
    assert [seller.price(turn(n, 11 - n)) for n in (1, 6, 11)] == [100, 60, 20]
    assert seller.price(None) == 100


@pytest.mark.parametrize(("exponent", "halfway"), [(1, 60.0), (2, 43.43), (0.5, 80.0)])
def test_the_hasty_give_way_early_and_the_patient_late(exponent: float, halfway: float):
    assert Concede(start=100, limit=20, exponent=exponent).price(turn(6, 5)) == halfway


def test_rounding_never_goes_beyond_the_limit():
    seller = Concede(start=10, limit=0.46, decimals=0)
    assert seller.price(turn(5, 0)) == 0.46
    assert seller.price(turn(1, 0)) == 10


def test_a_buyer_goes_up_and_a_seller_down():
    assert Concede(start=0, limit=10).is_as_good(5, 6)
    assert not Concede(start=10, limit=0).is_as_good(5, 6)


def test_two_who_give_way_meet_between_their_limits():
    table = Table(make_bargain(max_rounds=20))
    outcome = table.play({ALICE: Concede(start=0, limit=60), BOB: Concede(start=100, limit=40)})
    assert 40 <= outcome["agreement"]["value"] <= 60


def test_limits_that_do_not_meet_are_no_agreement():
    table = Table(make_bargain(max_rounds=20))
    outcome = table.play({ALICE: Concede(start=0, limit=30), BOB: Concede(start=100, limit=40)})
    assert outcome["ended_by"] == "end"
    assert outcome["reason"] == "no_time"


def test_in_the_last_round_whatever_keeps_the_limit_is_accepted():
    table = Table(make_bargain(max_rounds=2))
    table.make(BOB, Propose(value=59))
    assert Concede(start=0, limit=60, exponent=0.1)(table.parties[ALICE]) == Accept()
    assert Concede(start=0, limit=58)(table.parties[ALICE]) == End("no_time")
    rounded = Concede(start=0, limit=59.4, decimals=0)  # it would say 59
    table = Table(make_bargain(max_rounds=2))
    table.make(BOB, Propose(value=59.4))
    assert rounded(table.parties[ALICE]) == Accept()


def test_it_plays_monotonic_concession_too():
    table = Table(make_bargain(CONCESSION, max_rounds=20, concession="both"))
    outcome = table.play({ALICE: Concede(start=0, limit=60), BOB: Concede(start=100, limit=40)})
    assert 40 <= outcome["agreement"]["value"] <= 60


def test_a_proposal_without_a_value_is_answered_by_one():
    table = Table(make_bargain())
    table.make(BOB, Propose(terms={"price": 1}))
    assert isinstance(Concede(start=0, limit=9)(table.parties[ALICE]), Propose)


def test_a_mistake_in_a_parameter_is_told():
    with pytest.raises(ValueError, match="above 0"):
        Concede(start=0, limit=1, exponent=0)
