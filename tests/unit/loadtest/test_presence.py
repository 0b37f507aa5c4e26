"""What presence costs is measured on gateways that end up knowing the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.presence import Gateway, Plan, main, parse, population


@pytest.mark.slow
def test_a_small_cluster_is_measured_and_its_table_put_onto_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "page.md", tmp_path / "result.json"
    page.write_text("<!-- presence -->\n<!-- /presence -->\n")
    given = ["--agents", "300", "--gateways", "3", "--page", str(page), "--out", str(out)]
    assert main(given) == 0
    table = capsys.readouterr().out
    assert table in page.read_text() and "do not agree" not in table
    result = json.loads(out.read_text())
    assert result["start"]["agree"] and result["join"]["agree"] and result["changes"]["agree"]
    assert result["memory"]["alike"]["agents"] == 200
    assert result["memory"]["distinct"]["own_agents"] == 100
    assert result["join"]["bytes_heard"] > 300 * 50
    assert result["leave"]["agents"] == 100


def test_the_same_agents_come_each_time_and_each_to_one_gateway() -> None:
    plan = Plan(agents=60, gateways=3)
    agents = [list(population(plan, gateway)) for gateway in range(3)]
    assert agents == [list(population(plan, gateway)) for gateway in range(3)]
    assert len({agent_id for some in agents for _, agent_id, *_ in some}) == 60


def test_agents_that_are_not_alike_share_nothing() -> None:
    agents = list(population(Plan(agents=60, gateways=3, is_distinct=True), 1))
    names = [name for _, _, capabilities, *_ in agents for name in capabilities]
    assert len(set(names)) == len(names)


def test_a_simulated_gateway_hears_what_another_one_tells() -> None:
    plan = Plan(agents=20, gateways=2)
    one, other = Gateway(0), Gateway(1)
    one.fill(plan, 0)
    other.hear(one.name, one.snapshot_for(other.region))
    assert len(other.directory) == 10
    assert other.directory.digest_of(one.name) == one.announcer.digest(other.region)


@pytest.mark.parametrize("given", [["--agents", "5"], ["--gateways", "1"]])
def test_an_option_that_cannot_be_is_answered_with_its_bounds(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(given)
    assert "must be" in capsys.readouterr().err
