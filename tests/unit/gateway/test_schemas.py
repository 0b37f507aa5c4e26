"""Payloads are judged by the schema they name."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from types import FrameType
from typing import Any

import orjson
import pytest

from gateway.acts import ACT_NAMES, ACTS
from gateway.schemas import ForeignSchema, SchemaRegistry, check_foreign, invalid_json
from gateway.shipped_schemas import NEGOTIATION_ACTS, schema_id
from gateway.strict_json import JsonFault
from policy import events
from policy.acceptance import PROFILES
from policy.call import Call
from policy.contract_net import open_call, step
from policy.effects import Effect, Tell

NEGOTIATION = schema_id("Negotiation")
REGISTRY = SchemaRegistry()
OFFER = ACTS["offer"]
MESSAGE = ACTS["message"]


@pytest.mark.parametrize("name", NEGOTIATION_ACTS)
def test_every_act_is_judged_by_its_own_definition(name: str) -> None:
    schema = REGISTRY.shipped[NEGOTIATION]
    judge = REGISTRY.judge(NEGOTIATION, ACTS[name])
    assert judge is not None
    example = orjson.loads(schema.examples[ACTS[name]])
    assert judge(example)
    assert judge(example | {"act": name})
    assert not judge(example | {"act": "message"})
    assert not judge([])


def test_the_papers_spelling_of_an_act_is_accepted_in_a_payload() -> None:
    for name, spelling in [("cfp", "CFP"), ("offer", "Offer"), ("accept", "Accept")]:
        example = orjson.loads(REGISTRY.shipped[NEGOTIATION].examples[ACTS[name]])
        judge = REGISTRY.judge(NEGOTIATION, ACTS[name])
        assert judge is not None
        assert judge(example | {"act": spelling})


@pytest.mark.parametrize(
    "uri",
    [
        NEGOTIATION,
        "https://llm-x.org/schemas/Negotiation.json",
        "https://example.org/elsewhere/Negotiation.json",
        "Negotiation.json",
    ],
)
def test_a_shipped_schema_answers_to_every_address_that_ends_in_its_file(uri: str) -> None:
    assert REGISTRY.resolve(uri, {}) is REGISTRY.shipped[NEGOTIATION]
    judge = REGISTRY.judge(uri, OFFER)
    assert judge is not None
    assert judge({"$schema": uri, "value": 1})


@pytest.mark.parametrize("uri", ["", "Negotiation", "https://llm-x.org/Nothing.json", "x/../"])
def test_other_addresses_name_nothing(uri: str) -> None:
    assert REGISTRY.resolve(uri, {}) is None
    assert REGISTRY.judge(uri, OFFER) is None
    fault = REGISTRY.unknown(uri, OFFER)
    assert fault.code == "UNKNOWN_SCHEMA"
    assert fault.pointer == "/payload/$schema"
    assert NEGOTIATION in fault.remedy


def test_a_registered_schema_goes_before_a_file_name_and_never_before_a_shipped_id() -> None:
    mine = ForeignSchema("https://acme.example/Negotiation.json", b"{}")
    squatter = ForeignSchema(NEGOTIATION, b"{}")
    known = {mine.schema_id: mine, NEGOTIATION: squatter}
    assert REGISTRY.resolve(mine.schema_id, known) is mine
    assert REGISTRY.resolve(NEGOTIATION, known) is REGISTRY.shipped[NEGOTIATION]


def test_names_that_strangers_make_up_do_not_fill_the_memory() -> None:
    registry = SchemaRegistry()
    for number in range(5_000):
        assert registry.judge(f"https://{number}.example/Negotiation.json", OFFER) is not None
    assert len(registry.judges) <= 1_024


def test_a_schema_judges_only_its_acts_and_says_which() -> None:
    assert REGISTRY.judge(NEGOTIATION, MESSAGE) is None
    assert REGISTRY.judge(schema_id("Text"), OFFER) is None
    assert REGISTRY.judge(schema_id("Envelope"), MESSAGE) is None
    fault = REGISTRY.explain(REGISTRY.shipped[NEGOTIATION], MESSAGE, {})
    assert fault.code == "SCHEMA_VIOLATION"
    assert '"message"' in fault.reason
    assert schema_id("Text") in fault.remedy


def test_a_proposal_between_two_parties_needs_no_value() -> None:
    proposal = {
        "$schema": schema_id("AlternatingOffer"),
        "round": 1,
        "terms": {"price": 5},
        "valid_until": "2025-08-21T18:50Z",
    }
    counter = REGISTRY.judge(schema_id("AlternatingOffer"), ACTS["counter"])
    offer = REGISTRY.judge(schema_id("AlternatingOffer"), OFFER)
    assert counter is not None
    assert offer is not None
    assert counter(proposal)
    assert offer(proposal)
    assert offer(proposal | {"value": 5})


@pytest.mark.parametrize("member", [{"value": 5}, {"terms": {}}, {"commitment": "0" * 64}])
def test_an_offer_says_a_value_or_terms_or_seals_them(member: dict[str, object]) -> None:
    offer = REGISTRY.judge(NEGOTIATION, OFFER)
    assert offer is not None
    assert offer({"$schema": NEGOTIATION, **member})
    assert not offer({"$schema": NEGOTIATION, "round": 1})


@pytest.mark.parametrize("act", sorted(ACT_NAMES))
def test_the_example_of_a_refusal_is_itself_valid(act: int) -> None:
    for schema in REGISTRY.shipped.values():
        if act in schema.judges:
            fault = REGISTRY.explain(schema, act, {})
            assert schema.judges[act](orjson.loads(fault.example))


@pytest.mark.parametrize(
    ("act", "change", "pointer", "said"),
    [
        ("offer", {"value": "12"}, "/payload/value", "a number"),
        ("offer", {"hunter2": 1}, "/payload/hunter2", "Remove it"),
        ("offer", {"valid_for": 0}, "/payload/valid_for", "more than 0"),
        ("offer", {"act": "cfp"}, "/payload/act", '"offer"'),
        ("offer", {"timestamp": "today"}, "/payload/timestamp", "2025-08-21T18:45Z"),
        ("cfp", {"deadline": "2025-08-21T18:45Z"}, "/payload", "deadline, reply_within"),
        ("cfp", {"decider": "me"}, "/payload/decider", '"engine", "initiator"'),
        ("cfp", {"policy": 7}, "/payload/policy", "a string or an object"),
        ("cfp", {"policy": {"quorum": -1}}, "/payload/policy/quorum", '"all"'),
        ("cfp", {"policy": {"quorom": 1}}, "/payload/policy/quorom", "quorum"),
        ("accept", {"decision": "rejected"}, "/payload/decision", '"accepted"'),
    ],
)
def test_an_explanation_says_where_and_what_would_be_right(
    act: str, change: dict[str, object], pointer: str, said: str
) -> None:
    schema = REGISTRY.shipped[NEGOTIATION]
    value = orjson.loads(schema.examples[ACTS[act]]) | change
    assert not schema.judges[ACTS[act]](value)
    fault = REGISTRY.explain(schema, ACTS[act], value)
    assert (fault.code, fault.pointer) == ("SCHEMA_VIOLATION", pointer)
    assert said in fault.remedy
    assert fault.reason


def test_an_explanation_never_quotes_a_value() -> None:
    schema = REGISTRY.shipped[NEGOTIATION]
    for value in ("hunter2", ["hunter2"], {"hunter2": "hunter2"}, "hunter2" * 999):
        for member in ("value", "timestamp", "terms", "text", "round", "act", "revocable"):
            said = {"$schema": NEGOTIATION, "x-unknown": 1, member: value}
            fault = REGISTRY.explain(schema, OFFER, said)
            assert "hunter2" not in f"{fault}"


def test_a_missing_member_is_named() -> None:
    fault = REGISTRY.explain(REGISTRY.shipped[NEGOTIATION], OFFER, {"$schema": NEGOTIATION})
    assert fault.pointer == "/payload"
    assert "value" in fault.reason
    assert orjson.loads(fault.example) == {"$schema": NEGOTIATION, "value": 42.5}


CALLS_MAX = 20_000
"""How many calls an explanation may make; some 2 ms. One of an ordinary mistake makes 500."""
WRONG: list[Any] = [{}, [], 0, "", None, -1, "x" * 100]
LARGE: list[Any] = [
    [{}] * 2_600,
    [0] * 3_900,
    {f"{n:x}": 0 for n in range(1_000)},
    "x" * 7_900,
    orjson.loads("[" * 60 + "]" * 60),
]


def calls_of_explaining(name: str, act: int, value: Any) -> int:
    schema = REGISTRY.shipped[schema_id(name)]
    assert not schema.judges[act](value)
    calls = 0

    def count(_frame: FrameType, event: str, _about: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        REGISTRY.explain(schema, act, value)
    finally:
        sys.setprofile(None)
    return calls


def filled(schema: Any, root: Any, wrong: Any) -> Any:
    """Return a value that has every member and item that a schema knows, each of them wrong."""
    if "$ref" in schema:
        return filled(root["$defs"][schema["$ref"].rpartition("/")[2]], root, wrong)
    if "properties" in schema:
        return {name: filled(part, root, wrong) for name, part in schema["properties"].items()}
    if "items" in schema:
        return [filled(schema["items"], root, wrong)] * 20
    return wrong


@pytest.mark.parametrize(
    ("name", "act"), [(s.name, act) for s in REGISTRY.shipped.values() for act in s.subjects]
)
def test_an_explanation_is_cheap_however_much_is_wrong(name: str, act: int) -> None:
    schema = REGISTRY.shipped[schema_id(name)]
    subject, example = schema.subjects[act], orjson.loads(schema.examples[act])
    values = [filled(subject, subject, wrong) for wrong in WRONG]
    for large in LARGE:
        values += [example | {member: large} for member in subject["properties"]]
        values += [example | large] if isinstance(large, dict) else []
    bad = [value for value in values if not schema.judges[act](value)]
    assert len(bad) > len(WRONG)
    for value in bad:
        assert calls_of_explaining(name, act, value) < CALLS_MAX


@pytest.mark.parametrize("member", ["winners", "ranking"])
@pytest.mark.parametrize("item", [{}, 0])
def test_thousands_of_bad_items_are_explained_cheaply(member: str, item: object) -> None:
    outcome = orjson.loads(REGISTRY.shipped[schema_id("Outcome")].examples[ACTS["inform"]])
    outcome["outcome"][member] = [item] * 2_600
    assert calls_of_explaining("Outcome", ACTS["inform"], outcome) < CALLS_MAX
    schema = REGISTRY.shipped[schema_id("Outcome")]
    assert member in REGISTRY.explain(schema, ACTS["inform"], outcome).pointer


@pytest.mark.parametrize(("place", "count"), [(0, 1), (7, 60), (8, 60), (59, 60)])
def test_a_bad_item_is_found_wherever_it_stands_in_an_array(place: int, count: int) -> None:
    schema = REGISTRY.shipped[schema_id("Outcome")]
    payload = orjson.loads(schema.examples[ACTS["inform"]])
    winners = [{"agent": "agent://bob", "offer_id": "offer-7"} for _ in range(count)]
    payload["outcome"]["winners"] = winners
    del winners[place]["offer_id"]
    fault = REGISTRY.explain(schema, ACTS["inform"], payload)
    assert fault.pointer == f"/payload/outcome/winners/{place}"
    assert "offer_id" in fault.remedy


def test_a_fault_of_the_text_points_into_the_message() -> None:
    fault = invalid_json(JsonFault("/a", "why", "what"))
    assert (fault.code, fault.pointer) == ("INVALID_JSON", "/payload/a")


def test_a_schema_that_is_not_acceptable_is_a_refusal() -> None:
    refused = check_foreign(b"{}")
    assert not isinstance(refused, ForeignSchema)
    assert (refused.code, refused.pointer) == ("SCHEMA_REJECTED", "/$id")
    accepted = check_foreign(b'{"$id":"https://acme.example/x.json"}')
    assert isinstance(accepted, ForeignSchema)


def random_negotiation(chance: random.Random) -> list[Effect]:
    """Play any acts in any order and return all that the engine asks for."""
    contractors = tuple(f"agent://c{number}" for number in range(4))
    profile = replace(
        PROFILES[chance.choice(sorted(PROFILES))], confirm=chance.choice([True, False])
    )
    call = Call(
        negotiation_id="gw1.0.k3j9",
        initiator="agent://alice",
        msg_id="m",
        eligible=contractors,
        acceptance=profile,
        closes_at=10.0,
        opened_at=0.0,
        decider=chance.choice(["engine", "initiator"]),
        report_within=chance.choice([None, 5.0]),
        max_awards=chance.choice([1, 2]),
    )
    now = 0.0
    state, effects = open_call(call, now)
    for number in range(25):
        sender, msg_id = chance.choice(contractors), f"m{number}"
        offer_id = f"m{chance.randrange(number + 1)}"
        possible: list[events.Event] = [
            events.OfferReceived(sender, msg_id, chance.random(), {"value": 1.0}),
            events.RefusalReceived(sender, msg_id),
            events.AcceptReceived(call.initiator, msg_id, offer_id),
            events.RejectReceived(call.initiator, msg_id, offer_id),
            events.ConfirmReceived(sender, msg_id, offer_id),
            events.ReportReceived(sender, msg_id, chance.choice([True, False])),
            events.ThinkingReceived(sender, msg_id, chance.random()),
            events.CancelReceived(chance.choice([sender, call.initiator]), msg_id),
            events.AgentGone(sender),
            events.DeadlinePassed(),
        ]
        event = chance.choice(possible)
        if isinstance(event, events.DeadlinePassed) and state.due is not None:
            now = max(now, state.due)
        state, more = step(state, event, now)
        effects = [*effects, *more]
    return effects


def test_whatever_the_engine_says_fits_the_schema_it_is_sent_under() -> None:
    said = set()
    for seed in range(200):
        for effect in random_negotiation(random.Random(seed)):
            if isinstance(effect, Tell):
                uri = schema_id("Outcome" if "outcome" in effect.body else "Negotiation")
                judge = REGISTRY.judge(uri, ACTS[effect.act])
                assert judge is not None
                assert judge({"$schema": uri, "act": effect.act, **effect.body}), (seed, effect)
                said.add(effect.act)
    assert said == {"accept", "reject", "inform", "failure", "cancel"}
