"""Each experiment has the cases that are asked for, and wishes change them."""

from __future__ import annotations

from itertools import groupby

import pytest

from gateway.settings_groups import ValidationSettings
from loadtest.experiments.cases import FAMILIES, LEVELS, POPULATIONS, Case
from loadtest.experiments.programme import EXPERIMENTS, MOST, Wish, cases_of
from loadtest.experiments.running import command, expected_seconds

MINUTES_OF_A_QUICK_RUN = 6


def cases(name: str, wish: Wish) -> list[Case]:
    return cases_of(EXPERIMENTS[name], wish)


@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
def test_the_short_tables_have_every_population_and_every_definition(name: str) -> None:
    made = cases(name, Wish(simulated=True))
    level = LEVELS[int(name[-1]) - 1]
    assert {case.profile for case in made} == {f"{family}/{level}" for family in FAMILIES}
    assert {case.contractors for case in made} == set(POPULATIONS)
    assert {case.seed for case in made} == {1, 2, 3}
    assert {(case.seconds, case.warm_up) for case in made} == {(120.0, 120.0)}
    assert {case.level for case in made} == {level}


def test_the_rates_of_the_tables_are_the_published_ones() -> None:
    """E1 and E2: 3 or 6 calls in 120 s, 1,612 in twelve hours."""
    assert min(case.rate for case in cases("table1", Wish(simulated=True))) == 0.025
    assert min(case.rate for case in cases("table2", Wish(simulated=True))) == 0.05
    assert {case.rate for case in cases("table1", Wish(full=True))} == {0.025, 1.0, 10.0, 100.0}
    (twelve,) = cases("table5", Wish(simulated=True))
    assert (twelve.seconds, twelve.contractors) == (43_200.0, 12)
    assert twelve.rate == pytest.approx(0.0373, abs=1e-4)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "soak"])
def test_a_run_in_real_time_is_over_in_minutes(name: str) -> None:
    assert expected_seconds(cases(name, Wish())) < MINUTES_OF_A_QUICK_RUN * 60


def test_half_an_hour_at_50_calls_a_second_is_the_soak() -> None:
    (case,) = cases("soak", Wish())
    assert (case.seconds, case.rate, case.profile) == (1_800.0, 50.0, "flow/high")


def test_every_number_of_workers_has_more_and_more_open_rounds() -> None:
    """C2: 0, 1, 2, 4 and 8; what goes to them is what a gateway does not judge by the way."""
    made = cases("workers", Wish())
    counts = {case.judging.workers for case in made if case.judging}
    assert counts == {0, 1, 2, 4, 8}
    assert all(case.judging for case in made)
    for _, group in groupby(made, lambda case: case.judging):
        in_flight = [case.in_flight for case in group]
        assert in_flight == sorted(set(in_flight))
        assert in_flight[-1] * MOST >= 2 * max(counts), "enough for the most workers"
        assert in_flight[-1] * MOST <= ValidationSettings().queue_max, "and none too many"
    own = {case.judging.workers for case in made if case.judging.weight == "own schema"}
    assert own == counts - {0}, "a schema of a tenant is never judged by the loop"


def test_every_fault_is_there_for_every_profile() -> None:
    made = cases("faults", Wish(simulated=True))
    names = {case.faults.name for case in made}
    assert len(names) == 7
    assert len({case.profile for case in made}) == 11
    assert len(made) == 77
    slow = next(case.faults for case in made if case.faults.slow_median)
    assert (slow.slow_median, slow.slow_p99) == (2.0, 20.0)


def test_wishes_change_all_cases_alike() -> None:
    wish = Wish(True, seed=7, seeds=2, rate=3.0, seconds=5.0, warm_up=1.0, contractors=4)
    made = cases("table3", wish)
    assert {(one.rate, one.seconds, one.warm_up, one.contractors) for one in made} == {
        (3.0, 5.0, 1.0, 4)
    }
    assert {case.seed for case in made} == {7, 8}
    assert len(made) == len(set(made)) == 2 * len(FAMILIES)
    assert cases("table3", Wish(profile="flow/low")) == []


def test_names_tell_the_cases_of_a_run_apart() -> None:
    for name in EXPERIMENTS:
        names = [case.name for case in cases(name, Wish(simulated=True, full=True))]
        assert len(names) == len(set(names)), name


def test_a_report_says_the_command_that_made_it() -> None:
    wish = Wish(True, seed=7, rate=3.0, warm_up=1.0)
    said = "llmx experiment run table1 --simulated --seed 7 --rate 3.0 --warm-up 1.0"
    assert command("table1", wish) == said
    assert command("soak", Wish()) == "llmx experiment run soak"
