"""Where the commands of one user keep what they share: the development secret."""

from __future__ import annotations

import os
from pathlib import Path


def state_dir() -> Path:
    """Return LLMX_STATE_DIR, or `llmx` in the user's folder for state (XDG)."""
    given = os.environ.get("LLMX_STATE_DIR")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "llmx"
