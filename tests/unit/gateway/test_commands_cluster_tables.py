"""The tables of the demo of a cluster."""

from __future__ import annotations

from rich.console import Console

from gateway.commands.cluster_tables import (
    ending,
    name_of,
    round_table,
    short,
    summary_table,
    ways_line,
)
from tests.unit.gateway.test_commands_cluster_board import (
    CONTRACTORS,
    board_of,
    heard,
    made,
    opened,
    outcome,
    verdict,
)


def text_of(table: object) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def board():
    told = board_of(
        opened("eu", "eu.1.a"),
        made("agent://bob", "eu.1.a", 1.1),
        heard("eu", "agent://bob", "eu.1.a", 1.2),
        outcome("eu", "eu.1.a", 1.3, "agent://bob"),
        verdict("agent://bob", "eu.1.a", 1.4, won=True),
    )
    told.decided_by("eu.1.a", "ap")
    return told


def test_a_round_shows_who_is_where_and_who_decides():
    told = board()
    shown = text_of(round_table(told, told.calls, CONTRACTORS, "round 1"))
    title, where, by, bob, carol = (line.split() for line in shown.splitlines()[:5])
    assert title == ["round", "1"]
    assert where[2:] == ["alice-eu", "at", "eu", "alice-us", "at", "us"]
    assert by == ["decided", "by", "eu→ap", "has", "not", "called"]
    assert bob == ["bob", "us", "40", "won", "at", "40"]
    assert carol[:2] == ["carol", "eu"]


def test_the_summary_has_a_row_for_each_call():
    shown = text_of(summary_table(board()))
    assert len(shown.splitlines()) == 4
    assert "eu→ap" in shown and "bob" in shown and "unknown" in shown


def test_ways_are_counted_by_the_links_they_take():
    assert ways_line(board()) == (
        "1 offers were heard: 0 within one gateway, 1 over one link, 0 over two (us→eu 1)"
    )


def test_a_way_names_no_stop_twice_in_a_row():
    assert short(("eu", "eu", "eu")) == "eu"
    assert short(("eu", "us", "us")) == "eu→us"
    assert short(("eu", "us", "eu")) == "eu→us→eu"
    assert short(("", "us", "us")) == "?→us"


def test_an_end_is_a_sentence_and_so_is_none():
    eu, us = board().calls
    assert ending(eu).startswith("alice-eu at eu, decided by eu→ap: bob wins at 40; 2 of 2 offers")
    assert ending(us) == "alice-us at us, decided by –: no outcome was heard"


def test_what_strangers_call_themselves_moves_no_cursor():
    assert "\x1b" not in name_of("agent://\x1b[2J")
