"""What a contractor of the command line is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.plan import Plan, plan_from_flags, plan_of
from gateway.commands.trouble import CommandError

BOB: dict[str, Any] = {
    "agent": "agent://bob",
    "topics": ["topic://gpu"],
    "strategy": "fixed",
    "params": {"value": 40},
}
NOTHING: dict[str, Any] = dict.fromkeys(
    ("agent", "topics", "capabilities", "consents", "strategy", "params")
)


def complaint(**changes: Any) -> str:
    """Return why Bob with these changes is no good."""
    with pytest.raises(CommandError) as caught:
        plan_of({**BOB, **changes}, "bob.json")
    said = str(caught.value)
    assert said.startswith("bob.json") or "agent://" in said
    return said


def test_a_description_is_a_plan_and_back():
    plan = plan_of(BOB, "bob.json")
    assert plan == Plan("agent://bob", "fixed", {"value": 40}, ("gpu",))
    assert plan_of(json.loads(json.dumps(plan.described())), "again") == plan


def test_topics_can_come_from_the_scenario():
    described = {name: value for name, value in BOB.items() if name != "topics"}
    assert plan_of(described, "x", ["gpu"]).topics == ("gpu",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agent": None}, "who it is"),
        ({"agent": "bob"}, "agent://bob"),
        ({"strategy": None}, '"strategy" is one of fixed'),
        ({"strategy": "fixe"}, "there are fixed"),
        ({"params": {}}, "fixed needs value"),
        ({"params": {"value": "40"}}, "must be a number"),
        ({"params": {"price": 40}}, "it has"),
        ({"params": 40}, '"params" is no object'),
        ({"topics": "gpu"}, "no list of texts"),
        ({"capabilities": [1]}, "no list of texts"),
        ({"first_offer_breaks": "yes"}, "true or false"),
        ({"topic": "gpu"}, 'did you mean "topics"?'),
    ],
)
def test_a_mistake_in_a_description_is_named(changes: dict[str, Any], said: str):
    assert said in complaint(**changes)


def test_a_copy_has_another_name_other_prices_and_no_broken_offer():
    plan = plan_of({**BOB, "first_offer_breaks": True}, "x")
    first, second = plan.copy(1), plan.copy(2)
    assert (first.agent, second.agent) == ("agent://bob-2", "agent://bob-3")
    assert len({plan.params["value"], first.params["value"], second.params["value"]}) == 3
    assert not first.first_offer_breaks
    first.build()


def test_flags_alone_describe_a_contractor():
    flags = NOTHING | {
        "agent": "agent://bob",
        "topics": ["gpu"],
        "strategy": "fixed",
        "params": ["value=40", 'conditions={"start_in": 2}'],
    }
    plan = plan_from_flags(None, **flags)
    assert plan.params == {"value": 40, "conditions": {"start_in": 2}}
    assert plan.capabilities == ("propose",)


def test_flags_go_before_the_file(tmp_path: Path):
    file = tmp_path / "bob.json"
    file.write_text(json.dumps(BOB))
    assert plan_from_flags(file, **NOTHING).agent == "agent://bob"
    changed = plan_from_flags(file, **NOTHING | {"agent": "agent://rob", "params": ["value=41"]})
    assert changed.agent == "agent://rob" and changed.params == {"value": 41}
    other = NOTHING | {"strategy": "random", "params": ["low=1", "high=2"]}
    assert plan_from_flags(file, **other).params == {"low": 1, "high": 2}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, "nobody is named"),
        ({"agent": "agent://bob"}, "no strategy"),
        ({"agent": "agent://bob", "strategy": "fixed", "params": ["value"]}, "NAME=VALUE"),
    ],
)
def test_flags_that_do_not_suffice_say_what_would(flags: dict[str, Any], said: str):
    with pytest.raises(CommandError) as caught:
        plan_from_flags(None, **NOTHING | flags)
    assert said in str(caught.value)


BARGAIN = {"agent": "agent://bob", "strategy": "fixed", "params": {"value": 40}}


def test_a_contractor_may_bargain_between_two_prices():
    plan = plan_of({**BARGAIN, "bargain": {"start": 60, "limit": 40}}, "here")
    assert plan.bargain == {"start": 60, "limit": 40}
    assert plan_of(plan.described(), "again") == plan
    assert plan.copy(1).bargain == {"start": 62.4, "limit": 41.6}
    assert plan_of(BARGAIN, "here").bargain is None


@pytest.mark.parametrize(
    "prices",
    [40, {}, {"start": 60}, {"start": 60, "limit": "40"}, {"start": 1, "limit": 2, "x": 3}],
)
def test_a_bargain_without_its_two_prices_is_a_mistake(prices: Any):
    with pytest.raises(CommandError) as caught:
        plan_of({**BARGAIN, "bargain": prices}, "here")
    assert '{"start": 60, "limit": 40}' in str(caught.value)
