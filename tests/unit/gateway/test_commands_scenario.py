"""The scenarios of the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.scenario import find, load, shipped_folders
from gateway.commands.trouble import CommandError

SMALL: dict[str, Any] = {
    "topic": "gpu",
    "call": {"reply_within": 2},
    "contractors": [
        {"agent": "agent://bob", "strategy": "fixed", "params": {"value": 40}},
        {"agent": "agent://carol", "strategy": "fixed", "params": {"value": 30}},
    ],
}


def scenario(folder: Path, **changes: Any) -> str:
    """Write a scenario and return where."""
    path = folder / "my.json"
    path.write_text(json.dumps({**SMALL, **changes}), "utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["gpu-slot", "delivery", "night-slot.json"])
def test_what_ships_can_be_played(name: str):
    loaded = load(name)
    assert loaded.contractors and loaded.policies
    assert sum(plan.first_offer_breaks for plan in loaded.contractors) == 1


def test_every_example_is_found_by_its_name_alone():
    assert find("gpu-slot").parent in shipped_folders()
    assert find("./gpu-slot.json") == Path("./gpu-slot.json")


def test_a_small_scenario_gets_the_three_levels_and_alice(tmp_path: Path):
    loaded = load(scenario(tmp_path))
    assert loaded.initiator == "agent://alice"
    assert [acceptance.name for acceptance in loaded.acceptances] == [
        "flow/low",
        "flow/medium",
        "flow/high",
    ]
    assert all(plan.topics == ("gpu",) for plan in loaded.contractors)


def test_policies_of_the_command_line_go_before_those_of_the_file(tmp_path: Path):
    path = scenario(tmp_path)
    assert load(path, ["high"]).policies == ("high",)
    assert load(path, ["all", "proto/low"]).policies == ("low", "medium", "high", "proto/low")
    changed = load(path, ['{"profile": "high", "quorum": 2}'])
    assert changed.acceptances[0].name == "flow/high*"


def test_a_crowd_is_cut_or_cycled_with_other_names_and_prices(tmp_path: Path):
    loaded = load(scenario(tmp_path))
    assert [plan.agent for plan in loaded.crowd(1)] == ["agent://bob"]
    crowd = loaded.crowd(5)
    assert [plan.agent for plan in crowd] == [
        "agent://bob",
        "agent://carol",
        "agent://bob-2",
        "agent://carol-2",
        "agent://bob-3",
    ]
    assert len({plan.params["value"] for plan in crowd}) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"topic": None}, "no topic"),
        ({"call": []}, "no call"),
        ({"contractors": []}, "contractors"),
        ({"contractors": [7]}, "contractor 1 is no object"),
        ({"contractors": SMALL["contractors"] * 2}, "the same name"),
        ({"initiator": "agent://bob"}, "initiator and contractor"),
        ({"policies": "high"}, "no list of names"),
        ({"policies": ["hgih"]}, "hgih"),
        ({"contractor": []}, 'did you mean "contractors"?'),
    ],
)
def test_a_mistake_in_a_scenario_is_named(tmp_path: Path, changes: dict[str, Any], said: str):
    with pytest.raises(CommandError) as caught:
        load(scenario(tmp_path, **changes))
    assert said in str(caught.value)
    assert "my.json" in str(caught.value)


def test_a_mistake_on_the_command_line_is_not_blamed_on_the_file(tmp_path: Path):
    with pytest.raises(CommandError) as caught:
        load(scenario(tmp_path), ["hgih"])
    assert str(caught.value).startswith("--policy: hgih")


def test_a_scenario_that_does_not_ship_is_answered_with_those_that_do() -> None:
    with pytest.raises(CommandError, match="delivery, gpu-slot, night-slot, or name a file"):
        find("nope")
