"""What ends a play over bare streams, and what is said of it."""

from __future__ import annotations

import asyncio

import pytest

from loadtest.conducting import RoundsFailed, conducted
from loadtest.wire_client import StreamLost, WireAgent


class Player(WireAgent):
    """An agent without a gateway, whose streams end as a test wants."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__("127.0.0.1:1", "agent://alice", lambda envelopes, acks: None)
        self.fault = fault
        self.is_closed = False

    async def read(self) -> None:
        if self.fault is not None:
            raise self.fault
        await asyncio.Event().wait()

    async def write(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.is_closed = True


async def nothing() -> None:
    pass


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_the_streams_end_with_the_play() -> None:
    alice, bob = Player(), Player()
    await conducted((alice, bob), nothing, nothing)
    assert alice.is_closed and bob.is_closed


async def test_a_stream_that_is_lost_ends_the_play_with_its_reason_and_the_refusals() -> None:
    alice = Player(StreamLost("agent://alice", "the stream broke"))
    with pytest.raises(RoundsFailed, match=r"the stream broke.*; one was refused"):
        await conducted((alice,), nothing, for_ever, lambda: "; one was refused")
    assert alice.is_closed


async def test_a_play_that_stalls_says_so() -> None:
    async def stall() -> None:
        raise RoundsFailed("4 rounds never ended")

    with pytest.raises(RoundsFailed, match="4 rounds never ended"):
        await conducted((Player(),), nothing, stall)


async def test_a_gateway_that_is_not_there_is_no_play() -> None:
    async def refuse() -> None:
        raise StreamLost("agent://alice", "nobody listens")

    alice = Player()
    with pytest.raises(RoundsFailed, match="nobody listens"):
        await conducted((alice,), refuse, nothing)
    assert alice.is_closed


async def test_our_own_mistakes_are_not_hidden() -> None:
    async def err() -> None:
        raise KeyError("a bug")

    with pytest.raises(ExceptionGroup):
        await conducted((Player(),), nothing, err)
