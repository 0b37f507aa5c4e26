"""The network that simulations run on does what it says, and nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.faulty_network import IN_FLIGHT_MAX, PERFECT, Faults, FaultyNetwork, Wire
from tests.support.virtual_time import VirtualTime


class Side:
    """Keeps what it hears."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self.frames: list[Any] = []
        self.lost_at: float | None = None
        self.could_write = 0

    def heard(self, frame: Any) -> None:
        assert self.lost_at is None, "nothing comes after the end"
        self.frames.append(frame)

    def writable(self) -> None:
        self.could_write += 1

    def lost(self) -> None:
        self.lost_at = self._time.now


class Connected:
    """Two sides of one connection."""

    def __init__(self, faults: Faults = PERFECT, seed: int = 1) -> None:
        self.time = VirtualTime()
        self.network = FaultyNetwork(random.Random(seed), faults, self.time)
        self.here, self.there = Side(self.time), Side(self.time)
        self.far: Wire

        def accept(wire: Wire) -> Side:
            self.far = wire
            return self.there

        self.near = self.network.connect(self.here, accept)
        self.time.run_until(0.0)


def test_a_perfect_network_brings_everything_in_order_and_on_time() -> None:
    net = Connected()
    for frame in "abc":
        net.near.send(frame)
    net.far.send("d")
    net.time.run_until(0.0009)
    assert net.there.frames == []
    net.time.run_until(0.001)
    assert (net.there.frames, net.here.frames) == (["a", "b", "c"], ["d"])
    assert net.here.lost_at is None


def test_whoever_finds_no_room_hears_when_there_is() -> None:
    net = Connected()
    for frame in range(IN_FLIGHT_MAX):
        assert net.near.can_send
        net.near.send(frame)
    assert not net.near.can_send
    net.time.run_until(1.0)
    assert net.near.can_send and net.here.could_write == 1


@pytest.mark.parametrize("seed", range(20))
def test_of_what_is_in_flight_a_cut_lets_the_first_arrive(seed: int) -> None:
    net = Connected(Faults(jitter=0.1), seed)
    for frame in "abcd":
        net.near.send(frame)
    net.near.cut()
    net.near.send("e")
    net.time.run_until(1.0)
    assert net.there.frames == list("abcd")[: len(net.there.frames)]
    assert net.here.lost_at is not None and net.there.lost_at is not None
    assert not net.near.can_send


def test_cuts_leave_all_some_or_nothing_of_what_was_in_flight() -> None:
    arrived = set()
    for seed in range(50):
        net = Connected(Faults(jitter=0.1), seed)
        for frame in "abc":
            net.near.send(frame)
        net.near.cut()
        net.time.run_until(1.0)
        arrived.add(len(net.there.frames))
    assert arrived == {0, 1, 2, 3}


def test_one_side_of_a_half_open_connection_sends_into_the_void_for_a_while() -> None:
    net = Connected(Faults(half_open_share=1.0, half_open_seconds=100.0))
    net.near.cut()
    net.time.run_until(0.5)
    noticed = [side for side in (net.here, net.there) if side.lost_at is not None]
    assert len(noticed) == 1
    believer = net.near if net.here.lost_at is None else net.far
    for frame in range(IN_FLIGHT_MAX):
        believer.send(frame)
    assert not believer.can_send, "a buffer fills up"
    net.time.run_until(101.0)
    assert net.here.lost_at is not None and net.there.lost_at is not None


def test_a_stall_keeps_what_is_behind_it_waiting_too() -> None:
    net = Connected(Faults(stall_share=1.0, stall_seconds=10.0))
    net.near.send("a")
    net.network.heal()
    net.near.send("b")
    net.time.run_until(0.01)
    assert net.there.frames == []
    net.time.run_until(11.0)
    assert net.there.frames == ["a", "b"]


def test_only_what_bears_a_number_is_doubled_at_once_or_after_the_next() -> None:
    seen = set()
    for seed in range(20):
        net = Connected(Faults(double_share=1.0), seed)
        net.near.send("hello")
        net.near.send("a", is_numbered=True)
        net.near.send("bare")
        net.time.run_until(1.0)
        seen.add(tuple(net.there.frames))
    assert seen == {("hello", "a", "a", "bare"), ("hello", "a", "bare", "a")}


def test_a_frame_is_lost_only_where_the_next_number_shows_it() -> None:
    net = Connected(Faults(loss_share=1.0))
    net.near.send("a", is_numbered=True)
    net.network.heal()
    net.near.send("b", is_numbered=True)
    net.network.faults = Faults(loss_share=1.0)
    net.near.send("c", is_numbered=True)
    net.near.send("bare")
    net.near.send("d", is_numbered=True)
    net.time.run_until(1.0)
    assert net.there.frames == ["b", "c", "bare", "d"]


def test_who_leaves_is_missed_after_its_last_frame() -> None:
    net = Connected()
    net.near.send("a")
    net.near.close()
    net.far.send("b")
    net.time.run_until(1.0)
    assert net.there.frames == ["a"] and net.there.lost_at is not None
    assert net.here.frames == [] and net.here.lost_at is None


def test_who_is_killed_takes_part_of_its_last_frames_along() -> None:
    net = Connected()
    net.far.send("b")
    net.near.kill()
    net.time.run_until(1.0)
    assert net.here.frames == [] and net.here.lost_at is None
    assert net.there.lost_at is not None


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_connection_is_refused_by_the_network_or_by_who_is_called(share: float) -> None:
    time = VirtualTime()
    network = FaultyNetwork(random.Random(1), Faults(refusal_share=share), time)
    side = Side(time)
    network.connect(side, lambda wire: None).send("a")
    time.run_until(1.0)
    assert side.lost_at is not None


def test_a_network_that_healed_cuts_nothing() -> None:
    net = Connected(Faults(cut_share=1.0, jitter=1.0))
    net.near.send("a")
    net.network.heal()
    net.time.run_until(5.0)
    assert net.there.frames == ["a"] and net.here.lost_at is None
    assert repr(net.network) == "<FaultyNetwork: perfect, 0 cuts so far>"
