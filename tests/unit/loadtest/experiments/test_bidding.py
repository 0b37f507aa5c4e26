"""What contractors do depends on the seed, the round and themselves, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median, quantiles

import pytest

from gateway.acts import ACTS
from gateway.schemas import SchemaRegistry
from loadtest.experiments.bidding import (
    SCHEMA,
    Bid,
    bid,
    bids,
    call_payload,
    offer_payload,
    utility,
)
from loadtest.experiments.cases import Case, Faults

CASE = Case("flow/high", 12, 1.0, 60.0)


def drawn(faults: Faults, rounds: int = 250) -> list[Bid]:
    case = replace(CASE, faults=faults)
    return [one for number in range(rounds) for one in bids(case, number)]


def test_faults_change_no_value() -> None:
    """So that what goes wrong is compared on the same offers."""
    well = [one.value for one in drawn(Faults())]
    ill = Faults("all", 0.3, 0.1, 2.0, 20.0, 0.2, 0.1, 0.1)
    assert [one.value for one in drawn(ill)] == well
    assert len(set(well)) > 0.9 * len(well)


def test_each_fault_has_its_share() -> None:
    count = len(drawn(Faults()))

    def share(faults: Faults, has: Callable[[Bid], object]) -> float:
        return sum(bool(has(one)) for one in drawn(faults)) / count

    silent = share(Faults(no_reply=0.3), lambda one: one.kind == "silent")
    malformed = share(Faults(malformed=0.05), lambda one: one.kind == "malformed")
    assert silent == pytest.approx(0.3, abs=0.03)
    assert malformed == pytest.approx(0.05, abs=0.02)
    assert share(Faults(duplicate=0.2), lambda one: one.repeat) == pytest.approx(0.2, abs=0.03)
    assert share(Faults(late=0.1), lambda one: one.delay > 10) == pytest.approx(0.1, abs=0.02)
    assert share(Faults(), lambda one: one.kind != "offer" or one.repeat or one.delay) == 0


def test_a_deaf_round_is_deaf_for_everybody() -> None:
    case = replace(CASE, faults=Faults("deaf", deaf=0.5))
    kinds = [{bid(case, number, at).kind for at in range(12)} for number in range(200)]
    assert all(len(one) == 1 for one in kinds)
    assert sum("silent" in one for one in kinds) == pytest.approx(100, abs=25)


def test_a_slow_model_has_the_median_and_the_tail_that_are_said() -> None:
    delays = [one.delay for one in drawn(Faults("slow", slow_median=2.0, slow_p99=20.0))]
    assert median(delays) == pytest.approx(2.0, rel=0.1)
    assert quantiles(delays, n=100)[98] == pytest.approx(20.0, rel=0.25)


def test_the_best_price_is_worth_one_the_worst_nothing() -> None:
    asked = [one.value for one in bids(CASE, 1)]
    assert utility(min(asked), asked) == 1.0
    assert utility(max(asked), asked) == utility(None, asked) == 0.0
    assert utility(5.0, [5.0, 5.0]) == 1.0


def test_schemas_accept_what_is_sent_and_refuse_what_is_malformed() -> None:
    registry = SchemaRegistry()
    call, offer = registry.judge(SCHEMA, ACTS["cfp"]), registry.judge(SCHEMA, ACTS["offer"])
    assert call is not None
    assert offer is not None
    assert call(call_payload(CASE))
    assert offer(offer_payload(Bid("offer", 50.0, 0.0)))
    assert not offer(offer_payload(Bid("malformed", 50.0, 0.0)))
