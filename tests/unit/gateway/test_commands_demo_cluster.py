"""The demo of a cluster, as far as it goes without one; tests/integration/test_up.py plays it."""

from __future__ import annotations

import pytest

from gateway.commands.cluster_view import JsonClusterView, PlainClusterView
from gateway.commands.demo_cluster import (
    CONTRACTORS,
    KILLED_IN_ROUND,
    REGIONS,
    SCENARIO,
    _is_in_the_middle,
    _view,
)
from gateway.commands.scenario import load
from tests.unit.gateway.test_commands_cluster_board import board_of, heard, opened, outcome


def test_the_scenario_has_a_calm_round_one_with_a_kill_and_one_after_it():
    scenario = load(SCENARIO)
    assert len(scenario.policies) == 3 and KILLED_IN_ROUND == 2
    assert len(scenario.contractors) == CONTRACTORS and CONTRACTORS % len(REGIONS) == 0


def test_the_kill_comes_while_offers_do():
    """After the first offers, so that something is lost, and before the last can come."""
    first = board_of(opened("eu", "eu.1.a"), heard("eu", "agent://bob", "eu.1.a", 1.1))
    assert not any(map(_is_in_the_middle, first.calls))
    first.hear(heard("eu", "agent://carol", "eu.1.a", 1.2))
    assert _is_in_the_middle(first.calls[0])
    first.hear(outcome("eu", "eu.1.a", 1.3, "agent://bob"))
    assert not _is_in_the_middle(first.calls[0])
    delays = sorted(plan.params["delay"] for plan in load(SCENARIO).contractors)
    assert delays[-1] - delays[1] > 1, "seconds between the second offer and the last"


@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_terminal_there_are_lines(as_json: bool):
    kind = JsonClusterView if as_json else PlainClusterView
    assert isinstance(_view([], as_json=as_json), kind)
