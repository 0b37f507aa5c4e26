"""The paper's short and long runs in simulated time: the assertions of E1 and E2."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.experiments import claims, endurance, paper_claims
from loadtest.experiments.cases import FAMILIES, LIVE_PROFILE, POPULATIONS, Case, Faults, Switch
from loadtest.experiments.published import RATES
from loadtest.experiments.simulated import play
from loadtest.experiments.tally import Tally
from loadtest.run_records import RunRecord
from policy.acceptance import PROFILES

Run = Callable[..., Tally]
SLOW = Faults("slow", slow_median=2.0, slow_p99=20.0)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Play a case; its record stands in a folder of its own."""
    count = 0

    def run(case: Case) -> Tally:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        with RunRecord(folder, {}) as record:
            return play(case, "case-0", record)

    return run


@pytest.mark.parametrize("level", ["low", "medium", "high"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_round_has_n_offers_and_ends_as_its_profile_says(
    run: Run, family: str, level: str
) -> None:
    """E1: offers are rounds × n; confirms one each, accepts one, rejects n − 1 or none."""
    profile = f"{family}/{level}"
    tallies = [run(Case(profile, size, 0.2, 60.0)) for size in POPULATIONS]
    for tally in tallies:
        rounds, size = tally.rounds, tally.case.contractors
        assert rounds == tally.calls > 3
        assert tally.offers == rounds * size
        assert tally.confirms == (rounds if PROFILES[profile].confirm else 0)
        assert tally.accepts == rounds
        assert tally.rejects == (
            rounds * (size - 1) if PROFILES[profile].final == "required" else 0
        )
    assert claims.all_hold([*claims.safety(tallies), *claims.healthy(tallies)])


def test_half_of_the_rounds_empty_shows_as_in_the_published_table(run: Run) -> None:
    """Table 3 counts 6 calls and 36 offers of 12: three rounds had none, and nobody said so."""
    tally = run(Case("paper-replay/high", 12, 1.0, 60.0, faults=Faults("deaf", deaf=0.5)))
    assert 0.3 < tally.empty / tally.calls < 0.7
    assert tally.offers == (tally.calls - tally.empty) * 12
    empty = next(one for one in claims.healthy([tally]) if one.what == "no round is empty")
    assert empty.holds is False


def test_the_same_seed_leads_to_the_same_events_to_the_byte(run: Run) -> None:
    case = Case(
        "flow/medium", 5, 1.0, 20.0, faults=Faults("ill", 0.1, 0.0, 0.5, 3.0, 0.2, 0.1, 0.1)
    )
    hashes = [run(one).record.events_sha256 for one in (case, case, replace(case, seed=2))]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_warm_up_counts_for_nothing(run: Run) -> None:
    whole = run(Case("flow/high", 5, 1.0, 60.0))
    later = run(Case("flow/high", 5, 1.0, 40.0, warm_up=20.0))
    assert later.calls == sum(at >= 20 for at in whole.called_at)


def test_what_is_malformed_late_or_comes_twice_never_wins(run: Run) -> None:
    """Features 40 and 41, with an award all the same."""
    ill = Faults("ill", malformed=0.3, duplicate=0.5, late=0.2)
    for profile in ("flow/low", "flow/medium", "flow/high", "proto/low"):
        tally = run(Case(profile, 5, 0.5, 60.0, faults=ill))
        assert claims.all_hold(claims.safety([tally])), profile
        assert tally.awarded > 20
        assert tally.malformed > 0
        assert tally.refusals["DUPLICATE"] > 0


@pytest.mark.parametrize("pacing", ["poisson", "after outcome"])
def test_a_stricter_policy_decides_later_and_of_more(run: Run, pacing: str) -> None:
    """C1, on both axes: what is waited for, and how many messages there are in the same time."""
    tallies = [
        run(
            Case(
                f"flow/{level}",
                12,
                0.5,
                80.0,
                reply_within=30.0,
                faults=SLOW,
                pacing=pacing,  # type: ignore[arg-type]
            )
        )
        for level in ("low", "medium", "high")
    ]
    made = paper_claims.stricter(tallies)
    assert len(made) == 3
    assert all(claim.holds for claim in made), made
    load = paper_claims.lighter(tallies)
    assert [claim.holds for claim in load] == [True] * (pacing == "after outcome")


def test_what_is_open_at_a_switch_keeps_its_revision(run: Run) -> None:
    """C4: the policy is switched in the middle, and nobody hears an error."""
    switch = Switch(30.0, "flow/high", "flow/low")
    case = Case(LIVE_PROFILE, 5, 2.0, 60.0, reply_within=30.0, faults=SLOW, switch=switch)
    tally = run(case)
    assert tally.straddling[f"{LIVE_PROFILE}@1"] > 3
    made = paper_claims.switched([tally])
    assert [claim.holds for claim in made] == [True] * 3
    first, second = tally.policies[f"{LIVE_PROFILE}@1"], tally.policies[f"{LIVE_PROFILE}@2"]
    assert first[1] < 30.0 < second[0]


@pytest.mark.slow
def test_twelve_hours_of_high_take_less_than_a_minute(run: Run) -> None:
    """E2, like for like: nothing lost, nothing twice, no drift, even shares."""
    began = time.process_time()
    tally = run(Case("flow/high", 12, RATES["table5"], 43_200.0, warm_up=120.0))
    assert time.process_time() - began < 60
    assert tally.rounds == pytest.approx(1_612, rel=0.1)
    assert tally.offers == tally.rounds * 12
    made = [*claims.safety([tally]), *claims.healthy([tally]), *endurance.lasting([tally])]
    assert all(claim.holds for claim in made), [claim for claim in made if not claim.holds]
    assert len(made) > 8
