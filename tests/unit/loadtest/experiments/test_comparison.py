"""Published and ours stand side by side, with a line for what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.experiments.cases import Case
from loadtest.experiments.comparison import Row, compared
from loadtest.experiments.published import TABLES, Published, shown
from loadtest.experiments.tally import Tally
from loadtest.run_records import RunRecord


def rows(folder: Path, name: str, case: Case, *counts: tuple[int, int]) -> dict[str, Row]:
    """Return the rows of runs of so many calls and accepts each, by quantity."""
    with RunRecord(folder, {}) as record:
        tallies = [
            Tally(
                case,
                record,
                calls=calls,
                rounds=calls,
                offers=calls * case.contractors,
                accepts=accepts,
                confirms=accepts,
            )
            for calls, accepts in counts
        ]
    return {row.quantity: row for row in compared(name, tallies)}


def test_seeds_are_put_together_by_their_mean(tmp_path: Path) -> None:
    made = rows(tmp_path, "table1", Case("flow/low", 9, 0.025, 120.0), (2, 2), (5, 5))
    assert (made["CFPs"].published, made["CFPs"].ours) == ("3", "3.5 (2–5)")
    assert "3 expected in 120 s; mean of 2 seeds" in made["CFPs"].deviation
    assert (made["offers"].published, made["offers"].ours) == ("27", "31.5")
    assert made["offer ms, mean"].published == "4–5"


def test_confirms_say_why_they_are_not_half(tmp_path: Path) -> None:
    made = rows(tmp_path, "table2", Case("proto/medium", 5, 0.05, 120.0), (6, 6))
    assert (made["confirms"].published, made["confirms"].ours) == ("3", "6")
    assert "each decided round" in made["confirms"].deviation


def test_rounds_that_the_paper_has_not_are_named(tmp_path: Path) -> None:
    made = rows(tmp_path, "table3", Case("flow/high", 12, 0.025, 120.0), (6, 6))
    assert (made["empty rounds"].published, made["empty rounds"].ours) == ("3", "0")
    assert "defect" in made["empty rounds"].deviation
    assert "6 calls to 12 would be 72" in made["offers"].deviation
    long = rows(tmp_path, "table5", Case("flow/high", 12, 0.0373, 43_200.0), (1_600, 1_600))
    assert long["rounds with an outcome"].published == "806"
    assert "half of the published calls" in long["rounds with an outcome"].deviation


@pytest.mark.parametrize(("level", "mean"), [("medium", "8.3"), ("high", "6")])
def test_table_4_has_a_column_for_each_level(tmp_path: Path, level: str, mean: str) -> None:
    made = rows(tmp_path, "table4", Case(f"flow/{level}", 12, 0.0373, 7_200.0), (260, 260))
    assert made["offer ms, mean"].published == mean


def test_a_model_is_not_taken_for_a_measurement(tmp_path: Path) -> None:
    case = Case("flow/high", 12, 0.0373, 43_200.0)
    with RunRecord(tmp_path, {}) as record:
        tally = Tally(case, record, calls=1, rounds=1)
    for simulated, word in ((True, "no measurement"), (False, "other hardware")):
        made = compared("table5", [tally], simulated=simulated)
        assert word in next(row.deviation for row in made if row.quantity == "offer ms, mean")


def test_who_is_not_in_the_paper_has_nothing_published(tmp_path: Path) -> None:
    made = rows(tmp_path, "table4", Case("flow/high", 9, 0.0373, 7_200.0), (260, 260))
    assert {row.published for row in made.values()} == {""}


def test_the_published_counts_agree_with_what_is_known_of_them() -> None:
    """Features 78 to 82."""
    assert [one.offers for one in TABLES["table1"]] == [15, 27, 36]
    assert all(one.confirms == 3 for one in TABLES["table2"])
    (long,) = TABLES["table5"]
    assert long.rounds is not None
    assert long.offers == long.rounds * 12 == 9_672
    assert (shown((1, 3)), shown((5, 5)), shown(None)) == ("1–3", "5", "")
    assert Published(7).calls is None
