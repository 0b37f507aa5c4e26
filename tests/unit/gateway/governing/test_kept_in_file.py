"""Texts in the file of a gateway: what a restart finds, and a disk that takes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.governing import kept_in_file as module
from gateway.governing.keeping import KeepError
from gateway.governing.kept_in_file import KeptInFile
from tests.support.keepers import listening, running_file
from tests.support.kept_parts import FAT


async def test_a_restart_finds_every_text_and_none_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 2)
    texts = {f"page/{number}": str(number).encode() for number in range(5)}
    async with running_file(tmp_path / "k.db") as store, listening(KeptInFile(store)) as heard:
        for name, text in texts.items():
            await heard.keeper.put(name, text)
        await heard.keeper.remove("page/3")
    async with running_file(tmp_path / "k.db") as store, listening(KeptInFile(store)) as heard:
        del texts["page/3"]
        assert heard.texts == texts
        await heard.keeper.change("page/4", lambda text: (text or b"") + b"!")
        assert heard.texts["page/4"] == b"4!"


async def test_what_the_disk_does_not_take_is_not_believed(tmp_path: Path) -> None:
    async with running_file(tmp_path / "k.db") as store, listening(KeptInFile(store)) as heard:
        await heard.keeper.put("a", b"1")
        await store.read("PRAGMA max_page_count = 1")
        store.write([(FAT, ())], keep=False)
        await store.committed()
        with pytest.raises(KeepError, match="the disk does not take it"):
            await heard.keeper.put("b", b"2")
        with pytest.raises(KeepError):
            await heard.keeper.remove("a")
        assert heard.texts == {"a": b"1"}


async def test_nothing_is_changed_before_the_file_was_read(tmp_path: Path) -> None:
    """Or a rating would begin anew although there is one."""
    async with running_file(tmp_path / "k.db") as store:
        keeper = KeptInFile(store)
        assert not await keeper.begun(0)
        for change in (keeper.put("a", b"1"), keeper.remove("a")):
            with pytest.raises(KeepError, match="not read yet"):
                await change


async def test_changes_of_different_texts_share_a_flush_of_the_disk(tmp_path: Path) -> None:
    async with running_file(tmp_path / "k.db") as store, listening(KeptInFile(store)) as heard:
        await store.committed()
        before = store.commits
        changes = [
            heard.keeper.change(f"rating/{number % 10}", lambda text: (text or b"") + b"x")
            for number in range(20)
        ]
        await asyncio.gather(*changes)
        assert heard.texts == {f"rating/{number}": b"xx" for number in range(10)}
        assert store.commits - before < 10
        assert repr(heard.keeper) == "<KeptInFile: 10 texts, read>"
        assert isinstance(heard.keeper, KeptInFile)
        assert heard.keeper._changing == {}, "nobody changes anything any more"
