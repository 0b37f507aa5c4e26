"""How acts become events of the engine, and its effects messages."""

from __future__ import annotations

from typing import Any

import jsonschema
import orjson
import pytest

from gateway.codec import EVENT_OF, TOLD_ACTS, Teller, event_of, reply_by
from gateway.shipped_schemas import text
from llmx.v1.envelope_pb2 import Act, Envelope
from policy import events
from policy.effects import Tell

BOB = "agent://bob"


def event(act: int, **body: Any) -> events.Event:
    return EVENT_OF[act](BOB, "m1", body, 100.0)


def test_every_act_inside_a_negotiation_means_something_to_the_engine() -> None:
    outside = {Act.ACT_UNSPECIFIED, Act.ACT_MESSAGE, Act.ACT_CFP}
    assert EVENT_OF.keys() == set(Act.values()) - outside


@pytest.mark.parametrize(
    ("act", "body", "expected"),
    [
        (Act.ACT_ACCEPT, {"offer_id": "o1"}, events.AcceptReceived(BOB, "m1", "o1")),
        (Act.ACT_REJECT, {"offer_id": "o1"}, events.RejectReceived(BOB, "m1", "o1")),
        (Act.ACT_REJECT, {"reason": "none"}, events.RejectReceived(BOB, "m1", "")),
        (Act.ACT_CONFIRM, {"offer_id": "o1"}, events.ConfirmReceived(BOB, "m1", "o1")),
        (Act.ACT_REFUSE, {}, events.RefusalReceived(BOB, "m1", "")),
        (Act.ACT_REFUSE, {"reason": "busy"}, events.RefusalReceived(BOB, "m1", "busy")),
        (Act.ACT_NOT_UNDERSTOOD, {"reason": "?"}, events.NotUnderstoodReceived(BOB, "m1")),
        (Act.ACT_CANCEL, {"reason": "ill"}, events.CancelReceived(BOB, "m1", "ill")),
        (Act.ACT_INFORM, {"result": 1}, events.ReportReceived(BOB, "m1", succeeded=True)),
        (Act.ACT_INFORM, {"done": False}, events.ReportReceived(BOB, "m1", succeeded=False)),
        (Act.ACT_FAILURE, {"reason": "x"}, events.ReportReceived(BOB, "m1", succeeded=False)),
        (Act.ACT_THINKING, {"seconds": 5}, events.ThinkingReceived(BOB, "m1", 5.0)),
        (Act.ACT_THINKING, {}, events.ThinkingReceived(BOB, "m1", 30.0)),
        (
            Act.ACT_COUNTER,
            {"offer_id": "o1", "value": 2},
            events.CounterReceived(BOB, "m1", value=2.0, offer_id="o1"),
        ),
    ],
)
def test_an_act_becomes_its_event(act: int, body: dict[str, Any], expected: events.Event) -> None:
    assert event(act, **body) == expected


def test_an_offer_with_terms_alone_is_a_proposal() -> None:
    """Between two parties nobody has to say a price; a contract net refuses it."""
    said = event(Act.ACT_OFFER, terms={"when": "noon"}, valid_for=2.5, round=2)
    expected = events.CounterReceived(BOB, "m1", terms={"when": "noon"}, valid_until=102.5, round=2)
    assert said == expected


def test_an_offer_that_is_sealed_is_a_commitment() -> None:
    said = event(Act.ACT_OFFER, commitment="0" * 64)
    assert said == events.CommitmentReceived(BOB, "m1", "0" * 64)
    opened = event(Act.ACT_OFFER, value=3, nonce="1" * 64)
    assert isinstance(opened, events.OfferReceived) and opened.fields["nonce"] == "1" * 64


def test_a_counter_offer_says_all_that_its_schema_knows() -> None:
    conditions = [{"field": "terms.price", "operator": "<=", "value": 50}]
    said = event(
        Act.ACT_COUNTER,
        offer_id="o1",
        terms={"price": 45},
        valid_from="1970-01-01T00:01Z",
        valid_until="1970-01-01T00:03Z",
        conditions=conditions,
    )
    assert said == events.CounterReceived(
        BOB,
        "m1",
        terms={"price": 45},
        valid_from=60.0,
        valid_until=180.0,
        offer_id="o1",
        conditions=tuple(conditions),
    )


def test_a_call_inside_a_negotiation_opens_another_round_to_whom_it_names() -> None:
    envelope = Envelope(
        msg_id="m1", act=Act.ACT_CFP, recipients=["agent://c", "agent://d", "agent://c"]
    )
    body = {"reply_within": 5, "round": 2.0, "reserve": 40}
    assert event_of(envelope, BOB, body, 100.0) == events.RevisedCallReceived(
        BOB, "m1", 2, ("agent://c", "agent://d"), 105.0, 105.0, body
    )
    unreadable = event_of(envelope, BOB, {"deadline": "2025-02-30T00:00Z"}, 100.0)
    assert isinstance(unreadable, events.RevisedCallReceived) and unreadable.closes_at == 100.0


def test_any_other_act_is_read_as_ever() -> None:
    envelope = Envelope(msg_id="m1", act=Act.ACT_REFUSE)
    assert event_of(envelope, BOB, {}, 1.0) == events.RefusalReceived(BOB, "m1")


