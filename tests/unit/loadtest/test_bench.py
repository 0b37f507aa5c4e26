"""The command line says what it takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtest import bench
from loadtest.peers.roll import PEERS


def test_a_quick_run_has_fewer_and_shorter_cases() -> None:
    quick, full = bench.parse(["--quick"]), bench.parse([])
    assert set(quick.in_flight) < set(full.in_flight)
    assert quick.seconds < full.seconds
    assert quick.repeats == full.repeats == 3


def test_what_is_asked_for_is_what_is_played() -> None:
    line = "--contractors 5,12,5 --in-flight 8 --rounds 100 --repeats 4 --only floor --out r.json"
    options = bench.parse(line.split())
    assert options.contractors == (5, 12)
    assert options.in_flight == (8,)
    assert (options.rounds, options.repeats, options.only) == (100, 4, "floor")
    assert options.out == Path("r.json")


def test_the_command_that_is_shown_says_what_was_measured_not_where_it_went() -> None:
    line = "--page p.md --quick --out=r.json --peers nats --history h"
    assert bench.command_of(line.split()) == "python -m loadtest.bench --quick --peers nats"
    assert bench.command_of([]) == "python -m loadtest.bench"


def test_peers_are_all_none_or_those_that_are_named() -> None:
    assert bench.parse([]).peers is None
    assert set(bench.parse(["--peers", "all"]).peers) == set(PEERS)
    assert bench.parse(["--peers", "none"]).peers == ()
    assert bench.parse(["--peers", "a2a,nats,a2a"]).peers == ("a2a", "nats")


def test_a_core_is_one_of_this_process_or_any() -> None:
    core = min(os.sched_getaffinity(0))
    assert bench.parse(["--server-core", str(core)]).server_core == core
    assert bench.parse(["--client-core", "any"]).client_core is None


@pytest.mark.parametrize(
    "wrong",
    [
        "--contractors 0",
        "--contractors 5,x",
        "--in-flight 5000",
        "--repeats 51",
        "--seconds 0",
        "--server-core 4096",
        "--only nats",
        "--peers kafka",
    ],
)
def test_a_wrong_option_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.parse(wrong.split())
    assert wrong.split()[0] in capsys.readouterr().err
