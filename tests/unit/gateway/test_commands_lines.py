"""What the commands write."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from gateway.commands.lines import clean, compact, figure, show_notes, tell


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    """The library's log, as it was afterwards."""
    log = logging.getLogger("llmx")
    before = log.handlers, log.level, log.propagate
    yield log
    log.handlers, log.level, log.propagate = before


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (40, "40"),
        (37.5, "37.5"),
        (0, "0"),
        (-3.14159, "-3.14"),
        (0.0001, "0.0001"),
        (1e15, "1e+15"),
        (None, "–"),
    ],
)
def test_numbers_are_written_as_people_write_them(value: float | None, shown: str):
    assert figure(value) == shown


def test_what_a_stranger_wrote_cannot_move_the_cursor():
    shown = clean("cheap\x1b[2J\x9b1A\r\n")
    assert all(sign.isprintable() for sign in shown)
    assert shown.startswith("cheap")


def test_what_a_stranger_wrote_is_shortened():
    assert clean("a" * 500, 10) == "a" * 9 + "…"


def test_words_stay_words_and_objects_are_one_line():
    assert compact("four GPUs") == "four GPUs"
    assert compact({"gpus": 4, "text": "\x1b"}) == '{"gpus": 4, "text": "\\u001b"}'
    assert compact({}) == ""
    assert compact(0) == "0"


def test_an_event_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]):
    tell("offer", agent="agent://bob", text="a\nb")
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    facts = json.loads(line)
    assert facts.pop("at") > 0
    assert facts == {"event": "offer", "agent": "agent://bob", "text": "a\nb"}


def test_that_the_gateway_is_still_away_is_said_once(
    library: logging.Logger, capsys: pytest.CaptureFixture[str]
):
    show_notes(as_json=False)
    for seconds in (0.1, 0.2, 0.4):
        library.info("%s: %s %s; again in %.2f s", "agent://bob", "here", "is lost", seconds)
    library.info("%s: connected to %s (%s)", "agent://bob", "local", "resumed")
    library.info("an offer in negotiation %s was refused: %s", "n", "told by the command")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "again in 0.10 s" in lines[0]
    assert "connected to local" in lines[1]


def test_a_handler_that_failed_is_told_with_its_error(
    library: logging.Logger, capsys: pytest.CaptureFixture[str]
):
    show_notes(as_json=True)
    try:
        raise ValueError("no price")
    except ValueError:
        library.exception("on_cfp failed in negotiation %s", "n-1")
    facts = json.loads(capsys.readouterr().out)
    assert facts["event"] == "note" and facts["level"] == "error"
    assert "n-1" in facts["text"] and "no price" in facts["text"]
