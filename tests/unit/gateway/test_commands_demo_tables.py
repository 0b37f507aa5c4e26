"""The tables and sentences of the demo."""

from __future__ import annotations

from rich.console import Console

from gateway.commands.demo_tables import ending, note_lines, round_table, summary_table
from gateway.commands.rounds import Round
from tests.unit.gateway.test_commands_rounds import a_good_round, contractor, heard, opened


def drawn(table: object, width: int = 100) -> str:
    """Return a table as text."""
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_a_round_has_a_row_for_every_contractor_in_the_order_of_the_offers():
    lines = drawn(round_table(heard(*a_good_round()), "round 1 of 1")).splitlines()
    assert lines[0].startswith("round 1 of 1")
    assert "agent://bob" in lines[2] and "lost: outbid" in lines[2]
    assert "agent://carol" in lines[3] and "won at 30" in lines[3]
    assert all(len(line) <= 100 for line in lines)


def test_a_round_that_nobody_has_spoken_of_is_an_empty_table():
    assert "contractor" in drawn(round_table(Round(), "round 1 of 1"))


def test_the_summary_fits_a_terminal_of_a_hundred_columns():
    text = drawn(summary_table([heard(*a_good_round())] * 3))
    assert text.count("agent://carol") == 3
    assert "…" not in text


def test_a_refusal_is_told_with_its_code_place_remedy_and_what_followed():
    careless = contractor("agent://bob", "offer", 1.1, value="40 credits")
    refused = contractor(
        "agent://bob",
        "refused",
        1.11,
        code="SCHEMA_VIOLATION",
        pointer="/payload/value",
        reason="It is text.",
        remedy="Send a number.",
        mended=True,
    )
    mended = contractor("agent://bob", "offer", 1.12, value=40)
    (line,) = note_lines(heard(opened(), careless, refused, mended))
    assert line == (
        "agent://bob: SCHEMA_VIOLATION at /payload/value: It is text. Send a number; "
        "offered 40 then"
    )


def test_an_ending_is_a_sentence():
    assert ending(heard(*a_good_round())) == (
        "agent://carol wins at 30; 2 of 2 offers in time, closed by quorum; "
        "known 210 ms after the call, 10.0 ms after the last offer"
    )
    assert ending(Round()) == "no outcome was heard"
    assert ending(Round(refused={"code": "POLICY_INVALID"})) == "no negotiation: POLICY_INVALID"


def test_strangers_cannot_write_to_the_terminal():
    events = a_good_round()
    events[1] = contractor(
        "agent://bob", "offer", 1.1, value=40, conditions={"x": "\x1b[2J[bold]"}, terms=None
    )
    text = drawn(round_table(heard(*events), "round"))
    assert "\x1b" not in text
