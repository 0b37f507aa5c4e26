"""The end of a bargain: the same to both, once, as the published schema has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import gateway
from policy.effects import Finish, Tell
from policy.fairness import Fairness, FairnessRules
from policy.served import Served, Standing
from tests.support import plays
from tests.support.bargains import CONCESSION, OFFERS, Bargain, leave, make_bargain, propose, take

FILES = Path(gateway.__file__).parent / "schema_files"
SCHEMAS = {
    name: Draft202012Validator(json.loads((FILES / f"{name}.json").read_text()))
    for name in ("Outcome", "Negotiation")
}


def played(protocol: str, *events: Any, at: float = 1, **options: Any) -> Bargain:
    game = Bargain(make_bargain(protocol, **options))
    for event in events:
        game.unclaimed = []
        game.at(at, event)
    return game


ENDINGS = {
    "agreement": lambda: played(
        "alternating-offers",
        propose("bob", 60),
        take("alice", "bob-60"),
        discount={"kind": "round", "initiator": 0.5},
    ),
    "end": lambda: played("alternating-offers", leave("bob")),
    "rounds": lambda: played(
        "alternating-offers", propose("bob", 6), propose("alice", 5), max_rounds=2
    ),
    "deadline": lambda: played("alternating-offers", plays.TIME_UP, at=10),
    "turn_timeout": lambda: played("alternating-offers", plays.TIME_UP, at=2, turn_within=2),
    "conflict": lambda: played(
        CONCESSION,
        *(propose(name, value, f"{name}{n}") for n in "12" for name, value in SIDES),
    ),
}
SIDES = (("alice", 2.0), ("bob", 9.0))


@pytest.mark.parametrize("by", ENDINGS)
def test_both_hear_the_same_end_exactly_once(by: str):
    """N-3.6: always exactly one terminal event to both."""
    game = ENDINGS[by]()
    effects = [effect for _, effects in game.history for effect in effects]
    told = [e for e in effects if isinstance(e, Tell) and "outcome" in e.body]
    finished = [e.outcome for e in effects if isinstance(e, Finish)]
    assert [tell.recipient for tell in told] == ["agent://alice", "agent://bob"]
    assert [tell.body["outcome"] for tell in told] == finished * 2
    assert finished[0]["ended_by"] == by
    assert game.state.is_final


@pytest.mark.parametrize("by", ENDINGS)
def test_what_is_told_keeps_to_the_published_schemas(by: str):
    for tell in ENDINGS[by]().tells:
        name = "Outcome" if "outcome" in tell.body else "Negotiation"
        body = {"$schema": f"https://llm-x.org/schemas/v1/{name}.json", "act": "inform"}
        payload = json.loads(json.dumps({**body, **tell.body}))
        assert list(SCHEMAS[name].iter_errors(payload)) == []


def test_the_end_answers_what_each_party_did_last():
    game = played("alternating-offers", propose("bob", 60), leave("alice"))
    assert [tell.in_reply_to for tell in game.tells] == ["alice-leaves", "bob-60"]
    early = played("alternating-offers", plays.TIME_UP, at=10)
    assert [tell.in_reply_to for tell in early.tells] == ["call", "call"]


@pytest.mark.parametrize("protocol", [OFFERS, CONCESSION])
def test_both_hear_how_evenly_awards_are_shared_where_the_call_asks_for_fairness(protocol: str):
    """N-8.1: over the awards and their prices, with the one that was just made."""
    standing = Standing({"agent://bob": Served(1, 10.0, 5.0)}, total=1)
    fair = Fairness(FairnessRules(), standing, left_out={"agent://erin": "max_share"})
    agreed = {
        OFFERS: (propose("bob", 60), take("alice", "bob-60")),
        CONCESSION: (propose("alice", 60), propose("bob", 60)),
    }
    game = played(protocol, *agreed[protocol], call={"fairness": fair})
    told = game.outcome["fairness"]
    assert told == {
        "awards": 0.5,
        "utility": 0.5,
        "latency": 1.0,
        "agents": 2,
        "left_out": {"agent://erin": "max_share"},
    }
    ended = played(protocol, leave("bob"), call={"fairness": fair}).outcome
    assert (ended["winners"], ended["fairness"]["awards"]) == ([], 0.5)
    SCHEMAS["Outcome"].validate(
        {"$schema": "Outcome.json", "act": "inform", "outcome": told_json(game)}
    )
    assert "fairness" not in played(protocol, *agreed[protocol]).outcome


def told_json(game: Bargain) -> Any:
    return json.loads(json.dumps(game.outcome))