def test_an_offer_carries_its_whole_payload_for_the_utility() -> None:
    offer = event(Act.ACT_OFFER, value=3, terms={"gpus": 4})
    assert offer == events.OfferReceived(BOB, "m1", 3.0, {"value": 3, "terms": {"gpus": 4}})
    assert isinstance(offer, events.OfferReceived)
    assert repr(offer.value) == "3.0"


def test_an_offer_is_valid_from_when_the_gateway_received_it() -> None:
    offer = event(Act.ACT_OFFER, value=3, valid_for=2.5, timestamp="1999-01-01T00:00Z")
    assert isinstance(offer, events.OfferReceived) and offer.valid_until == 102.5


@pytest.mark.parametrize(
    ("body", "revocable"),
    [
        ({}, False),
        ({"revocable": True}, True),
        ({"revocable": False}, False),
        ({"conditions": {}}, False),
        ({"conditions": {"revocable": True}}, True),
        ({"conditions": {"revocable": "yes"}}, False),
        ({"conditions": {"revocable": 1}}, False),
        ({"revocable": True, "conditions": {"revocable": False}}, True),
    ],
)
def test_an_offer_binds_unless_it_says_that_it_is_revocable(
    body: dict[str, Any], revocable: bool
) -> None:
    offer = event(Act.ACT_OFFER, value=3, **body)
    assert isinstance(offer, events.OfferReceived) and offer.revocable is revocable


def test_an_offer_may_say_from_when_it_is_good() -> None:
    start = "2025-08-21T18:46Z"
    offer = EVENT_OF[Act.ACT_OFFER](BOB, "m1", {"value": 3, "valid_from": start}, 0.0)
    assert isinstance(offer, events.OfferReceived)
    assert offer.valid_from == 1755801960.0


def test_no_payload_makes_an_offer_a_probe() -> None:
    offer = event(Act.ACT_OFFER, value=3, probe=True)
    assert isinstance(offer, events.OfferReceived) and not offer.probe


def told(tell: Tell) -> bytes:
    return Teller("gateway://gw", "gw.0.1", "2026-01-01T00:00Z").told(tell)


TELLS = [
    ("accept", {"offer_id": "o1", "decision": "accepted", "price": 3.0}),
    ("reject", {"offer_id": "o1", "decision": "rejected", "reason": "outbid"}),
    ("inform", {"result": {"ranking": []}, "done": False}),
    ("failure", {"reason": "no_report"}),
    ("cancel", {"reason": "initiator"}),
    ("confirm", {"offer_id": "o1"}),
]


def test_every_act_that_the_engine_tells_has_an_example_here() -> None:
    assert {act for act, _ in TELLS} == TOLD_ACTS.keys()


@pytest.mark.parametrize(("act", "body"), TELLS)
def test_what_the_engine_tells_is_an_envelope_whose_schema_accepts_it(
    act: str, body: dict[str, Any]
) -> None:
    tell = Tell(BOB, act, "gw.0.1:7", "o1", body)
    envelope = Envelope.FromString(told(tell))
    assert (envelope.sender, list(envelope.recipients)) == ("gateway://gw", [BOB])
    assert (envelope.msg_id, envelope.in_reply_to) == ("gw.0.1:7", "o1")
    assert envelope.negotiation_id == "gw.0.1" and envelope.act == TOLD_ACTS[act]
    payload = orjson.loads(envelope.payload)
    assert payload == {
        "$schema": "https://llm-x.org/schemas/v1/Negotiation.json",
        "act": act,
        **body,
    }
    jsonschema.Draft202012Validator(orjson.loads(text("Negotiation"))).validate(payload)


def test_nothing_of_one_message_is_left_in_the_next() -> None:
    """One envelope is filled again for every message of a step."""
    teller = Teller("gateway://gw", "gw.0.1", "2026-01-01T00:00Z")
    tells = [
        Tell(BOB, "accept", "gw.0.1:1", "o1", {"offer_id": "o1", "decision": "accepted"}),
        Tell("agent://eve", "cancel", "gw.0.1:2", "", {"reason": "x"}),
        Tell(BOB, "inform", "gw.0.1:3", "m1", {"outcome": {}}),
    ]
    assert [teller.told(tell) for tell in tells] == [told(tell) for tell in tells]


def test_an_outcome_is_told_under_its_own_schema() -> None:
    tell = Tell(BOB, "inform", "gw.0.1:9", "m1", {"outcome": {"state": "committed"}})
    envelope = Envelope.FromString(told(tell))
    payload = orjson.loads(envelope.payload)
    assert payload["$schema"] == "https://llm-x.org/schemas/v1/Outcome.json"


def test_a_deadline_counts_from_the_gateways_clock_or_is_a_time_with_a_zone() -> None:
    assert reply_by({"reply_within": 2}, 100.0) == 102.0
    assert reply_by({"deadline": "2025-08-21T18:50Z"}, 100.0) == 1755802200.0


@pytest.mark.parametrize("text", ["2025-02-30T00:00Z", "2025-08-21T18:50:60Z", "2025-08-21T18:50"])
def test_a_deadline_that_is_no_moment_is_none(text: str) -> None:
    """The schema's pattern lets the first two through."""
    assert reply_by({"deadline": text}, 100.0) is None
