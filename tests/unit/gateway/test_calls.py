"""What a call for proposals asks of the engine, and what cannot be opened."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.calls import CallLimits, call_of, why_not_revise
from gateway.policies import Policies
from gateway.refusals import Fault
from policy.call import Call

NOW = 1755801900.0  # 2025-08-21T18:45Z
LIMITS = CallLimits(deadline_seconds_max=3600, linger_seconds=30)
POLICIES = Policies("flow/high", {"short": {"window": 5}})


def asked(**body: Any) -> Call | Fault:
    return call_of(
        body,
        negotiation_id="gw.0.1",
        msg_id="m1",
        initiator="agent://alice",
        tenant="acme",
        eligible=("agent://bob", "agent://carol"),
        policies=POLICIES,
        limits=LIMITS,
        now=NOW,
    )


def opened(**body: Any) -> Call:
    call = asked(**body)
    assert isinstance(call, Call), call
    return call


def refused(**body: Any) -> Fault:
    fault = asked(**body)
    assert isinstance(fault, Fault), fault
    return fault


def test_a_call_that_says_nothing_else_gets_the_defaults() -> None:
    call = opened(reply_within=2)
    assert (call.opened_at, call.closes_at) == (NOW, NOW + 2)
    assert (call.direction, call.decider, call.max_awards, call.round) == (
        "procure",
        "engine",
        1,
        1,
    )
    assert (call.decide_within, call.confirm_within, call.report_within) == (30, 10, None)
    assert call.acceptance.name == "flow/high" and call.reserve is None and call.utility == ""
    assert call.linger == LIMITS.linger_seconds


def test_a_call_gets_what_it_asks_for() -> None:
    call = opened(
        deadline="2025-08-21T18:50Z",
        policy={"profile": "flow/low", "confirm": True},
        direction="allocate",
        decider="initiator",
        decide_within=5,
        utility="-value",
        reserve=40,
        max_awards=3,
        confirm_within=7,
        report_within=60,
        round=2,
    )
    assert call.closes_at == NOW + 300
    assert (call.direction, call.decider, call.utility) == ("allocate", "initiator", "-value")
    assert (call.decide_within, call.confirm_within, call.report_within) == (5, 7, 60)
    assert (call.reserve, call.max_awards, call.round) == (40, 3, 2)
    assert call.acceptance.select == "first" and call.acceptance.confirm


def test_a_window_closes_the_round_before_its_deadline_and_never_after() -> None:
    assert opened(reply_within=100, policy="short").closes_at == NOW + 5
    assert opened(reply_within=2, policy="short").closes_at == NOW + 2
    assert opened(reply_within=100, policy="short").deadline == NOW + 100


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"deadline": "2025-08-21T18:45Z"}, "/payload/deadline"),  # this very moment
        ({"deadline": "2020-01-01T00:00Z"}, "/payload/deadline"),
        ({"deadline": "2025-08-21T19:45:01Z"}, "/payload/deadline"),
        ({"deadline": "2025-02-30T00:00Z"}, "/payload/deadline"),
        ({"reply_within": 3601}, "/payload/reply_within"),
        ({"reply_within": 1e-9}, "/payload/reply_within"),  # less than the clock can tell
    ],
)
def test_a_deadline_lies_ahead_and_not_too_far(body: dict[str, Any], pointer: str) -> None:
    fault = refused(**body)
    assert (fault.code, fault.pointer) == ("DEADLINE_INVALID", pointer)


def test_the_furthest_deadline_is_still_taken() -> None:
    assert opened(reply_within=3600).closes_at == NOW + 3600


def test_a_policy_that_nobody_knows_is_refused_where_it_stands() -> None:
    fault = refused(reply_within=2, policy="nowhere")
    assert (fault.code, fault.pointer) == ("POLICY_INVALID", "/payload/policy")


def test_a_utility_that_cannot_be_computed_is_refused_where_it_stands() -> None:
    fault = refused(reply_within=2, utility="__import__('os')")
    assert (fault.code, fault.pointer) == ("UTILITY_INVALID", "/payload/utility")


def test_whole_numbers_stay_whole_however_they_are_written() -> None:
    """JSON Schema takes 2.0 for an integer; to award 2.0 units would end the shard."""
    call = opened(reply_within=2, max_awards=2.0, round=3.0)
    assert (call.max_awards, call.round) == (2, 3)
    assert type(call.max_awards) is int and type(call.round) is int


def test_what_the_gateway_cannot_promise_is_refused() -> None:
    """Rather than accepted and not kept."""
    other = refused(reply_within=2, protocol="barter")
    assert (other.code, other.pointer) == ("UNKNOWN_PROTOCOL", "/payload/protocol")
    assert opened(reply_within=2, protocol="contract-net", durable=False)


def test_a_whole_number_in_a_call_is_told_again_as_it_was() -> None:
    """A record knows floats only: 100 told as "100" would not replay to the byte."""
    call = opened(reply_within=5, reserve=100, report_within=3)
    assert (repr(call.reserve), repr(call.report_within)) == ("100.0", "3.0")


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("alternating-offers", {"bargaining": {"max_rounds": 3}}),
        ("monotonic-concession", {"bargaining": {"concession": "both"}}),
        ("iterated-contract-net", {"iterations": {"rounds_max": 2}}),
        ("sealed-bid", {"sealed": {"price": "first"}}),
    ],
)
def test_a_call_carries_the_options_of_its_protocol(protocol: str, said: dict[str, Any]) -> None:
    call = opened(reply_within=2, protocol=protocol, **said)
    (options,) = said.values()
    assert (call.protocol, call.options) == (protocol, options)
    assert opened(reply_within=2, protocol=protocol).options == {}


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"bargaining": {}}, "/payload/bargaining"),
        ({"protocol": "sealed-bid", "iterations": {}}, "/payload/iterations"),
        ({"protocol": "alternating-offers", "sealed": {}}, "/payload/sealed"),
        ({"options": {}}, "/payload/options"),
    ],
)
def test_options_of_another_protocol_are_refused_where_they_stand(
    said: dict[str, Any], pointer: str
) -> None:
    """Whoever wrote them meant something that would not happen."""
    fault = refused(reply_within=2, **said)
    assert (fault.code, fault.pointer) == ("OPTIONS_INVALID", pointer)


def test_the_remedy_of_an_unknown_protocol_names_those_that_are_known() -> None:
    fault = refused(reply_within=2, protocol="barter")
    assert "alternating-offers" in fault.remedy and "contract-net" in fault.remedy


def test_a_call_names_the_issues_of_its_offers() -> None:
    said = [{"name": "gpus", "type": "integer", "min": 1, "max": 8}]
    (issue,) = opened(reply_within=2, issues=said).issues
    assert (issue.name, issue.low, issue.high) == ("gpus", 1, 8)
    fault = refused(reply_within=2, issues=said * 2)
    assert (fault.code, fault.pointer) == ("OPTIONS_INVALID", "/payload/issues")


@pytest.mark.parametrize(
    ("body", "to", "code", "pointer"),
    [
        ({"reply_within": 5}, ["topic://gpu"], "INVALID_ADDRESS", "/envelope/to"),
        ({"reply_within": 5}, ["agent://bob", "group://g"], "INVALID_ADDRESS", "/envelope/to"),
        ({"reply_within": 3601}, ["agent://bob"], "DEADLINE_INVALID", "/payload/reply_within"),
        ({"deadline": "2020-01-01T00:00Z"}, [], "DEADLINE_INVALID", "/payload/deadline"),
        ({"deadline": "2025-02-30T00:00Z"}, [], "DEADLINE_INVALID", "/payload/deadline"),
    ],
)
def test_another_round_is_for_named_agents_and_in_time(
    body: dict[str, Any], to: list[str], code: str, pointer: str
) -> None:
    fault = why_not_revise(body, to, LIMITS, NOW)
    assert fault is not None
    assert (fault.code, fault.pointer) == (code, pointer)


def test_another_round_may_be_called_while_there_is_time() -> None:
    assert why_not_revise({"reply_within": 5}, ["agent://bob"], LIMITS, NOW) is None
