"""Fairness rules as data on top of any protocol."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from policy.effects import Refuse
from policy.fairness import (
    Fairness,
    FairnessError,
    FairnessRules,
    admitted,
    concedes,
    in_turn,
    objection,
    parse_rules,
)
from policy.served import Served, ServiceBook, Standing
from tests.support.plays import offer

AGENTS = ("agent://bob", "agent://carol", "agent://dave")
BOB, CAROL, DAVE = AGENTS


def fairness(
    served: dict[str, Served] | None = None, total: int | None = None, **rules: Any
) -> Fairness:
    """Return rules with a standing; `total` counts awards of others too."""
    served = served or {}
    counted = sum(one.awards for one in served.values()) if total is None else total
    return Fairness(FairnessRules(**rules), Standing(served, counted))


def test_without_rules_everybody_may_answer() -> None:
    who = admitted(fairness({BOB: Served(99, 1.0, 5.0)}), AGENTS, 5.0)
    assert (who.eligible, dict(who.left_out)) == (AGENTS, {})


def test_a_winner_cools_off_for_its_time_and_not_longer() -> None:
    rules = fairness({BOB: Served(1, 1.0, 10.0)}, cooling_off=5.0)
    assert admitted(rules, AGENTS, 14.9).eligible == (CAROL, DAVE)
    assert admitted(rules, AGENTS, 14.9).left_out == {BOB: "cooling_off"}
    assert admitted(rules, AGENTS, 15.0).eligible == AGENTS


def test_nobody_wins_more_than_its_share_of_the_window() -> None:
    """With this award bob would have 3 of 5."""
    rules = fairness({BOB: Served(2, 1.0, 1.0), CAROL: Served(1, 1.0, 1.0)}, total=4, max_share=0.5)
    assert admitted(rules, AGENTS, 9.0).left_out == {BOB: "max_share"}
    enough = fairness({BOB: Served(2, 1.0, 1.0)}, total=5, max_share=0.5)
    assert not admitted(enough, AGENTS, 9.0).left_out


def test_everybody_may_hold_one_award_however_small_the_share() -> None:
    assert not admitted(fairness(max_share=0.01), AGENTS, 0.0).left_out
    one_each = fairness({BOB: Served(1, 1.0, 1.0)}, max_share=0.01)
    assert admitted(one_each, AGENTS, 9.0).eligible == (CAROL, DAVE)


def test_when_too_few_would_be_left_those_served_least_come_back() -> None:
    """No rule leaves a call without answers."""
    served = {
        BOB: Served(3, 1.0, 7.0),
        CAROL: Served(1, 1.0, 9.0),
        DAVE: Served(1, 1.0, 8.0),
    }
    rules = fairness(served, cooling_off=100.0)
    assert admitted(rules, AGENTS, 10.0).eligible == (DAVE,)
    two = fairness(served, cooling_off=100.0, min_eligible=2)
    assert admitted(two, AGENTS, 10.0).eligible == (CAROL, DAVE)
    assert admitted(two, AGENTS, 10.0).left_out == {BOB: "cooling_off"}
    assert (
        admitted(fairness(served, cooling_off=100.0, min_eligible=9), AGENTS, 10.0).left_out == {}
    )
    assert admitted(rules, (), 10.0).eligible == ()


def test_a_call_to_fewer_than_the_smallest_set_is_refused() -> None:
    rules = fairness(min_eligible=3)
    assert objection(rules, "agent://alice", "call", 3, second_price=True) is None
    refused = objection(rules, "agent://alice", "call", 2, second_price=False)
    assert isinstance(refused, Refuse)
    assert (refused.code, refused.msg_id) == ("FAIRNESS_RULE", "call")
    assert "2 may answer" in refused.reason and "min_eligible" in refused.remedy


def test_of_equals_the_one_served_longest_ago_wins_if_the_call_wants_it() -> None:
    served = {BOB: Served(1, 1.0, 9.0), CAROL: Served(4, 1.0, 3.0)}
    offers = [offer("bob", 5), offer("carol", 5), offer("dave", 5), offer("erin", 5)]
    by_time = in_turn(fairness(served), offers)
    assert [one.sender for one in by_time] == [BOB, CAROL, DAVE, "agent://erin"]
    in_order = in_turn(fairness(served, tie_break="least_recently_served"), offers)
    assert [one.sender for one in in_order] == [DAVE, "agent://erin", CAROL, BOB]


def test_to_concede_is_to_offer_the_other_side_something_better() -> None:
    assert concedes(10, 9, lower_is_better=True)
    assert not concedes(10, 10, lower_is_better=True)
    assert concedes(10, 11, lower_is_better=False)
    assert not concedes(10, 9, lower_is_better=False)


def test_rules_are_read_from_plain_values() -> None:
    rules = parse_rules({"max_share": 0.5, "tie_break": "least_recently_served", "cooling_off": 2})
    assert rules == FairnessRules(max_share=0.5, tie_break="least_recently_served", cooling_off=2.0)
    assert parse_rules({}) == FairnessRules()


@pytest.mark.parametrize(
    "options",
    [
        {"max_share": 0},
        {"max_share": 1.5},
        {"max_share": "half"},
        {"min_eligible": 0},
        {"min_eligible": 10**6},
        {"cooling_off": -1},
        {"cooling_off": 1e9},
        {"tie_break": "coin"},
        {"surprise": 1},
    ],
)
def test_rules_that_cannot_be_are_told(options: dict[str, object]) -> None:
    with pytest.raises(FairnessError) as caught:
        parse_rules(options)
    assert str(caught.value)


def test_fairness_is_a_value_that_a_record_can_keep() -> None:
    rules = fairness({BOB: Served(1, 2.0, 3.0)}, max_share=0.5)
    assert pickle.loads(pickle.dumps(rules)) == rules


class ShareMachine(RuleBasedStateMachine):
    """Awards that follow each other, by chance among those admitted; greedy bob bids always."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = FairnessRules(max_share=0.4, cooling_off=1.0, min_eligible=1)
        self.book = ServiceBook(20.0)
        self.now = 0.0
        self.awards: list[tuple[float, str, bool]] = []

    @rule(chosen=st.integers(0, 2), pause=st.sampled_from([0.0, 1.0, 30.0]))
    def award(self, chosen: int, pause: float) -> None:
        self.now += pause
        fair = Fairness(self.rules, self.book.standing(AGENTS, self.now))
        who = admitted(fair, AGENTS, self.now)
        assert who.eligible, "somebody may always answer"
        assert set(who.eligible) | set(who.left_out) == set(AGENTS)
        winner = BOB if BOB in who.eligible else who.eligible[chosen % len(who.eligible)]
        yielded = len(who.eligible) == 1  # a rule may have yielded for it
        self.awards.append((self.now, winner, yielded))
        self.book.note_award(winner, 1.0, self.now)

    @invariant()
    def nobody_exceeds_its_share_where_another_could_win(self) -> None:
        if not self.awards or self.awards[-1][2]:
            return
        now, winner, _ = self.awards[-1]
        recent = Counter(agent for at, agent, _ in self.awards if at > now - 20.0)
        assert recent[winner] <= max(1.0, 0.4 * sum(recent.values()))
        last = [at for at, agent, _ in self.awards[:-1] if agent == winner]
        assert not last or now >= last[-1] + 1.0


TestShares = pytest.mark.slow(ShareMachine.TestCase)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=8),
    st.sampled_from([None, 0.1, 0.5, 1.0]),
    st.sampled_from([0.0, 3.0]),
    st.integers(1, 9),
)
def test_as_many_may_answer_as_the_call_wants_if_there_are_so_many(
    had: list[tuple[int, int]], share: float | None, cooling: float, least: int
) -> None:
    agents = tuple(f"agent://a{n}" for n in range(len(had)))
    served = {
        agent: Served(awards, float(awards), float(at))
        for agent, (awards, at) in zip(agents, had, strict=True)
    }
    rules = fairness(served, max_share=share, cooling_off=cooling, min_eligible=least)
    who = admitted(rules, agents, 9.0)
    assert len(who.eligible) >= min(least, len(agents))
    assert who.eligible == tuple(agent for agent in agents if agent not in who.left_out)
