"""Prices of the ready-made strategies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmx import strategies
from llmx.calls import Call, Offer, Refusal, Verdict
from llmx.events import RankedOffer
from llmx.strategies import StrategyError, build
from llmx.v1.envelope_pb2 import Envelope


def call(**body: Any) -> Call:
    return Call(Envelope(payload=json.dumps(body).encode()))


def value(answer: Offer | Refusal) -> float | str:
    return answer.value if isinstance(answer, Offer) else answer.reason


def verdict(won: bool, **body: Any) -> Verdict:
    return Verdict(won, "", "n", "o", Offer(1), call(**body))


def test_fixed_always_asks_the_same_and_bears_its_conditions():
    answer = build("fixed", value=40, conditions={"start_in": 2}, terms={"gpus": 4})(call())
    assert answer == Offer(40, {"start_in": 2}, {"gpus": 4})


def test_cost_plus_adds_its_margin_or_keeps_it():
    strategy = build("cost_plus", cost=40, margin=0.25)
    assert value(strategy(call())) == 50
    assert value(strategy(call(direction="allocate"))) == 30


def test_cost_plus_prices_by_the_unit_that_the_call_names():
    strategy = build("cost_plus", cost=2, margin=0, per="task.gpu_hours")
    assert value(strategy(call(task={"gpu_hours": 8}))) == 16
    assert value(strategy(call(task={"gpu_hours": "8"}))) == "no_capacity"


def test_linear_concedes_by_round_and_by_loss_and_begins_anew_after_a_win():
    strategy = build("linear", start=50, limit=30, steps=4)
    assert [value(strategy(call(round=n))) for n in (1, 2, 5, 9)] == [50, 45, 30, 30]
    strategy.heard(verdict(False))
    strategy.heard(verdict(False))
    assert value(strategy(call())) == 40
    strategy.heard(verdict(True))
    assert value(strategy(call())) == 50


@pytest.mark.parametrize(("exponent", "halfway"), [(1, 40), (2, 35.86), (0.5, 45)])
def test_aspiration_concedes_in_time(exponent: float, halfway: float):
    now = [100.0]
    strategy = strategies.Aspiration(
        start=50, limit=30, horizon=10, exponent=exponent, clock=lambda: now[0]
    )
    asked = []
    for now[0] in (100.0, 105.0, 110.0, 200.0):
        asked.append(value(strategy(call())))
    assert asked == [50, halfway, 30, 30]


def test_random_draws_the_same_values_from_the_same_seed():
    one, two = (build("random", low=10, high=20, seed=7) for _ in range(2))
    values = [value(one(call())) for _ in range(5)]
    assert values == [value(two(call())) for _ in range(5)]
    assert len(set(values)) > 1 and all(10 <= float(v) <= 20 for v in values)


def test_reserve_offers_while_there_is_capacity():
    strategy = strategies.Reserve(value=5, capacity=8, per="task.gpus")
    four = {"task": {"gpus": 4}}
    assert value(strategy(call(**four))) == 5
    strategy.heard(verdict(True, **four))
    strategy.heard(verdict(False, **four))
    assert value(strategy(call(**four))) == 5
    strategy.heard(verdict(True, **four))
    assert value(strategy(call(**four))) == "no_capacity"
    strategy.release(4)
    assert value(strategy(call(**four))) == 5


@pytest.mark.parametrize(
    ("direction", "asked", "answer"),
    [
        ("procure", 40, "beyond_reserve"),
        ("procure", 30, 30),
        ("procure", 35, 35),
        ("allocate", 30, "beyond_reserve"),
        ("allocate", 40, 40),
    ],
)
def test_no_offer_lies_beyond_the_reserve(direction: str, asked: float, answer: float | str):
    strategy = build("fixed", value=asked)
    assert value(strategy(call(reserve=35, direction=direction))) == answer


def test_thinking_takes_its_delay_and_a_drawn_part():
    strategy = build("fixed", value=1, delay=1, jitter=2, seed=1)
    assert 1 <= strategy.think() <= 3
    assert build("fixed", value=1).think() == 0


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("nonsense", {}, "there are fixed"),
        ("fixed", {}, "value"),
        ("fixed", {"value": "40"}, "must be a number"),
        ("fixed", {"value": True}, "must be a number"),
        ("fixed", {"value": 1, "price": 2}, "has no 'price'; it has"),
        ("linear", {"start": 1, "limit": 2, "steps": 0}, "1 or more"),
        ("random", {"low": 2, "high": 1}, "must not be above"),
        ("aspiration", {"start": 1, "limit": 2, "horizon": 0}, "above 0"),
        ("fixed", {"value": 1, "delay": -1}, "0 or more"),
    ],
)
def test_a_mistake_in_a_strategy_says_what_would_be_right(
    name: str, params: dict[str, Any], words: str
):
    with pytest.raises(StrategyError, match=words):
        build(name, **params)


def test_a_strategy_is_read_from_a_file(tmp_path: Path):
    path = tmp_path / "bob.json"
    path.write_text('{"strategy": "fixed", "value": 40}')
    assert value(strategies.from_file(path)(call())) == 40
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(StrategyError):
            strategies.from_file(path)


def test_every_name_has_a_description_and_parameters():
    for name, description in strategies.NAMES.items():
        assert description and strategies.parameters(name)


def test_the_cheapest_of_equal_offers_is_the_earliest():
    offers = [RankedOffer("a", "1", 5), RankedOffer("b", "2", 3), RankedOffer("c", "3", 3)]
    chosen = strategies.cheapest(offers)
    assert chosen is not None and chosen.agent == "b"
    assert strategies.cheapest([RankedOffer("x", "0", None), *offers]) is chosen
    nobody: list[RankedOffer] = []
    assert strategies.cheapest(nobody) is None


def test_a_strategy_says_which_of_its_parameters_are_missing():
    with pytest.raises(strategies.StrategyError) as caught:
        strategies.build("linear", steps=3)
    assert str(caught.value).startswith("linear needs start and limit; it has ")


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_worth_bids_priority_times_urgency_times_gain():
    """§7: a task that is due sooner is worth more, one that is over nothing."""
    clock = Clock()
    strategy = strategies.Worth(priority=2, gain=10, due_in=7200, clock=clock)
    bid = call(direction="allocate")
    assert value(strategy(bid)) == 10
    clock.now = 3600
    assert value(strategy(bid)) == 20
    clock.now = 7200 - 600
    assert value(strategy(bid)) == 120
    clock.now = 7200
    assert value(strategy(bid)) == "no_capacity"


def test_worth_keeps_a_margin_and_stops_at_the_reserve():
    """Feature 147: it stops bidding when the price exceeds what the task is worth."""
    clock = Clock()
    strategy = strategies.Worth(priority=1, gain=10, due_in=3600, margin=0.2, clock=clock)
    assert value(strategy(call(direction="allocate"))) == 8
    assert value(strategy(call())) == 12
    assert value(strategy(call(direction="allocate", reserve=9))) == "beyond_reserve"


def test_worth_spends_no_more_than_its_budget():
    clock = Clock()
    strategy = strategies.Worth(priority=1, gain=10, due_in=3600, budget=25, clock=clock)
    bid = {"direction": "allocate"}
    strategy.heard(verdict(False, **bid))
    strategy.heard(verdict(True))
    assert strategy.spent == 0, "what it is paid is not spent"
    strategy.heard(Verdict(True, "", "n", "o", Offer(10), call(**bid), price=6))
    strategy.heard(Verdict(True, "", "n", "o", Offer(10), call(**bid)))
    assert strategy.spent == 16
    assert value(strategy(call(**bid))) == "no_capacity"


@pytest.mark.parametrize("wrong", [{"priority": -1}, {"reference": 0}, {"margin": 1}])
def test_worth_tells_what_it_cannot_use(wrong: dict[str, float]):
    with pytest.raises(StrategyError):
        build("worth", **{"priority": 1, "gain": 1, "due_in": 60} | wrong)
