"""The rules of a bargain, read from its call."""

from __future__ import annotations

from typing import Any

import pytest

from policy.bargaining import ROUNDS, Rules, Terms, objection
from policy.deals import Deal
from policy.discount import Discount
from policy.issues import issues_of
from tests.support.bargains import CONCESSION, OFFERS, make_bargain

ALICE, BOB = "agent://alice", "agent://bob"


def deal(value: float | None = None, **terms: object) -> Deal:
    return Deal("m", BOB, terms, value, 1)


def test_a_call_that_says_nothing_has_the_usual_rules():
    terms = Terms.of(make_bargain())
    assert terms.rules == Rules()
    assert (terms.rules.max_rounds, terms.rules.first) == (ROUNDS, "responder")
    assert (terms.initiator, terms.responder, terms.size) == (ALICE, BOB, 1)
    assert terms.eligible == {BOB}


def test_every_rule_is_read():
    options: dict[str, Any] = {
        "max_rounds": 7.0,
        "turn_within": 2,
        "on_timeout": "repeat",
        "opening": {"value": 1},
        "discount": {"kind": "round", "initiator": 0.5},
        "must_concede": True,
        "step_min": 1,
        "concession": "zeuthen",
        "conflict": {"responder": 2},
    }
    assert Terms.of(make_bargain(**options)).rules == Rules(
        max_rounds=7,
        turn_within=2,
        on_timeout="repeat",
        first="initiator",
        opening={"value": 1},
        discount=Discount("round", 0.5, 1),
        must_concede=True,
        step_min=1.0,
        concession="zeuthen",
        conflict=(0.0, 2.0),
    )


@pytest.mark.parametrize(("deadline", "ends"), [(None, 10.0), (60.0, 60.0)])
def test_it_ends_at_the_deadline_of_the_call_whatever_the_window(
    deadline: float | None, ends: float
):
    assert Terms.of(make_bargain(call={"deadline": deadline})).deadline == ends


def test_parties_know_each_other():
    terms = Terms.of(make_bargain())
    assert (terms.other(ALICE), terms.other(BOB)) == (BOB, ALICE)
    assert (terms.side(ALICE), terms.side(BOB)) == ("initiator", "responder")
    assert terms.is_party(BOB) and not terms.is_party("agent://carol")


@pytest.mark.parametrize(
    ("direction", "alice", "bob"), [("procure", -40, 40), ("allocate", 40, -40)]
)
def test_a_value_is_worth_the_opposite_to_the_two(direction: str, alice: float, bob: float):
    terms = Terms.of(make_bargain(call={"direction": direction}))
    assert (terms.worth(ALICE, deal(40)), terms.worth(BOB, deal(40))) == (alice, bob)
    assert terms.worth(BOB, deal(price=3)) is None
    assert terms.gain(BOB, deal(40), deal(45)) == (5 if bob > 0 else -5)


def test_declared_utilities_say_what_a_deal_is_worth():
    declared = {"initiator": "-terms.price", "responder": "terms.price + 1"}
    terms = Terms.of(make_bargain(utilities=declared))
    assert (terms.worth(ALICE, deal(price=3)), terms.worth(BOB, deal(price=3))) == (-3, 4)
    assert terms.worth(ALICE, deal(7)) is None


def test_declared_utilities_read_the_worth_of_issues():
    issues = issues_of([{"name": "n", "type": "integer", "min": 0, "max": 4, "better": "high"}])
    declared = {"initiator": "worth.n", "responder": "-worth.n"}
    terms = Terms.of(make_bargain(call={"issues": issues}, utilities=declared))
    assert terms.worth(ALICE, deal(n=1)) == 0.25


@pytest.mark.parametrize(
    ("step_min", "gain", "enough"),
    [(0, 0, False), (0, 1e-9, True), (0.1, 0.3 - 0.2, True), (0.1, 0.09, False), (1, -1, False)],
)
def test_a_concession_is_a_gain_of_at_least_the_step(step_min: float, gain: float, enough: bool):
    terms = Terms.of(make_bargain(step_min=step_min))
    assert terms.is_concession(gain) is enough


@pytest.mark.parametrize(
    ("protocol", "call", "options", "code"),
    [
        (OFFERS, {"eligible": ()}, {}, "OPTIONS_INVALID"),
        (OFFERS, {"eligible": (BOB, "agent://carol")}, {}, "OPTIONS_INVALID"),
        (OFFERS, {"eligible": (ALICE,)}, {}, "OPTIONS_INVALID"),
        (OFFERS, {}, {"concession": "both"}, "OPTIONS_INVALID"),
        (CONCESSION, {}, {"first": "initiator"}, "OPTIONS_INVALID"),
        (OFFERS, {}, {"utilities": {"initiator": "1 +", "responder": "1"}}, "UTILITY_INVALID"),
        (OFFERS, {}, {"discount": {"kind": "round", "responder": 2}}, "OPTIONS_INVALID"),
        (OFFERS, {}, {"opening": {"value": 1}, "first": "responder"}, "OPTIONS_INVALID"),
    ],
)
def test_rules_that_contradict_are_objected_to(
    protocol: str, call: dict[str, Any], options: dict[str, Any], code: str
):
    refusal = objection(make_bargain(protocol, call=call, **options))
    assert refusal is not None
    assert (refusal.recipient, refusal.code) == (ALICE, code)
    assert refusal.reason and refusal.remedy


def test_an_opening_keeps_to_the_issues_of_the_call():
    issues = issues_of([{"name": "n", "type": "integer", "min": 0, "max": 4}])
    wrong = objection(make_bargain(call={"issues": issues}, opening={"value": 1}))
    assert wrong is not None and wrong.code == "TERMS_INVALID"
    right = make_bargain(
        call={"issues": issues},
        opening={"terms": {"n": 4}},
        first="initiator",
        discount={"kind": "time"},
    )
    assert objection(right) is None
    assert objection(make_bargain(CONCESSION, concession="zeuthen")) is None
