"""Every peer has a program, and the page says fairly what it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.peers.roll import PEERS

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_has_a_program_versions_and_words(name: str) -> None:
    peer = PEERS[name]
    assert (ROOT / peer.module.replace(".", "/")).with_suffix(".py").is_file()
    pinned = (ROOT / "requirements" / "bench.txt").read_text()
    assert all(f"{needed}==" in pinned for needed in peer.distributions)
    assert peer.title in (ROOT / "docs" / "performance.md").read_text()
    assert peer.carries and peer.leaves_out
