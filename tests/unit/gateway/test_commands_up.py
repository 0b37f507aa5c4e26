"""`llmx up`, as far as it goes without a cluster; tests/integration/test_up.py has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.commands.local_etcd import free_ports
from gateway.commands.up import up


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMX_STATE_DIR", str(tmp_path / "state"))


def test_regions_that_cannot_be_start_nothing(capsys: pytest.CaptureFixture[str]):
    assert up("eu,,us", None, None, as_json=False) == 2
    said = capsys.readouterr().err
    assert said.startswith("llmx up: --regions eu,,us") and said.count("\n") == 1


def test_an_etcd_that_does_not_answer_starts_nothing(capsys: pytest.CaptureFixture[str]):
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    assert up("eu", nobody, None, as_json=False) == 1
    assert f"no etcd answers at {nobody}" in capsys.readouterr().err
    assert up("eu", "https://etcd", None, as_json=False) == 2


def test_a_state_folder_that_cannot_be_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    assert up("eu", None, tmp_path / "file", as_json=False) == 2
    assert "--state" in capsys.readouterr().err
