"""Zeuthen's strategy: who concedes and how much, and that two meet at Nash's solution."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from llmx.bargain import Accept, Bargain, End, Proposal, Propose
from llmx.zeuthen import Candidate, Zeuthen, rational, risk
from tests.support.bargain_scenes import ALICE, BOB, Table
from tests.support.bargains import CONCESSION, make_bargain

SETS = 5_000
Points = Sequence[tuple[int, int]]


def points(chance: random.Random) -> list[tuple[int, int]]:
    """Return 2 to 25 deals, of which at least one is better than none for both."""
    while True:
        drawn = [
            (chance.randint(-2, 60), chance.randint(-2, 60)) for _ in range(chance.randint(2, 25))
        ]
        if any(min(one) > 0 for one in drawn):
            return drawn


def side(drawn: Points, which: int) -> Zeuthen:
    """Return the strategy of one party over these deals; deals are named by their place."""
    return Zeuthen(
        candidates=[
            Candidate(deal[which], deal[1 - which], terms={"deal": n, "a": deal[0], "b": deal[1]})
            for n, deal in enumerate(drawn)
        ]
    )


def nash_product(drawn: Points) -> int:
    """Return the greatest product over the deals that are no worse than none for both."""
    return max(a * b for a, b in drawn if a >= 0 and b >= 0)


def table_for(concession: str, number: int = 0) -> Table:
    utilities = {"initiator": "terms.a", "responder": "terms.b"}
    call = {"negotiation_id": f"g.0.{number}"}
    return Table(make_bargain(CONCESSION, call=call, concession=concession, utilities=utilities))


@pytest.mark.slow
def test_two_who_concede_just_enough_reach_the_nash_product():
    """N-4.7: two Zeuthen players with minimal sufficient concessions reach the maximum.

    5,000 random finite sets of 2 to 25 deals, through the protocol, in a few steps each.
    """
    chance, steps = random.Random(47), []
    for number in range(SETS):
        drawn = points(chance)
        table = table_for("zeuthen", number)
        outcome = table.play({ALICE: side(drawn, 0), BOB: side(drawn, 1)}, moves_max=60)
        terms = outcome["agreement"]["terms"]
        assert terms["a"] * terms["b"] == nash_product(drawn), (number, drawn)
        steps.append(table.state.round)
    assert max(steps) <= 12
    assert sum(steps) / len(steps) < 4


def test_a_few_sets_reach_the_nash_product_whoever_is_asked():
    """N-4.7: also where both are asked in each step, and who need not concede stands still."""
    chance = random.Random(48)
    for number in range(150):
        drawn = points(chance)
        table = table_for("either", number)
        outcome = table.play({ALICE: side(drawn, 0), BOB: side(drawn, 1)}, moves_max=120)
        terms = outcome["agreement"]["terms"]
        assert terms["a"] * terms["b"] == nash_product(drawn), (number, drawn)


def test_over_a_price_two_meet_in_the_middle():
    """N-4.7: p∈[0,10], seller U=p/10, buyer U=1−p/10, c=0: Nash point p=5."""
    buyer = [Candidate(1 - p / 10, p / 10, value=float(p)) for p in range(11)]
    seller = [Candidate(p / 10, 1 - p / 10, value=float(p)) for p in range(11)]
    utilities = {"initiator": "1 - value / 10", "responder": "value / 10"}
    table = Table(make_bargain(CONCESSION, concession="zeuthen", utilities=utilities))
    outcome = table.play({ALICE: Zeuthen(candidates=buyer), BOB: Zeuthen(candidates=seller)})
    assert outcome["agreement"]["value"] == 5


def test_only_rational_and_efficient_deals_are_negotiated():
    given = [Candidate(3, 1), Candidate(2, 2), Candidate(2, 1), Candidate(1, -1), Candidate(-1, 9)]
    assert rational(given) == [Candidate(3, 1), Candidate(2, 2)]
    assert rational(given, own_conflict=2.5) == [Candidate(3, 1)]
    assert rational(given, other_conflict=3) == [Candidate(-1, 9)][:0]


@pytest.mark.parametrize(
    ("own", "others", "conflict", "expected"), [(4, 1, 0, 0.75), (4, 2, 2, 1.0), (0, 1, 0, 1.0)]
)
def test_the_risk_is_the_part_of_its_gain_that_a_party_stakes(
    own: float, others: float, conflict: float, expected: float
):
    assert risk(own, others, conflict) == expected


def test_the_smaller_product_concedes_to_the_nearest_greater_one():
    """N-4.6: concession size is the smallest one that flips the order of risks."""
    line = [Candidate(10 - n, n) for n in range(11)]
    one = Zeuthen(candidates=line)
    mine, theirs = line[1], line[8]  # products 9 and 16
    assert one.concedes(mine, theirs) and not one.concedes(theirs, mine)
    assert one.concession(line, mine, theirs) == line[3]  # 21, and line[2] has only 16
    assert one.concession(line, line[5], line[5]) is None


def party_after(own: Candidate | None, standing: Candidate | None, concession: str) -> Bargain:
    party = table_for(concession).parties[ALICE]
    for name, deal in (("own", own), ("standing", standing)):
        made = None if deal is None else Proposal(ALICE, name, deal.value, deal.terms)
        setattr(party, name, made)
    return party


def test_it_begins_with_its_best_deal_and_stands_still_where_it_may():
    line = [Candidate(10 - n, n, value=float(n)) for n in range(11)]
    plays = Zeuthen(candidates=line)
    assert plays(party_after(None, None, "either")) == Propose(value=0.0)
    assert plays(party_after(line[4], line[9], "either")) == Propose(value=4.0)
    assert plays(party_after(line[1], line[8], "either")) == Propose(value=3.0)
    assert plays(party_after(line[5], line[5], "either")) == Accept()


def test_who_is_asked_concedes_even_at_equal_risk():
    line = [Candidate(10 - n, n, value=float(n)) for n in range(11)]
    plays = Zeuthen(candidates=line)
    assert plays(party_after(line[3], line[7], "zeuthen")) == Propose(value=4.0)


def test_it_ends_where_nothing_is_to_be_gained_or_understood():
    hopeless = Zeuthen(candidates=[Candidate(1, -1)])
    assert hopeless(party_after(None, None, "either")) == End("no_deal_is_worth_it")
    plays = Zeuthen(candidates=[Candidate(1, 1, value=1.0)])
    strange = Candidate(5, 5, value=7.0)
    assert plays(party_after(strange, strange, "either")) == End("unknown_deal")
