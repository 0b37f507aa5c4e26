"""Drift, growth and unequal shares are seen, and too short a run is not judged."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.experiments.cases import Case
from loadtest.experiments.claims import Claim
from loadtest.experiments.endurance import lasting
from loadtest.experiments.tally import Agent, Minute, Tally
from loadtest.run_records import RunRecord

MINUTES = 40
MIB = 1 << 20


def long_run(
    folder: Path,
    latency: Callable[[int], float] = lambda minute: 5.0,
    rss: Callable[[int], int] = lambda minute: 100 * MIB,
    files: Callable[[int], int] = lambda minute: 30,
    awards: tuple[int, ...] = (100, 100),
    means: tuple[float, ...] = (5.0, 5.0),
    profile: str = "flow/high",
) -> list[Claim]:
    case = Case(profile, 2, 1.0, MINUTES * 60.0)
    with RunRecord(folder, {}) as record:
        tally = Tally(case, record, calls=200, rounds=200, awarded=sum(awards))
    for minute in range(MINUTES):
        tally.minutes[minute] = Minute(
            offer_ms=array("d", [latency(minute)] * 3),
            rss_bytes=rss(minute),
            open_files=files(minute),
        )
    for number, (won, mean) in enumerate(zip(awards, means, strict=True)):
        tally.agents[f"agent://{number}"] = Agent(200, 200, won, offer_ms=array("d", [mean]))
    return lasting([tally])


def failing(made: list[Claim]) -> list[str]:
    return [claim.what for claim in made if claim.holds is False]


def test_a_steady_run_holds_in_everything(tmp_path: Path) -> None:
    made = long_run(tmp_path)
    assert len(made) == 6
    assert all(claim.holds for claim in made)


def test_latency_that_creeps_up_or_down_is_seen(tmp_path: Path) -> None:
    for step in (0.02, -0.02):
        (what,) = failing(long_run(tmp_path, latency=lambda at, step=step: 5.0 + step * at))  # type: ignore[misc]
        assert "drift" in what


def test_one_bad_minute_is_no_drift(tmp_path: Path) -> None:
    assert not failing(long_run(tmp_path, latency=lambda at: 900.0 if at == 39 else 5.0))


def test_memory_that_grows_and_files_that_stay_open_are_seen(tmp_path: Path) -> None:
    for made in (
        long_run(tmp_path, rss=lambda at: (100 + at // 2) * MIB),
        long_run(tmp_path, files=lambda at: 30 + at // 5),
    ):
        (what,) = failing(made)
        assert "memory and files" in what


def test_memory_that_grows_while_the_gateway_warms_up_is_none(tmp_path: Path) -> None:
    assert not failing(long_run(tmp_path, rss=lambda at: (80 + min(at, 9) * 2) * MIB))


def test_uneven_awards_and_slow_agents_are_seen(tmp_path: Path) -> None:
    (what,) = failing(long_run(tmp_path, awards=(180, 20)))
    assert "win alike" in what
    (what,) = failing(long_run(tmp_path, means=(5.0, 9.0)))
    assert "agents differ" in what


@pytest.mark.parametrize("profile", ["flow/low", "flow/medium", "proto/medium"])
def test_where_fewer_answers_than_all_are_enough_awards_are_not_judged(
    tmp_path: Path, profile: str
) -> None:
    """Who is called first answers first, by microseconds."""
    made = long_run(tmp_path, awards=(190, 10), profile=profile)
    assert not failing(made)
    assert any("favoured" in claim.seen for claim in made if claim.holds is None)


def test_a_short_run_is_not_judged_for_drift(tmp_path: Path) -> None:
    with RunRecord(tmp_path, {}) as record:
        tally = Tally(Case("flow/high", 2, 1.0, 120.0), record, calls=1, rounds=1)
    for minute in range(2):
        tally.minutes[minute] = Minute(offer_ms=array("d", [5.0 + 9 * minute]))
    drift = next(claim for claim in lasting([tally]) if "drift" in claim.what)
    assert drift.holds is None
