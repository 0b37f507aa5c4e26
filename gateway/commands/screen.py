"""A terminal on which one thing changes while it lasts, and stays when it is over."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.live import Live

WIDTH_MAX = 100


class Screen:
    """Prints lines for good, and below them shows something that changes."""

    def __init__(self, console: Console | None = None, width_max: int = WIDTH_MAX) -> None:
        """Show on `console`, standard output when None."""
        self.console = console or Console(highlight=False)
        self.console.width = min(self.console.width, width_max)
        self._live: Live | None = None

    @property
    def is_changing(self) -> bool:
        """Is something shown that changes?"""
        return self._live is not None

    def show(self, what: Any) -> None:
        """Show this instead of what was shown last."""
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(what, refresh=True)

    def print(self, *what: Any) -> None:
        """Print for good."""
        self.console.print(*what)

    def leave(self) -> None:
        """Take away what changes, and give the cursor back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
