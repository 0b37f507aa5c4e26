"""A peer that cannot be played is skipped with a word, one that fails is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.conducting import RoundsFailed
from loadtest.peers import orders
from loadtest.peers.orders import Found
from loadtest.peers.roll import PEERS
from loadtest.rounds import Case

CASE = Case(3, 8, 0.5, 100, 0.1, "t")
PLAYED = (
    '{"rounds": 4, "seconds": 0.5, "messages": 36, "server_cpu_seconds": 0.2,'
    ' "client_cpu_seconds": 0.1, "to_last_offer": [0.001], "to_last_outcome": [0.002]}'
)

Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return what makes a program that stands where a peer's Python would."""

    def made(script: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        return path

    return made


def test_where_nothing_is_installed_each_is_skipped_with_a_word(tmp_path: Path) -> None:
    found, skipped = orders.found(["nats", "a2a"], tmp_path / "python")
    assert not found
    assert [sentence.split(" is skipped")[0] for sentence in skipped] == ["nats", "a2a"]
    assert "make bench" in skipped[0]


def test_who_can_be_played_is_found_and_who_cannot_says_why(program: Program) -> None:
    which = '{"nats": {"versions": {"nats-py": "2"}}, "a2a": {"why_not": "No module named a2a"}}'
    found, skipped = orders.found(["a2a", "nats"], program(f"echo '{which}'"))
    assert [(peer.name, dict(peer.versions)) for peer in found] == [("nats", {"nats-py": "2"})]
    assert skipped == ["a2a is skipped: No module named a2a"]


def test_an_environment_that_is_broken_skips_all(program: Program) -> None:
    found, skipped = orders.found(["nats"], program("exit 3"))
    assert not found
    assert "exit status 3" in skipped[0]


@pytest.mark.slow
def test_the_program_of_the_peers_says_itself_what_is_missing() -> None:
    """In our own environment there is NATS, for the tests; what needs another protobuf is not."""
    found, skipped = orders.found(list(PEERS), Path(sys.executable))
    assert [peer.name for peer in found] == ["nats", "jetstream"]
    assert len(found) + len(skipped) == len(PEERS)
    assert all("No module named" in sentence for sentence in skipped)


async def test_what_a_peer_prints_last_are_its_figures(program: Program) -> None:
    peer = Found("nats", program(f"test -s $4 && echo hello && echo '{PLAYED}'"), {})
    figures = await orders.play(peer, CASE, None)
    assert figures["rounds_per_second"] == 8.0
    assert figures["server_cpu_s_per_1000_rounds"] == 50.0
    assert figures["last_outcome_p50_ms"] == 2.0


async def test_a_peer_that_fails_is_named_with_its_last_words(program: Program) -> None:
    peer = Found("nats", program("echo 'there is no nats-server' >&2; exit 1"), {})
    with pytest.raises(RoundsFailed, match=r"nats, 3 contractors, 8 in flight: there is no"):
        await orders.play(peer, CASE, None)


async def test_a_peer_that_does_not_end_is_ended(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "EXTRA_SECONDS_MAX", -0.4)
    with pytest.raises(RoundsFailed, match="it took over"):
        await orders.play(Found("nats", program("exec sleep 60"), {}), CASE, None)
