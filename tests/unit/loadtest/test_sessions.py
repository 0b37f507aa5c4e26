"""The command line of the sessions' measurement says what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import sessions, slow_consumer


def test_a_quick_run_has_fewer_sessions_and_shorter_stretches() -> None:
    quick, full = sessions.parse(["--quick"]), sessions.parse([])
    assert (full.sessions, full.active) == (5_000, 500)
    assert (quick.sessions, quick.active) == (200, 20)
    assert quick.seconds < full.seconds
    assert quick.repeats < full.repeats


def test_what_is_asked_for_goes_before_what_quick_means() -> None:
    options = sessions.parse(["--quick", "--sessions", "50", "--out", "r.json"])
    assert (options.sessions, options.active, options.out) == (50, 20, Path("r.json"))


@pytest.mark.parametrize(
    "wrong", ["--sessions 0", "--active 1", "--rate 0", "--seconds 601", "--server-core 4096"]
)
def test_a_wrong_option_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sessions.parse(wrong.split())
    assert wrong.split()[0] in capsys.readouterr().err


def test_a_quick_slow_consumer_fills_a_small_outbox() -> None:
    quick, full = slow_consumer.parse(["--quick"]), slow_consumer.parse([])
    assert quick.outbox < full.outbox
    assert quick.outbox / quick.messages < quick.seconds
    assert full.outbox / full.messages < full.seconds


@pytest.mark.parametrize("wrong", ["--agents 1", "--messages 0", "--outbox 1", "--repeats 21"])
def test_a_wrong_option_of_the_slow_consumer_is_refused(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        slow_consumer.parse(wrong.split())
    assert wrong.split()[0] in capsys.readouterr().err
