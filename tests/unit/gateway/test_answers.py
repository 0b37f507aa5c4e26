"""What the engine's answers are on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.answers import POINTERS, fault_of, opened
from gateway.refusals import CODES
from llmx.v1.negotiation_pb2 import NegotiationOpened
from policy.acceptance import parse
from policy.effects import Refuse
from policy.fairness import Fairness, objection, parse_rules
from policy.protocols import PROTOCOLS
from tests.support.plays import make_call

VICKREY = parse({"select": "vickrey"})
ROUND = "/payload/round"


def test_every_pointer_belongs_to_a_code() -> None:
    assert POINTERS.keys() <= CODES.keys()


@pytest.mark.parametrize(
    ("code", "pointer"),
    [
        ("STALE_OFFER", "/payload/offer_id"),
        ("NOT_YOUR_TURN", "/envelope/act"),
        ("BUDGET_EXHAUSTED", ""),
    ],
)
def test_a_refusal_of_the_engine_points_where_the_mistake_is(code: str, pointer: str) -> None:
    fault = fault_of(Refuse("agent://bob", "m1", code, "it is too late", "be faster"))
    assert (fault.code, fault.reason, fault.remedy) == (code, "it is too late", "be faster")
    assert fault.pointer == pointer


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"acceptance": VICKREY, "utility": "value"}, "/payload/utility"),
        ({"acceptance": VICKREY, "decider": "initiator"}, "/payload/decider"),
        ({"protocol": "sealed-bid", "decider": "initiator"}, "/payload/decider"),
        ({"protocol": "iterated-contract-net"}, "/payload/decider"),
        ({"protocol": "iterated-contract-net", "decider": "initiator", "round": 2}, ROUND),
        ({"max_awards": 65}, "/payload/max_awards"),
    ],
)
def test_a_call_that_contradicts_itself_is_shown_the_member(
    changed: dict[str, Any], pointer: str
) -> None:
    call = replace(make_call(), **changed)
    refuse = PROTOCOLS[call.protocol].objection(call)
    assert refuse is not None and fault_of(refuse).pointer == pointer


def test_a_rule_of_fairness_that_is_not_met_is_shown() -> None:
    few = Fairness(parse_rules({"min_eligible": 3}))
    refuse = objection(few, "agent://alice", "m", 2, second_price=False)
    assert refuse is not None and fault_of(refuse).pointer == "/payload/fairness/min_eligible"
    rated = Fairness(parse_rules({"by_rating": True}))
    refuse = objection(rated, "agent://alice", "m", 2, second_price=True)
    assert refuse is not None and fault_of(refuse).pointer == "/payload/fairness/by_rating"


def test_an_initiator_is_told_which_negotiation_its_call_has_opened() -> None:
    call = make_call()
    told = NegotiationOpened.FromString(opened(call, "call-2"))
    assert (told.msg_id, told.negotiation_id) == ("call-2", call.negotiation_id)
    assert list(told.eligible) == list(call.eligible)
    assert told.closes_at.ToNanoseconds() == int(call.closes_at * 1e9)
    assert told.policy.startswith("flow/high@")
