"""The cost of a hop: what is asked for, what is played, and the tables that come of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from loadtest import hops_cases, hops_page
from loadtest.hops import main, measure
from loadtest.hops_plan import PARTS, Plan, parse, plan_of

SHORT = Plan(
    seconds=0.25,
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


def figures(**given: float) -> dict[str, object]:
    return {"figures": given, "repeats": [given, given]}


def direct(way: str, micros: float) -> dict[str, object]:
    latency = {f"single_p{percent}_ms": percent / 100 for percent in (50, 95, 99)}
    return {"way": way} | figures(
        single_cpu_us=1_234, many_per_second=20_000, many_cpu_us=micros, **latency
    )


def rounds(gateways: int, load: str, messages: float) -> dict[str, object]:
    latency = {f"p{percent}_ms": float(percent) for percent in (50, 95, 99)}
    return {"gateways": gateways, "load": load} | figures(
        rounds_per_second=700,
        messages_per_cpu_second=messages,
        cpu_us_per_message=1e6 / messages,
        **latency,
    )


def test_the_tables_compare_each_side_with_the_one_that_crosses_nothing() -> None:
    result = {
        "machine": {},
        "seconds": 120.0,
        "messages_in_flight": 64,
        "direct": [direct("one gateway", 30), direct("Unix socket", 60), direct("TCP", 75)],
        "rounds": [
            rounds(1, "local", 40_000),
            rounds(2, "local", 30_000),
            rounds(2, "remote", 15_000),
        ],
        "awards": [],
    }
    text = hops_page.as_text("python -m loadtest.hops", result)
    assert "medians of 2, 120 s:" in text
    assert "| Unix socket | 0.5 / 0.95 / 0.99 | 1,234 | 20,000 | 60.0 | 2.00 |" in text
    assert "the hop is 50% over a Unix socket and 60% over TCP" in text
    assert "| 2 | remote | 700 | 50 / 95 / 99 | 15,000 | 0.38 | 66.7 | 2.00 |" in text
    assert "federation.awards" not in text


@pytest.mark.slow
def test_direct_messages_are_measured_on_one_gateway_and_between_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(hops_cases.WAYS, "TCP")
    told: list[str] = []
    result = uvloop.run(measure(replace(SHORT, parts=("direct",)), tmp_path, told.append))
    assert [one["way"] for one in result["direct"]] == ["one gateway", "Unix socket"]
    for one in result["direct"]:
        assert 0 < one["figures"]["single_p50_ms"] <= one["figures"]["single_p99_ms"]
        assert one["figures"]["many_per_second"] > 0
    assert len(told) == 2 and not result["rounds"] and not result["awards"]


@pytest.mark.slow
def test_rounds_are_measured_with_contractors_here_there_and_both(tmp_path: Path) -> None:
    told: list[str] = []
    result = uvloop.run(measure(replace(SHORT, parts=("rounds",)), tmp_path, told.append))
    assert [(one["gateways"], one["load"]) for one in result["rounds"]] == [
        (1, "local"),
        (2, "local"),
        (2, "mixed 80/20"),
        (2, "remote"),
    ]
    assert all(one["figures"]["strays"] == 0 for one in result["rounds"])
    assert len(told) == 4


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
