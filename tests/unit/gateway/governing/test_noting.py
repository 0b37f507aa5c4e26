"""Which facts follow from an outcome."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.governing.facts import Awarded, Claimed, Used, Waited
from gateway.governing.noting import facts_of, goods_of
from policy.acceptance import PROFILES
from policy.call import Call
from policy.events import OfferReceived
from policy.stakes import Need, Stakes
from policy.table import Record

ALICE, BOB = "agent://alice", "agent://bob"


def call_of(**said: Any) -> Call:
    fields: dict[str, Any] = {
        "negotiation_id": "n",
        "initiator": ALICE,
        "msg_id": "m",
        "eligible": (BOB,),
        "acceptance": next(iter(PROFILES.values())),
        "opened_at": 1.0,
        "closes_at": 2.0,
    }
    return Call(**fields | said)


def outcome_of(**winner: Any) -> dict[str, Any]:
    won = {"agent": BOB, "offer_id": "o", "value": 30.0, "price": 12.0} | winner
    return {"winners": [won], "decided_at": 1.5}


def record_of(call: Call, **fields: object) -> Record:
    return Record(call, 1.0, [(1.2, OfferReceived(BOB, "o", value=30.0, fields=fields))])


def test_a_winner_was_awarded_and_a_caller_waited() -> None:
    call = call_of()
    assert list(facts_of("acme", record_of(call), outcome_of())) == [
        Awarded("acme", BOB, 12.0, 1.5),
        Waited("acme", ALICE, 0.5, 1.5),
    ]


def test_whoever_pays_uses_the_units_for_their_time() -> None:
    lock = {"resource": "gpu/h100", "units": 4, "from": 10.0, "until": 70.0}
    won = outcome_of(credit={"payer": ALICE, "micros": 1}, locks=[lock])
    facts = list(facts_of("acme", record_of(call_of()), won))
    assert facts[1] == Used("acme", ALICE, "gpu", 240.0, 1.5)
    won = outcome_of(credit={"payer": BOB, "micros": 1})
    assert list(facts_of("acme", record_of(call_of()), won))[1] == Used("acme", BOB, "", 1.0, 1.5)


@pytest.mark.parametrize(
    ("fields", "value", "claimed"),
    [
        ({"claimed": 50}, 30.0, [50.0]),
        ({}, 30.0, [30.0]),
        ({}, None, []),
        ({}, -3.0, []),
        ({}, True, []),
        ({"claimed": 10**400}, 30.0, []),
    ],
)
def test_a_winner_that_has_to_report_leaves_its_claim_or_its_value(
    fields: dict[str, object], value: float | None, claimed: list[float]
) -> None:
    call = call_of(report_within=60.0)
    facts = facts_of("acme", record_of(call, **fields), outcome_of(value=value))
    found = [fact for fact in facts if isinstance(fact, Claimed)]
    assert found == [Claimed("acme", "n", ALICE, BOB, one, 1.5) for one in claimed]


def test_a_call_uses_whole_resources_or_nothing_by_name() -> None:
    needs = (Need("gpu/h100", 1, 60.0), Need("disk", 1, 60.0))
    assert goods_of(call_of(stakes=Stakes(needs))) == {"gpu", "disk"}
    assert goods_of(call_of(stakes=Stakes())) == goods_of(call_of()) == {""}
