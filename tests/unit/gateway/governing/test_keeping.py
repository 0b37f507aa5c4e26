"""What every keeper promises, whatever it keeps texts in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.governing.keeping import KeptInMemory
from tests.support.keepers import kept

pytestmark = pytest.mark.parametrize("kind", ["memory", "file", "etcd"])


async def test_a_text_is_heard_once_it_stands_and_when_it_is_gone(
    kind: str, tmp_path: Path
) -> None:
    async with kept(kind, tmp_path) as heard:
        await heard.keeper.put("page/a/1", b"one")
        await heard.keeper.put("page/a/2", b"two")
        await heard.until({"page/a/1": b"one", "page/a/2": b"two"})
        await heard.keeper.remove("page/a/1")
        await heard.keeper.remove("page/a/1")
        await heard.until({"page/a/2": b"two"})


async def test_a_change_is_made_of_what_stands_and_heard_before_it_returns(
    kind: str, tmp_path: Path
) -> None:
    async with kept(kind, tmp_path) as heard:
        for _ in range(3):
            await heard.keeper.change("sum", lambda text: (text or b"") + b"x")
        assert heard.texts == {"sum": b"xxx"}
        await heard.keeper.change("sum", lambda text: None)
        assert heard.texts == {"sum": b"xxx"}, "None leaves it as it is"


async def test_of_many_changes_at_once_each_counts(kind: str, tmp_path: Path) -> None:
    async with kept(kind, tmp_path) as heard:
        change = heard.keeper.change
        await asyncio.gather(*(change("sum", lambda text: (text or b"") + b"x") for _ in range(5)))
        await heard.until({"sum": b"xxxxx"})


async def test_what_an_edit_raises_is_raised_and_nothing_changes(kind: str, tmp_path: Path) -> None:
    def edit(text: bytes | None) -> bytes:
        raise ZeroDivisionError

    async with kept(kind, tmp_path) as heard:
        with pytest.raises(ZeroDivisionError):
            await heard.keeper.change("sum", edit)
        await heard.keeper.put("other", b"text")
        await heard.until({"other": b"text"})


async def test_a_keeper_tells_its_state(kind: str, tmp_path: Path) -> None:
    async with kept(kind, tmp_path) as heard:
        await heard.keeper.put("a", b"1")
        await heard.until({"a": b"1"})
        assert "1 texts" in repr(heard.keeper)
    assert repr(KeptInMemory()) == "<KeptInMemory: 0 texts>"
