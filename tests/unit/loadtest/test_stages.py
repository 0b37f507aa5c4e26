"""A round without a wire goes the way of the bench, and its stages are timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import stages


def test_a_batch_of_rounds_goes_from_the_calls_to_the_last_acknowledgement() -> None:
    round_ = stages.Round()
    for _ in range(2):
        times = round_.play()
        assert len(times) == len(stages.STAGES)
        assert all(spent >= 0 for spent in times) and sum(times) > 0
    assert not any(len(bob.member.outbox) for bob in round_.bobs), "all of it was acknowledged"


def test_the_table_goes_to_a_page_that_has_a_place_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "measure", lambda: [1.0] * len(stages.STAGES))
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert stages.main(["--page", str(page)]) == 1
    assert "lacks <!-- stages -->" in capsys.readouterr().err
    page.write_text("<!-- stages -->\n<!-- /stages -->\n")
    assert stages.main(["--page", str(page)]) == 0
    assert f"| {stages.STAGES[0]} | 1 µs |" in page.read_text()


@pytest.mark.slow
def test_each_stage_has_its_microseconds() -> None:
    measured = stages.measure(batches=2)
    assert len(measured) == len(stages.STAGES)
    assert all(0.1 < spent < 100_000 for spent in measured)
