"""The cost of a hop: what is asked for, what is played, and the tables that come of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from loadtest import hops_page
from loadtest.hops import main, measure
from loadtest.hops_plan import PARTS, Plan, parse, plan_of

SHORT = Plan(
    seconds=0.5,
    warm_up_seconds=0.02,
    repeats=1,
    gateways=(1, 2),
    contractors=5,
    in_flight=2,
    messages_in_flight=4,
    awards_in_flight=(1,),
)


def test_a_quick_run_is_shorter_and_asks_for_less() -> None:
    quick, full = (plan_of(parse(line, "")) for line in (["--quick"], []))
    assert quick.parts == full.parts == PARTS
    assert quick.seconds < full.seconds and quick.seconds_max < 60 < full.seconds_max < 240
    assert quick.repeats == 1 and full.repeats == 3
    assert set(quick.gateways) < set(full.gateways)


def test_one_comparison_can_be_asked_for() -> None:
    plan = plan_of(parse(["--only", "rounds", "--repeats", "5"], ""))
    assert plan.parts == ("rounds",) and plan.repeats == 5


@pytest.mark.parametrize("wrong", ["--only nothing", "--repeats 0", "--server-core 4096"])
def test_a_wrong_option_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong.split(), "")
    assert wrong.split()[0] in capsys.readouterr().err


@pytest.mark.slow
def test_direct_messages_and_rounds_are_measured_and_told_in_tables(tmp_path: Path) -> None:
    told: list[str] = []
    plan = replace(SHORT, parts=("direct", "rounds"))
    result = uvloop.run(measure(plan, tmp_path, told.append))
    assert [one["way"] for one in result["direct"]] == ["one gateway", "Unix socket", "TCP"]
    assert [(one["gateways"], one["load"]) for one in result["rounds"]] == [
        (1, "local"),
        (2, "local"),
        (2, "mixed 80/20"),
        (2, "remote"),
    ]
    assert result["awards"] == [] and len(told) == 7
    text = hops_page.as_text("python -m loadtest.hops", {"machine": {}, **result})
    assert "| Unix socket |" in text and "| 2 | remote |" in text
    assert "the hop is" in text and "federation.awards" not in text


@pytest.mark.slow
def test_awards_are_measured_with_etcd_for_as_long_as_there_is_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(SHORT, parts=("awards",), repeats=3, seconds_max=0.0)
    monkeypatch.setattr("loadtest.hops.plan_of", lambda options: plan)
    page, out = tmp_path / "page.md", tmp_path / "result.json"
    page.write_text("<!-- hops -->\n<!-- /hops -->\n")
    line = ["--client-core", "any", "--page", str(page), "--out", str(out)]
    assert main(line) == 0
    text, said = capsys.readouterr()
    assert "| 1 | `all` |" in text and "| 1 | `none` |" in text
    assert text.strip() in page.read_text()
    sides = json.loads(out.read_text())["awards"]
    assert [(one["awards"], len(one["repeats"])) for one in sides] == [("none", 1), ("all", 1)]
    assert "no time for repeat 2 of 3" in said
