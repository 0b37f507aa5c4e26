"""A gateway that is emptied: how fast, how far, and how it ends."""

from __future__ import annotations

import pytest

from gateway.draining import Draining
from gateway.session import Session
from llmx.v1.cluster_pb2 import DrainState

MOVING = DrainState.DRAIN_STATE_MOVING
NOW = 1000.0


class Stream:
    """An agent's stream that ends when the agent has gone."""

    def __init__(self) -> None:
        self.closed: list[tuple[str, tuple[str, ...]]] = []

    def close(
        self, reason: str, detail: str, wait: float = 0.0, move_to: tuple[str, ...] = ()
    ) -> None:
        self.closed.append((reason, move_to))


class Drained:
    """A drain with the gateway that it empties."""

    def __init__(self, agents: int, negotiations: int = 0) -> None:
        self.now = NOW
        self.streams = [Stream() for _ in range(agents)]
        self.sessions: set[Session] = set(self.streams)  # type: ignore[arg-type]
        self.negotiations = negotiations
        self.doors: list[bool] = []
        self.drain = Draining("eu", self.sessions, lambda: self.negotiations, lambda: self.now)
        self.drain.addresses = lambda: ("us:1", "ap:1")
        self.drain.on_change = self.doors.append

    @property
    def asked(self) -> int:
        return sum(bool(stream.closed) for stream in self.streams)

    def leave(self) -> None:
        """Let those go that were asked to."""
        for stream in self.streams:
            if stream.closed:
                self.sessions.discard(stream)  # type: ignore[arg-type]

    def look(self, seconds: float = 0.0) -> int:
        """Let time pass, and return the state afterwards."""
        self.now += seconds
        self.drain.look(self.now)
        told = self.drain.state()
        assert told is not None
        return told.state


def test_agents_are_asked_to_move_a_few_a_second() -> None:
    gateway = Drained(agents=100)
    gateway.drain.begin(rate=10.0, deadline=60.0)
    gateway.look()
    assert gateway.asked == 1
    gateway.look(1.0)
    assert gateway.asked == 11
    gateway.look(0.5)
    assert gateway.asked == 16
    (first, *_) = [stream for stream in gateway.streams if stream.closed]
    assert first.closed == [("stopping", ("us:1", "ap:1"))]


def test_nobody_new_is_let_in_meanwhile() -> None:
    gateway = Drained(agents=1)
    assert not gateway.drain.is_moving
    gateway.drain.begin(10.0, 60.0)
    assert gateway.drain.is_moving and gateway.doors == [False]


def test_it_is_over_when_agents_and_negotiations_are_gone() -> None:
    gateway = Drained(agents=3, negotiations=1)
    given: list[int] = []
    gateway.drain.hand_over = lambda: given.append(gateway.negotiations)
    gateway.drain.begin(100.0, 60.0)
    assert gateway.look(1.0) == MOVING
    gateway.leave()
    assert gateway.look(1.0) == MOVING and given
    gateway.negotiations = 0
    assert gateway.look(1.0) == DrainState.DRAIN_STATE_DRAINED
    told = gateway.drain.state()
    assert told is not None and (told.agents_moved, told.agents_left) == (3, 0)
    assert gateway.drain.is_moving  # nobody comes in: the process is about to be stopped


def test_one_that_is_aborted_lets_agents_in_again() -> None:
    gateway = Drained(agents=3)
    assert not gateway.drain.abort()
    gateway.drain.begin(1.0, 60.0)
    assert gateway.drain.abort() and gateway.doors == [False, True]
    told = gateway.drain.state()
    assert told is not None and told.state == DrainState.DRAIN_STATE_ABORTED
    assert not gateway.drain.is_moving and not gateway.drain.abort()


def test_one_that_takes_too_long_is_given_up() -> None:
    gateway = Drained(agents=1)
    gateway.drain.begin(1.0, 5.0)
    assert gateway.look(4.9) == MOVING
    assert gateway.look(0.1) == DrainState.DRAIN_STATE_EXPIRED
    assert gateway.doors == [False, True]


def test_one_that_is_begun_again_goes_on_at_the_new_rate() -> None:
    gateway = Drained(agents=100)
    gateway.drain.begin(1.0, 60.0)
    gateway.look(1.0)
    before = gateway.asked
    gateway.drain.begin(50.0, 60.0)
    gateway.look(1.0)
    assert gateway.asked == before + 51
    told = gateway.drain.state()
    assert told is not None and told.began_at.ToSeconds() == NOW


def test_nothing_is_told_of_a_drain_that_never_was() -> None:
    assert Drained(agents=1).drain.state() is None


@pytest.mark.parametrize("agents", [0, 1])
def test_what_is_left_is_counted(agents: int) -> None:
    gateway = Drained(agents=agents, negotiations=2)
    gateway.drain.begin(1.0, 60.0)
    told = gateway.drain.state()
    assert told is not None and (told.agents_left, told.negotiations_left) == (agents, 2)
