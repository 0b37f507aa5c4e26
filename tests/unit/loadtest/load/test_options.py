"""The command line says what it takes, and what it does can be done again."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.load.__main__ import command_of, parse, plan_of


def test_unless_it_is_said_each_group_calls_once_a_second() -> None:
    plan = plan_of(parse(["--agents", "500"]), Path("runs"))
    assert (plan.agents, plan.calls_per_second, plan.in_flight) == (500, 50.0, 0)


def test_agents_come_in_whole_groups_for_every_worker() -> None:
    assert parse(["--agents", "78", "--workers", "2"]).agents == 60


def test_a_curve_asks_for_all_that_can_be_done() -> None:
    options = parse(["--curve", "1,2,2", "--agents", "120"])
    assert options.curve == (1, 2)
    plan = plan_of(options, Path("runs"))
    assert (plan.calls_per_second, plan.in_flight) == (0.0, 4)


@pytest.mark.parametrize(
    "line",
    [
        "--gateways 2 --agents 40 --shape storm --seconds 15 --rate 20",
        "--gateways 1 --agents 40 --shape soak --seconds 60 --in-flight 8 --workers 2",
        "--curve 1,2,4 --agents 120 --seconds 30 --group 5 --elsewhere 80 --seed 7",
    ],
)
def test_the_command_that_is_shown_does_the_same_again(line: str) -> None:
    assert command_of(parse(line.split())) == f"python -m loadtest.load {line}"


@pytest.mark.parametrize(
    "wrong",
    [
        "--gateways 0",
        "--agents 9",
        "--shape wave",
        "--seconds 0",
        "--elsewhere 101",
        "--rate 0",
        "--rate 5 --in-flight 5",
        "--curve 1,2 --rate 5",
        "--curve 1,x",
        "--group 1",
    ],
)
def test_a_wrong_option_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong.split())
    assert "error" in capsys.readouterr().err
