"""Rounds count from the end of the warm-up, and a round that fails ends the case."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from loadtest.peers import window
from loadtest.peers.orders import work_of
from loadtest.peers.window import measured
from loadtest.peers.work import PeerFailed
from loadtest.rounds import Case

WORK = work_of(Case(2, 2, 5.0, 10, 0.0, "t"), None)


class Net:
    """Plays rounds that take one turn of the loop."""

    def __init__(self) -> None:
        self.messages = 0
        self.strays = 0
        self.open = 0
        self.open_most = 0

    async def play(self, number: int) -> tuple[float, float]:
        self.open += 1
        self.open_most = max(self.open_most, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        self.messages += 6
        return time.perf_counter(), time.perf_counter()


class Broken(Net):
    async def play(self, number: int) -> tuple[float, float]:
        if number == 4:
            raise PeerFailed("it broke")
        return await super().play(number)


class Slow(Net):
    """Plays rounds that end when they are told to, which is after the window."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def play(self, number: int) -> tuple[float, float]:
        await self.let_go.wait()
        return await super().play(number)


async def test_as_many_rounds_are_in_flight_as_were_asked_for_until_there_are_enough() -> None:
    net = Net()
    played = await measured(net, WORK, lambda: 1.0)
    assert net.open_most == WORK.in_flight
    assert 10 <= played["rounds"] <= 11
    assert played["seconds"] < WORK.seconds
    assert len(played["to_last_offer"]) == len(played["to_last_outcome"]) <= played["rounds"]
    assert 0 < played["messages"] <= net.messages
    assert played["server_cpu_seconds"] == 0.0


async def test_what_breaks_is_said() -> None:
    with pytest.raises(PeerFailed, match="it broke"):
        await measured(Broken(), WORK, lambda: 0.0)


async def test_a_window_lasts_until_slow_rounds_are_there() -> None:
    """As many as are in flight, which begin and end in it."""
    net = Slow()
    asyncio.get_running_loop().call_later(0.02, net.let_go.set)
    played = await measured(net, replace(WORK, seconds=0.001, rounds_max=10**9), lambda: 0.0)
    assert played["seconds"] > 0.001
    assert len(played["to_last_outcome"]) >= WORK.in_flight


async def test_a_window_in_which_nothing_ended_is_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window, "LONGER_SECONDS_MAX", 0.01)
    net = Slow()
    readings = iter((lambda: None, net.let_go.set))  # before the window and after it

    def cpu_seconds() -> float:
        next(readings)()
        return 0.0

    with pytest.raises(PeerFailed, match="no round ended"):
        await measured(net, replace(WORK, seconds=0.01), cpu_seconds)
