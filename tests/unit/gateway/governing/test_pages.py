"""A log of facts on pages: who hears what, in which life, and what goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.governing import pages as module
from gateway.governing.facts import Awarded, Fact
from gateway.governing.keeping import KeepError, KeptInMemory
from gateway.governing.pages import CLEAR_SECONDS, GONE_SECONDS, Pages, flushed

KEEP = 100.0


def award(agent: str, at: float) -> Awarded:
    return Awarded("acme", agent, 1.0, at)


class Shared(KeptInMemory):
    """Texts of several gateways, which all hear; it may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.listeners: list[Pages] = []
        self.on_text = self._tell

    def _tell(self, name: str, text: bytes | None) -> None:
        for pages in self.listeners:
            if pages.owns(name):
                pages.hear(name, text)

    async def put(self, name: str, text: bytes) -> None:
        if self.is_away:
            raise KeepError("away")
        await super().put(name, text)

    @property
    def names(self) -> list[str]:
        return list(self._texts)


class Reader:
    """The pages of one life of a gateway, and what it has heard."""

    def __init__(self, keeper: Shared, writer: str, life: str, facts_max: int = 100) -> None:
        self.pages = Pages(keeper, "past", writer, life, KEEP, facts_max)
        self.heard: list[Fact] = []
        self.pages.on_facts = lambda facts: self.heard.extend(facts)
        for name in keeper.names:
            self.pages.hear(name, keeper._texts[name])
        keeper.listeners.append(self.pages)


async def test_others_and_later_lives_hear_what_was_noted_and_who_noted_it_does_not() -> None:
    shared = Shared()
    eu, us = Reader(shared, "eu", "1"), Reader(shared, "us", "1")
    eu.pages.note(award("bob", 1.0))
    eu.pages.note(award("carol", 2.0))
    await eu.pages.flush(2.0)
    await eu.pages.flush(3.0)
    assert shared.names == ["past/eu/1/1"], "one page for both, and none without facts"
    assert us.heard == [award("bob", 1.0), award("carol", 2.0)]
    assert Reader(shared, "eu", "2").heard == us.heard
    assert eu.heard == []
    us.pages.hear("past/eu/1/1", shared._texts["past/eu/1/1"])
    assert len(us.heard) == 2, "a page that is told again is not heard again"


async def test_what_cannot_be_written_now_is_written_later_in_order() -> None:
    shared = Shared()
    eu, us = Reader(shared, "eu", "1"), Reader(shared, "us", "1")
    shared.is_away = True
    eu.pages.note(award("bob", 1.0))
    assert not await flushed(eu.pages, 1.0)
    eu.pages.note(award("carol", 2.0))
    shared.is_away = False
    assert await flushed(eu.pages, 2.0)
    assert us.heard == [award("bob", 1.0), award("carol", 2.0)]


async def test_a_page_that_was_written_though_nobody_said_so_is_heard_once() -> None:
    class Unsure(Shared):
        async def put(self, name: str, text: bytes) -> None:
            await super().put(name, text)
            if self.is_unsure:
                raise KeepError("no answer")

        is_unsure = True

    shared = Unsure()
    eu, us = Reader(shared, "eu", "1"), Reader(shared, "us", "1")
    eu.pages.note(award("bob", 1.0))
    assert not await flushed(eu.pages, 1.0)
    assert repr(eu.pages) == "<Pages of past: 1 pages, 1 facts due>"
    eu.pages.note(award("carol", 2.0))
    shared.is_unsure = False
    assert await flushed(eu.pages, 2.0)
    assert us.heard == Reader(shared, "eu", "2").heard == [award("bob", 1.0), award("carol", 2.0)]


async def test_a_page_whose_writing_was_broken_off_is_written_by_the_next_flush() -> None:
    """A gateway that stops ends the flush that is under way, and flushes once more."""

    class Slow(Shared):
        is_slow = True

        async def put(self, name: str, text: bytes) -> None:
            if self.is_slow:
                await asyncio.Event().wait()
            await super().put(name, text)

    shared = Slow()
    eu = Reader(shared, "eu", "1")
    eu.pages.note(award("bob", 1.0))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(eu.pages.flush(1.0), 0.001)
    shared.is_slow = False
    assert await flushed(eu.pages, 2.0)
    assert Reader(shared, "eu", "2").heard == [award("bob", 1.0)]


async def test_a_page_goes_when_its_last_fact_is_old_and_others_clear_up_after_the_dead() -> None:
    shared = Shared()
    eu, us = Reader(shared, "eu", "1"), Reader(shared, "us", "1")
    eu.pages.note(award("bob", 1.0))
    await eu.pages.flush(1.0)
    await us.pages.flush(1.0 + KEEP + GONE_SECONDS)
    assert shared.names == ["past/eu/1/1"]
    await us.pages.flush(1.1 + KEEP + GONE_SECONDS)
    assert shared.names == ["past/eu/1/1"], "they are not looked for each time"
    await us.pages.flush(1.0 + KEEP + GONE_SECONDS + CLEAR_SECONDS)
    assert shared.names == []
    eu.pages.note(award("bob", 1.0))
    await eu.pages.flush(1.0 + KEEP)
    assert len(shared.names) == 1
    await eu.pages.flush(1.0 + KEEP + CLEAR_SECONDS)
    assert shared.names == []
    assert repr(eu.pages) == "<Pages of past: 0 pages, 0 facts due>"


async def test_of_too_many_facts_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_FACTS_MAX", 2)
    shared = Shared()
    eu = Reader(shared, "eu", "1", facts_max=4)
    for number in range(6):
        eu.pages.note(award(str(number), float(number)))
    await eu.pages.flush(6.0)
    later = Reader(shared, "eu", "2")
    assert later.heard == [award(str(number), float(number)) for number in range(2, 6)]
    for number in range(6, 8):
        eu.pages.note(award(str(number), float(number)))
    await eu.pages.flush(8.0)
    left = Reader(shared, "eu", "3").heard
    assert left == [award(str(number), float(number)) for number in range(4, 8)]


async def test_only_some_pages_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMOVED_MAX", 2)
    shared = Shared()
    eu = Reader(shared, "eu", "1")
    for number in range(5):
        eu.pages.note(award("bob", float(number)))
        await eu.pages.flush(float(number))
    await eu.pages.flush(200.0)
    assert len(shared.names) == 3


def test_a_page_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    reader = Reader(Shared(), "eu", "1")
    reader.pages.hear("past/us/1/1", b"nonsense")
    assert reader.heard == []
    assert not reader.pages.owns("claim/us/1/1")
