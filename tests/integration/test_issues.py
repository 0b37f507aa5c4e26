"""Calls that name their issues, over a real gateway: what offers may say, and how they rank."""

from __future__ import annotations

from typing import Any

import pytest

from llmx.v1.envelope_pb2 import Act
from tests.support.raw_agent import Crowd, refused

GPUS: dict[str, Any] = {"name": "gpus", "type": "integer", "min": 1, "max": 8}
REGION: dict[str, Any] = {"name": "region", "type": "enum", "values": ["eu", "us"]}
WEIGHED = [
    GPUS | {"better": "high", "weight": 2},
    REGION | {"worth": [1, 0.5], "weight": 1},
]


async def test_an_offer_is_of_the_issues_of_the_call_or_hears_what_would_be(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    opened = await alice.call_for(crowd.topic(), issues=WEIGHED, policy="high")
    negotiation_id = opened.negotiation_id
    for terms, reason in (
        ({"gpus": 9, "region": "eu"}, "terms.gpus is not allowed"),
        ({"gpus": 8}, "terms.region is missing"),
        ({"gpus": 8, "region": "eu", "colour": 1}, "terms.colour is no issue"),
    ):
        wrong = bob.envelope(
            Act.ACT_OFFER, {"value": 1, "terms": terms}, negotiation_id=negotiation_id
        )
        await refused(bob, wrong, "TERMS_INVALID", "/payload", reason=reason)
    await bob.offer(negotiation_id, 9, terms={"gpus": 8, "region": "us"})
    await carol.offer(negotiation_id, 1, terms={"gpus": 1, "region": "eu"})
    outcome = await alice.outcome(negotiation_id)
    assert outcome["winners"][0]["agent"] == bob.address
    assert [entry["score"] for entry in outcome["ranking"]] == [2.5, 1]


@pytest.mark.parametrize(
    ("issues", "code", "pointer"),
    [
        ([GPUS | {"max": 0}], "OPTIONS_INVALID", "/payload/issues"),
        ([GPUS, GPUS], "OPTIONS_INVALID", "/payload/issues"),
        ([GPUS | {"weight": 1}], "OPTIONS_INVALID", "/payload/issues"),
        ([GPUS | {"name": "so many"}], "SCHEMA_VIOLATION", "/payload/issues/0/name"),
        ([], "SCHEMA_VIOLATION", "/payload/issues"),
    ],
)
async def test_issues_that_mean_nothing_are_refused(
    crowd: Crowd, issues: list[dict[str, Any]], code: str, pointer: str
) -> None:
    alice = await crowd.open("alice")
    await crowd.contractors("bob")
    call = alice.envelope(
        Act.ACT_CFP, {"reply_within": 5, "issues": issues}, recipients=[crowd.topic()]
    )
    await refused(alice, call, code, pointer)
