"""The committed code of the wire is what the protos say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "llmx/v1": ROOT / "client",
    "llmx/wire/v1": ROOT / "client",
    "federation/etcd/v1": ROOT,  # nobody but the gateway speaks to etcd: not in the client's wheel
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate everything once, in a process of its own: protoc prints and keeps state."""
    into = tmp_path_factory.mktemp("generated")
    command = [sys.executable, str(ROOT / "proto" / "generate.py"), str(into)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return into


def _generated_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*_pb2*.py*"))}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_committed_code_is_what_the_protos_say(fresh: Path, folder: str) -> None:
    committed = _generated_in(FOLDERS[folder] / folder)
    wanted = _generated_in(fresh / folder)
    assert wanted, "nothing was generated, the folder's name is wrong"
    stale = sorted(
        name for name in committed.keys() | wanted.keys() if committed.get(name) != wanted.get(name)
    )
    assert not stale, f"run `make proto` and commit it: {', '.join(stale)}"


def test_every_proto_has_its_folder_checked(fresh: Path) -> None:
    folders = {path.parent.relative_to(fresh).as_posix() for path in fresh.rglob("*_pb2.py")}
    assert folders == set(FOLDERS)
