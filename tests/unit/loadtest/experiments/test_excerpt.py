"""What of a run stands in the page: short, with its command, and with what was not judged."""

from __future__ import annotations

from pathlib import Path

from loadtest.experiments.claims import Claim
from loadtest.experiments.comparison import Row
from loadtest.experiments.excerpt import excerpt, mark
from loadtest.experiments.programme import EXPERIMENTS, Wish
from loadtest.experiments.running import command

PAGE = Path(__file__).resolve().parents[4] / "docs" / "experiments.md"
MACHINE = {"commit": "abc", "cores": 2, "python": "3.11"}
ROWS = [
    Row("low, n=5", "CFPs", "3", "4", "Poisson"),
    Row("low, n=5", "offer ms", "", "2", "not in the paper"),
    Row("low, n=9", "CFPs", "3", "5", "Poisson"),
    Row("low, n=9", "p95", "7", "2", "the same"),
]


def test_a_line_for_each_population_and_one_for_each_deviation() -> None:
    text = excerpt("llmx x", MACHINE, ROWS, [Claim("it holds", True, "")], [], ())
    assert "| published / ours | CFPs | offer ms | p95 |" in text
    assert "| low, n=5 | 3 / 4 | – / 2 |  |" in text
    assert text.count("Poisson") == 1
    assert "the same" not in text
    assert "not in the paper" not in text
    assert text.startswith("`llmx x`, commit abc")
    assert text.endswith("Of 1 claims 1 hold")


def test_what_came_to_the_same_in_several_cases_is_one_line() -> None:
    claims = [
        *(Claim(f"flow/high n={size}: it is flat", None, "too short") for size in (5, 9, 12)),
        Claim("flow/low n=5: it is flat", False, "it is not"),
        Claim("C5: a: b", True, "yes"),
    ]
    lines = excerpt("llmx x", MACHINE, [], claims, [], ()).splitlines()[-3:]
    assert lines == [
        "- not judged: 3 cases: it is flat (too short)",
        "- FAILS: flow/low n=5: it is flat (it is not)",
        "- holds: C5: a: b (yes)",
    ]


def test_what_does_not_hold_or_was_not_judged_is_said() -> None:
    claims = [
        Claim("a", True, "1"),
        Claim("b", None, "2"),
        Claim("c", False, "3"),
        Claim("C1: d", True, "4"),
    ]
    text = excerpt("llmx x", MACHINE, [], claims, [{"case": "one", "rounds": 1_234}], ("rounds",))
    assert "| one | 1,234 |" in text
    said = "Of 4 claims 2 hold:\n\n- not judged: b (2)\n- FAILS: c (3)\n- holds: C1: d (4)"
    assert text.endswith(said)


def test_the_page_shows_the_command_of_each_of_its_figures() -> None:
    """And its figures are there: a mark without any is a table that nobody has run."""
    text = PAGE.read_text("utf-8")
    for name in EXPERIMENTS:
        for simulated in (True, False):
            begin = f"<!-- {mark(name, simulated=simulated)} -->"
            if begin not in text:
                continue
            inside = text.split(begin)[1].split("<!-- /")[0]
            assert command(name, Wish(simulated)) in inside.split("`")[1], begin
            assert f".venv/bin/{command(name, Wish(simulated))}" in text, begin
    assert text.count("<!-- /table") >= 5
