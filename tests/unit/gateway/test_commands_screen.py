"""What changes on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from gateway.commands.screen import Screen


def test_what_changes_is_taken_away_and_what_is_printed_stays():
    file = io.StringIO()
    screen = Screen(Console(file=file, force_terminal=True, width=200), width_max=60)
    assert screen.console.width == 60 and not screen.is_changing
    screen.show("one")
    screen.show("two")
    assert screen.is_changing
    screen.print("for good")
    screen.leave()
    screen.leave()
    shown = file.getvalue()
    assert not screen.is_changing and "for good" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
