"""A claim fails when what it says does not hold: each is shown the case that it is for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.experiments import claims
from loadtest.experiments.arrivals import poisson
from loadtest.experiments.cases import Case
from loadtest.experiments.claims import Claim, all_hold, judged
from loadtest.experiments.tally import Tally
from loadtest.run_records import RunRecord

CASE = Case("proto/medium", 5, 1.0, 60.0)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[RunRecord]:
    with RunRecord(tmp_path, {}) as record:
        yield record


def tally(record: RunRecord, case: Case = CASE, **changed: Any) -> Tally:
    """Return ten rounds in which all was well, but for what is changed."""
    right = {
        "calls": 10,
        "rounds": 10,
        "offers": 10 * case.contractors,
        "accepts": 10,
        "confirms": 10,
        "rejects": 10 * (case.contractors - 1),
        "offer_ms": array("d", [2.0] * 10),
    }
    return Tally(case, record, **{**right, **changed})


def failing(made: list[Claim]) -> list[str]:
    return [claim.what for claim in made if claim.holds is False]


def test_all_holds_when_all_is_well(record: RunRecord) -> None:
    well = [tally(record)]
    made = [*claims.safety(well), *claims.healthy(well)]
    assert all_hold(made)
    assert len(made) == 7


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"lost": 1}, "lost"),
        ({"double_finals": 1}, "twice"),
        ({"wrong_awards": 1}, "malformed"),
        ({"rounds": 9}, "outcome"),
        ({"odd_offers": 1}, "as many offers"),
        ({"empty": 1}, "empty"),
        ({"confirms": 5}, "confirms"),
        ({"accepts": 11}, "confirms"),
        ({"rejects": 0}, "confirms"),
    ],
)
def test_one_thing_that_is_wrong_fails_its_claim(
    record: RunRecord, changed: dict[str, int], word: str
) -> None:
    ill = [tally(record, **changed)]
    failed = failing([*claims.safety(ill), *claims.healthy(ill)])
    assert failed
    assert any(word in what for what in failed)


def test_nothing_at_all_is_no_success(record: RunRecord) -> None:
    assert failing(claims.safety([tally(record, calls=0, rounds=0)]))


def sizes(record: RunRecord, offers: dict[int, int], **changed: Any) -> list[Tally]:
    return [
        tally(record, Case("flow/high", size, 1.0, 60.0), confirms=0, offers=count, **changed)
        for size, count in offers.items()
    ]


def test_offers_that_do_not_grow_along_a_line_are_seen(record: RunRecord) -> None:
    straight, bent = {5: 50, 9: 90, 12: 120}, {5: 50, 9: 130, 12: 120}
    assert not failing(claims.healthy(sizes(record, straight)))
    assert any("C3" in what for what in failing(claims.healthy(sizes(record, bent))))


def test_latency_that_grows_faster_than_the_published_is_seen(record: RunRecord) -> None:
    few, _, many = three = sizes(record, {5: 50, 9: 90, 12: 120})
    few.offer_ms, many.offer_ms = array("d", [1.0]), array("d", [3.1])
    assert any("times as long" in what for what in failing(claims.healthy(three)))


def test_calls_that_are_no_poisson_process_are_seen(record: RunRecord) -> None:
    case = Case("proto/medium", 5, 1.0, 1_500.0)
    right = tally(record, case, called_at=array("d", poisson(1.0, 1_500.0, 1)))
    regular = tally(record, case, called_at=array("d", [float(at) for at in range(1, 1_500)]))
    assert not failing(claims.healthy([right]))
    assert any("Poisson" in what for what in failing(claims.healthy([regular])))


def test_latency_is_not_judged_while_this_process_is_late_itself(record: RunRecord) -> None:
    punctual = tally(record, lag_ms=array("d", [1.0] * 100))
    late = tally(record, lag_ms=array("d", [50.0] * 100))
    assert judged([punctual], "it is fast", False, "").holds is False
    claim = judged([punctual, late], "it is fast", False, "9 ms")
    assert claim.holds is None
    assert "p99 50 ms" in claim.seen
    assert all_hold([claim])
    assert (claim.verdict, Claim("", False, "").verdict) == ("not judged", "FAILS")
