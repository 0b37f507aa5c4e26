"""Where the commands of one user keep what they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.commands.state import state_dir


def test_a_folder_that_was_named_goes_before_the_users(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LLMX_STATE_DIR", "/somewhere")
    assert state_dir() == Path("/somewhere")
    monkeypatch.delenv("LLMX_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_dir() == Path("/state/llmx")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state_dir() == Path.home() / ".local" / "state" / "llmx"
