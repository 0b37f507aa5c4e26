"""A file of profiles that processes and people share."""

from __future__ import annotations

import asyncio
import fcntl
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from federation.shelf import ShelfError
from gateway import policy_file
from gateway.policy_file import PolicyFile


class Reader:
    """A process with its view of the file."""

    def __init__(self, path: Path) -> None:
        self.file = PolicyFile(path)
        self.books: dict[str, object] = {}
        self.heard = 0
        self.file.on_text = self._hear
        self.file.look()

    def _hear(self, name: str, text: bytes | None) -> None:
        self.heard += 1
        if text is None:
            del self.books[name]
        else:
            self.books[name] = json.loads(text)


async def test_a_change_is_heard_here_at_once_and_by_others_when_they_look(tmp_path: Path) -> None:
    one, two = Reader(tmp_path / "p.json"), Reader(tmp_path / "p.json")
    await one.file.change("acme", lambda text: b'{"default": "x"}')
    assert one.books == {"acme": {"default": "x"}} and not two.books
    for _ in range(3):
        two.file.look()
    assert two.books == one.books and two.heard == 1


async def test_a_change_is_made_of_what_stands_whoever_wrote_it(tmp_path: Path) -> None:
    one, two = Reader(tmp_path / "p.json"), Reader(tmp_path / "p.json")
    for reader in (one, two, one):
        await reader.file.change("n", lambda text: str(int(text or b"0") + 1).encode())
    assert one.books == {"n": 3}


async def test_people_may_edit_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    reader = Reader(path)
    await reader.file.change("acme", lambda text: b'{"default": "x"}')
    path.write_text(path.read_text().replace("acme", "umbrella"))
    reader.file.look()
    assert reader.books == {"umbrella": {"default": "x"}}


@pytest.mark.parametrize("text", ["{", "[]", ""])
async def test_a_file_that_is_no_json_changes_nothing_and_is_complained_of_once(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "p.json"
    reader = Reader(path)
    await reader.file.change("acme", lambda old: b'{"default": "x"}')
    path.write_text(text)
    with capture_logs() as logs:
        reader.file.look()
        reader.file.look()
    assert len(logs) == 1 and reader.books == {"acme": {"default": "x"}}
    with pytest.raises(ShelfError):
        await reader.file.change("acme", lambda old: b"{}")


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    reader = Reader(path)
    await reader.file.change("acme", lambda text: b'{"default": "x"}')
    path.unlink()
    with capture_logs() as logs:
        reader.file.look()
    assert "is gone" in logs[0]["reason"] and reader.books


async def test_who_cannot_write_is_told(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "nowhere" / "p.json")
    with pytest.raises(ShelfError, match="No such file"):
        await reader.file.change("acme", lambda text: b"{}")


async def test_a_process_that_holds_the_lock_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_file, "LOCK_SECONDS_MAX", 0.04)
    reader = Reader(tmp_path / "p.json")
    with (tmp_path / "p.json.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ShelfError, match="another process"):
            await reader.file.change("acme", lambda text: b"{}")
    await reader.file.change("acme", lambda text: b"{}")


async def test_an_edit_that_raises_changes_nothing_and_leaves_the_lock(tmp_path: Path) -> None:
    def refuse(text: bytes | None) -> bytes:
        raise ValueError("no")

    reader = Reader(tmp_path / "p.json")
    with pytest.raises(ValueError, match="no"):
        await reader.file.change("acme", refuse)
    await reader.file.change("acme", lambda text: b"{}")
    assert reader.books == {"acme": {}}


async def test_it_is_looked_at_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_file, "LOOK_SECONDS", 0.001)
    path = tmp_path / "p.json"
    heard = asyncio.Event()
    file = PolicyFile(path)
    file.on_text = lambda name, text: heard.set()
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(file.run())
        await PolicyFile(path).change("acme", lambda text: b"{}")
        async with asyncio.timeout(5):
            await heard.wait()
        looking.cancel()
    assert "1 books" in repr(file)
