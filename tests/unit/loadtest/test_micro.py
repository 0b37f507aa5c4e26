"""The parts are timed with what they really do."""

from __future__ import annotations

import gc

import pytest

from loadtest import micro
from policy.protocols import PROTOCOLS


@pytest.fixture(scope="module", autouse=True)
def little_to_collect() -> None:
    """Each timing begins with a collection, which would walk all that other tests have loaded."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed is the same; a figure that is worth something takes thirty times as long."""
    monkeypatch.setattr(micro, "ROUNDS", micro.ROUNDS // 30)


def test_a_cost_is_the_best_of_its_timings_per_thing() -> None:
    calls: list[None] = []
    cost = micro.best_of("a call", 10, lambda: calls.append(None), timings=3)
    assert len(calls) == 4, "once to warm up"
    assert 0 < cost.microseconds < 1_000


def test_a_step_of_every_protocol_has_a_cost() -> None:
    costs = micro._protocol_costs()
    assert {cost.what.partition(":")[0] for cost in costs} == PROTOCOLS.keys()
    assert all(0.1 < cost.microseconds < 10_000 for cost in costs)


@pytest.mark.slow
def test_every_part_has_a_cost() -> None:
    costs = micro.costs()
    assert len({cost.what for cost in costs}) == len(costs)
    words = " ".join(cost.what for cost in costs)
    for part in ("policy engine", "record", "metrics", "admission", "delivery"):
        assert part in words
    assert all(cost.microseconds < 10_000 for cost in costs)
