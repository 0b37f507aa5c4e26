"""`llmx gateway`, as far as it goes without serving; tests/integration starts it for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.commands.serve import serve


def test_a_setting_that_cannot_be_ends_it_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LLMX_STATE_DIR", str(tmp_path))
    assert serve(None, {"server.port": 70_000}, "text") == 2
    said = capsys.readouterr().err
    assert said.startswith("llmx gateway: ") and "70000" in said
    assert not (tmp_path / "development.secret").exists()
