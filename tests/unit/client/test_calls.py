"""A contractor's view of a negotiation."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmx.calls import Call, Offer, Refusal, Verdict
from llmx.v1.envelope_pb2 import Act, Envelope


def call(**body: Any) -> Call:
    return Call(
        Envelope(
            msg_id="c", sender="agent://alice", act=Act.ACT_CFP, payload=json.dumps(body).encode()
        )
    )


def test_a_call_reads_as_its_payload_says():
    c = call(task={"gpus": 4}, reserve=50, round=2, direction="allocate", report_within=9)
    assert (c.initiator, c.task, c.reserve, c.round) == ("agent://alice", {"gpus": 4}, 50, 2)
    assert (c.direction, c.report_within) == ("allocate", 9)


def test_what_a_call_does_not_say_has_defaults():
    c = call()
    assert (c.task, c.reserve, c.round, c.direction) == ({}, None, 1, "procure")
    assert c.report_within is None
    assert call(task="two GPUs").task == "two GPUs"


def test_the_round_is_that_of_the_turn_when_the_call_does_not_say_it():
    c = call()
    c.envelope.turn.round = 3
    assert c.round == 3


def test_a_path_is_read_or_nothing():
    c = call(task={"gpus": 4})
    assert c.read("task.gpus") == 4
    assert c.read("task.gpus.more") is None
    assert c.read("elsewhere") is None


def test_the_time_left_is_known_from_a_span_or_a_deadline():
    assert 4 < call(reply_within=5).seconds_left <= 5
    soon = datetime.now(UTC) + timedelta(seconds=60)
    assert 50 < call(deadline=soon.isoformat()).reply_within <= 60
    assert call(deadline="soon").reply_within == 0
    assert call(deadline="2026-01-01T10:00").reply_within == 0


def test_an_offer_sends_only_what_it_says():
    assert Offer(40).body() == {"value": 40}
    full = call().offer(40, {"start_in": 2}, {"gpus": 4}, valid_for=9, revocable=True, text="hi")
    assert full.body() == {
        "value": 40,
        "conditions": {"start_in": 2},
        "terms": {"gpus": 4},
        "valid_for": 9,
        "revocable": True,
        "text": "hi",
    }
    assert call().offer(40, hold=True, claimed=90).body() == {
        "value": 40,
        "hold": True,
        "claimed": 90,
    }
    assert call().refuse("busy") == Refusal("busy")


@pytest.mark.parametrize("award", [{"report_within": 5}, {}])
def test_a_verdict_wants_a_report_when_call_or_award_say_so(award: dict[str, Any]):
    verdict = Verdict(True, "", "n", "o", Offer(1), call(), award=award)
    assert verdict.wants_report is bool(award)
