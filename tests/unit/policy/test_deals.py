"""What a message proposes, and when it may be accepted."""

from __future__ import annotations

from typing import Any

import pytest

from policy.deals import (
    Deal,
    answered_id,
    broken_condition,
    comparisons,
    deal_of,
    said_round,
    terms_sha256,
)
from policy.events import CounterReceived, OfferReceived


def test_a_value_alone_is_a_proposal_of_one_number():
    deal = deal_of(CounterReceived("b", "m", value=40), 3)
    assert deal == Deal("m", "b", {"value": 40}, 40, 3)


def test_terms_alone_have_no_value():
    deal = deal_of(CounterReceived("b", "m", {"price": 1}, valid_from=1, valid_until=2), 1)
    assert deal == Deal("m", "b", {"price": 1}, None, 1, 1, 2)
    assert deal_of(CounterReceived("b", "m"), 1) is None


def test_an_offer_is_read_from_its_payload():
    one = {"field": "value", "operator": "<", "value": 5}
    fields = {"terms": {"price": 1}, "conditions": [one], "round": 2, "offer_id": "o"}
    offer = OfferReceived("b", "m", 1, fields, valid_until=9, valid_from=3)
    assert deal_of(offer, 2) == Deal("m", "b", {"price": 1}, 1, 2, 3, 9, (one,))
    assert (said_round(offer), answered_id(offer)) == (2, "o")
    bare = OfferReceived("b", "m", 1, {"terms": "none"})
    assert deal_of(bare, 2) == Deal("m", "b", {"value": 1}, 1, 2)
    assert (said_round(bare), answered_id(bare)) == (None, "")
    counter = CounterReceived("b", "m", value=1, round=4, offer_id="p")
    assert (said_round(counter), answered_id(counter)) == (4, "p")


@pytest.mark.parametrize("conditions", [None, {"revocable": True}, "soon"])
def test_conditions_that_no_machine_reads_are_none_to_it(conditions: object):
    """N-3.8: evaluated only if machine-readable, otherwise carried."""
    assert comparisons(conditions) == ()


@pytest.mark.parametrize(
    ("field", "sign", "value", "holds"),
    [
        ("terms.price", "==", 40, True),
        ("terms.price", "!=", 40, False),
        ("terms.price", "<=", 40, True),
        ("terms.price", "<", 40, False),
        ("terms.price", ">=", 40, True),
        ("terms.price", ">", 39.5, True),
        ("value", "==", 40, True),
        ("round", "<=", 2, True),
        ("terms.region", "==", "eu", True),
        ("terms.region", "<", 3, False),
        ("terms.region.part", "==", "eu", False),
        ("terms.missing", "!=", 1, True),
        ("terms.missing", "<", 1, False),
        ("terms.spot", "==", True, True),
        ("terms.spot", "==", 1, False),
        ("terms.spot", ">", 0, False),
        ("terms.price", ">", True, False),
    ],
)
def test_a_comparison_reads_the_deal_and_the_round(field: str, sign: str, value: Any, holds: bool):
    """N-3.8: a simple comparison list."""
    condition = {"field": field, "operator": sign, "value": value}
    terms = {"price": 40, "region": "eu", "spot": True}
    deal = Deal("m", "b", terms, 40, 1, conditions=(condition,))
    assert broken_condition(deal, 2) == ("" if holds else f"{field} {sign} {value}")


def test_a_deal_is_shown_with_what_it_says():
    assert Deal("m", "b", {"value": 4}, 4, 1, None, 9).body() == {
        "offer_id": "m",
        "terms": {"value": 4},
        "round": 1,
        "value": 4,
        "valid_until": 9,
    }
    assert Deal("m", "b", {"a": 1}, None, 1).body() == {
        "offer_id": "m",
        "terms": {"a": 1},
        "round": 1,
    }


def test_terms_are_known_again_however_their_members_are_ordered():
    """N-3.5: the hash of canonical JSON."""
    assert terms_sha256({"a": 1, "b": 2}) == terms_sha256({"b": 2, "a": 1})
    assert terms_sha256({"a": 1}) != terms_sha256({"a": 1.5})
    assert terms_sha256({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
