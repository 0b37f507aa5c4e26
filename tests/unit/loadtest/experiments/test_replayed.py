"""C5: what was recorded leads to the same decisions, on another number of gateways too."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.experiments import paper_claims
from loadtest.experiments.cases import Case, Faults
from loadtest.experiments.replayed import replayed
from loadtest.experiments.simulated import play
from loadtest.run_records import RunRecord

ILL = Faults("ill", 0.1, 0.0, 1.0, 10.0, 0.2, 0.1, 0.1)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """The records of three policies, with everything that goes wrong."""
    path = tmp_path / "records.jsonl"
    with RunRecord(tmp_path, {}) as record, path.open("wb") as kept:
        for number, profile in enumerate(("flow/low", "proto/medium", "flow/high")):
            play(Case(profile, 5, 1.0, 10.0, faults=ILL), f"case-{number}", record, kept.write)
    return path


def test_one_and_three_gateways_decide_as_it_was_decided(records: Path) -> None:
    again = replayed(records, (1, 3))
    assert again.records > 15
    assert again.is_same
    assert all(claim.holds for claim in paper_claims.replay(again))


def test_an_offer_that_was_changed_is_noticed(records: Path) -> None:
    """Both by the fingerprint of its steps, and in what is decided."""
    before = replayed(records, (1,)).hashes[1]
    text = records.read_bytes()
    first = text.split(b"\n")[0]
    value = first.split(b'"value":')[1].split(b",")[0]
    records.write_bytes(text.replace(b'"value":' + value, b'"value":1.5'))
    again = replayed(records, (1,))
    assert again.differing > 0
    assert again.hashes[1] != before
    assert paper_claims.replay(again)[0].holds is False


def test_no_records_prove_nothing(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").touch()
    again = replayed(tmp_path / "records.jsonl")
    assert [claim.holds for claim in paper_claims.replay(again)] == [None, None]
