"""Those who look: one digest for all, nothing queued, and who does not read is dropped."""

from __future__ import annotations

import asyncio

import pytest

from gateway.page.viewers import Viewers, event


class Counting:
    """Reports that are numbers."""

    def __init__(self) -> None:
        self.looks = self.made = 0
        self.broken = False

    def look(self) -> None:
        self.looks += 1

    def begin(self) -> bytes:
        return b"begin"

    def next(self) -> bytes:
        if self.broken:
            raise ValueError("a figure that cannot be read")
        self.made += 1
        return str(self.made).encode()


class Window:
    """What one viewer was told; it can stop to read."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.unread = 0
        self.room = asyncio.Event()
        self.room.set()
        self.dropped = False
        self.is_gone = False

    async def tell(self, event: bytes) -> None:
        if self.is_gone:
            raise ConnectionResetError
        await self.room.wait()
        self.told.append(event)

    def drop(self) -> None:
        self.dropped = True

    @property
    def kinds(self) -> list[str]:
        return [line.split(b"event: ")[1].split(b"\n")[0].decode() for line in self.told]


class Hall:
    """Viewers, and a clock that ticks when a test says so."""

    def __init__(self, most: int = 4, slow_seconds: float = 30.0) -> None:
        self.reports = Counting()
        self._ticks: asyncio.Queue[None] = asyncio.Queue()
        self._asleep = asyncio.Event()
        self.viewers = Viewers(self.reports, most, self._pause, slow_seconds)
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []

    async def _pause(self, _seconds: float) -> None:
        self._asleep.set()
        await self._ticks.get()

    async def __aenter__(self) -> Hall:
        await self._tasks.__aenter__()
        self._running.append(self._tasks.create_task(self.viewers.run()))
        await self._asleep.wait()
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def tick(self) -> None:
        """Let a second pass, and everybody hear what is told in it."""
        self._asleep.clear()
        self._ticks.put_nowait(None)
        await self._asleep.wait()
        for _ in range(5):
            await asyncio.sleep(0)

    async def enter(self, window: Window, reason: str = "") -> asyncio.Task[None]:
        async def serve() -> None:
            with self.viewers.place() as has_place:
                assert has_place
                await self.viewers.serve(window, lambda: reason)

        task = self._tasks.create_task(serve())
        self._running.append(task)
        for _ in range(5):
            await asyncio.sleep(0)
        return task


async def test_nothing_is_made_while_nobody_looks() -> None:
    async with Hall() as hall:
        for _ in range(3):
            await hall.tick()
        assert hall.reports.looks == 4 and hall.reports.made == 0
        assert hall.viewers.digests == 0


async def test_one_digest_is_made_for_all() -> None:
    async with Hall() as hall:
        windows = [Window() for _ in range(3)]
        for window in windows:
            await hall.enter(window)
        await hall.tick()
        await hall.tick()
        assert hall.reports.made == 2 and hall.viewers.count == 3
        for window in windows:
            assert window.kinds == ["begin", "digest", "digest"]
            assert window.told[-1] == b"event: digest\ndata: 2\n\n"
            assert window.told[0].startswith(b"retry: 2000\n\n")


async def test_there_are_so_many_places() -> None:
    async with Hall(most=2) as hall:
        for _ in range(2):
            await hall.enter(Window())
        with hall.viewers.place() as has_place:
            assert not has_place
        assert hall.viewers.count == 2


async def test_whoever_goes_leaves_its_place() -> None:
    async with Hall() as hall:
        window = Window()
        task = await hall.enter(window)
        window.is_gone = True
        await hall.tick()
        assert task.done() and hall.viewers.count == 0 and hall.viewers.dropped == 0


async def test_whoever_has_not_read_is_told_nothing_more_and_then_the_newest() -> None:
    async with Hall() as hall:
        window = Window()
        await hall.enter(window)
        window.unread = 100
        for _ in range(3):
            await hall.tick()
        assert window.kinds == ["begin"], "nothing is queued for it"
        window.unread = 0
        await hall.tick()
        assert window.told[1:] == [b"event: digest\ndata: 4\n\n"]


async def test_whoever_never_reads_is_dropped() -> None:
    async with Hall(slow_seconds=0.0) as hall:
        window = Window()
        window.room.set()
        task = await hall.enter(window)
        if not task.done():  # the beginning fitted in
            window.unread = 100
            await hall.tick()
            await asyncio.wait([task])
        assert window.dropped and hall.viewers.dropped == 1 and hall.viewers.count == 0


async def test_whoever_has_no_room_for_the_beginning_is_dropped() -> None:
    async with Hall(slow_seconds=0.01) as hall:
        window = Window()
        window.room.clear()
        task = await hall.enter(window)
        await asyncio.wait([task])
        assert window.dropped and not window.told and hall.viewers.dropped == 1


@pytest.mark.parametrize("reason", ["", "the token has expired"])
async def test_whoever_does_not_take_the_farewell_is_not_waited_for(reason: str) -> None:
    async with Hall(slow_seconds=0.01) as hall:
        window = Window()
        task = await hall.enter(window, reason)
        window.room.clear()
        if reason:
            await hall.tick()
        else:
            hall.viewers.close()
        await asyncio.wait([task], timeout=5)
        assert task.done() and window.dropped and hall.viewers.dropped == 1


async def test_whoever_may_not_stay_is_told_why() -> None:
    async with Hall() as hall:
        window = Window()
        task = await hall.enter(window, "the token has\nexpired")
        await hall.tick()
        assert task.done()
        assert window.told[-1] == b"event: end\ndata: the token has expired\n\n"


async def test_all_hear_that_the_gateway_stops_and_nobody_enters_then() -> None:
    async with Hall() as hall:
        window = Window()
        task = await hall.enter(window)
        hall.viewers.close()
        await asyncio.wait([task])
        assert window.told[-1] == b"event: end\ndata: the gateway stops\n\n"
        with hall.viewers.place() as has_place:
            assert not has_place


async def test_a_digest_that_cannot_be_made_costs_a_second_and_not_the_gateway() -> None:
    async with Hall() as hall:
        window = Window()
        await hall.enter(window)
        hall.reports.broken = True
        await hall.tick()
        hall.reports.broken = False
        await hall.tick()
        assert window.kinds == ["begin", "digest"]


def test_an_event_is_one_line() -> None:
    assert event("digest", b"{}") == b"event: digest\ndata: {}\n\n"
    with pytest.raises(AssertionError):
        event("digest", b"{\n}")
