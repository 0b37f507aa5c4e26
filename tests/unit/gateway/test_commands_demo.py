"""`llmx demo`, as far as it goes without a gateway; tests/integration plays it for real."""

from __future__ import annotations

import pytest

from gateway.commands.demo import demo


@pytest.mark.parametrize("count", [0, 65])
def test_the_number_of_contractors_has_bounds(count: int, capsys: pytest.CaptureFixture[str]):
    assert demo(None, count, (), as_json=False) == 2
    assert "--contractors is 1 to 64" in capsys.readouterr().err


def test_a_scenario_that_is_not_there_starts_nothing(capsys: pytest.CaptureFixture[str]):
    assert demo("nowhere.json", None, (), as_json=False) == 2
    assert "nowhere.json" in capsys.readouterr().err
