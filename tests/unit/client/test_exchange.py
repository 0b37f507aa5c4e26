"""One stream from its opening to its end; what sessions do with it is tested there."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from llmx import exchange
from llmx.endings import Ending
from llmx.errors import StreamLost
from llmx.exchange import Exchange, Talk
from llmx.stream import Stream
from llmx.tokens import Tokens
from llmx.v1.exchange_service_pb2 import ExchangeRequest, ExchangeResponse, Hello
from tests.support.tiny_gateway import TinyGateway


class Talker:
    """Says Hello and then leaves, unless it is told otherwise."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.frames: list[ExchangeResponse] = []
        self.is_done = True
        self.wake = asyncio.Event()
        self.welcomed = asyncio.Event()

    async def run(self, address: str, **more: Any) -> Ending:
        hello = ExchangeRequest(hello=Hello(agent_id="agent://bob"))
        talk: dict[str, Any] = {
            "hello": lambda: hello,
            "begin": self._begin,
            "take": self.frames.append,
            "next_frame": lambda: None,
            "is_done": lambda: self.is_done,
        }
        tokens = Tokens(more.pop("token", "t"))
        has_others = more.pop("has_others", False)
        return await Exchange(self.stream, Talk(**(talk | more)), tokens, self.wake).run(
            address, None, has_others=has_others
        )

    def _begin(self, frame: ExchangeResponse) -> None:
        self.stream.begin(frame.welcome, 0.0)
        self.welcomed.set()


async def test_who_has_nothing_more_to_say_half_closes_and_the_call_ends_well() -> None:
    async with TinyGateway() as gateway:
        ending = await Talker().run(gateway.address)
    assert ending == Ending(grpc.StatusCode.OK, "", True)


async def test_a_goodbye_says_why_and_when_to_come_back() -> None:
    talker = Talker()
    talker.is_done = False

    def take(frame: ExchangeResponse) -> None:
        talker.stream.goodbye = frame.goodbye

    async with TinyGateway() as gateway, asyncio.TaskGroup() as tasks:
        run = tasks.create_task(talker.run(gateway.address, take=take))
        await talker.welcomed.wait()
        gateway.say_goodbye("agent://bob", "stopping", reconnect_after={"seconds": 3})
    assert run.result() == Ending(grpc.StatusCode.OK, "stopping, says tiny", True, "stopping", 3.0)


async def test_a_stream_that_the_session_gives_up_is_cancelled() -> None:
    talker = Talker()
    talker.is_done = False

    def refuse(frame: ExchangeResponse) -> None:
        raise StreamLost("out_of_order", "a gap")

    async with TinyGateway() as gateway, asyncio.TaskGroup() as tasks:
        run = tasks.create_task(talker.run(gateway.address, take=refuse))
        await talker.welcomed.wait()
        gateway.members["agent://bob"].tell(0)
    assert run.result() == Ending(grpc.StatusCode.CANCELLED, "a gap", True, "out_of_order")


async def test_a_welcome_that_cannot_be_taken_ends_the_stream() -> None:
    def refuse(frame: ExchangeResponse) -> None:
        raise StreamLost("out_of_order", "never sent")

    async with TinyGateway() as gateway:
        ending = await Talker().run(gateway.address, begin=refuse)
    assert (ending.welcomed, ending.goodbye) == (False, "out_of_order")


async def test_a_gateway_that_never_says_welcome_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "WELCOME_SECONDS_MAX", 0.01)
    gate = asyncio.Event()
    async with TinyGateway() as gateway:
        gateway.admits = lambda agent: gate.is_set()
        ending = await Talker().run(gateway.address)
    assert (ending.code, ending.goodbye) == (grpc.StatusCode.CANCELLED, "silent")


async def test_where_there_are_others_a_gateway_is_waited_for_less_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "ELSEWHERE_SECONDS_MAX", 0.01)
    gate = asyncio.Event()
    async with TinyGateway() as gateway:
        gateway.admits = lambda agent: gate.is_set()
        ending = await Talker().run(gateway.address, has_others=True)
    assert (ending.goodbye, ending.detail) == ("silent", "no Welcome within 0.01 s")


async def test_a_token_source_that_fails_is_tried_again_like_a_gateway_that_is_away() -> None:
    def broken() -> str:
        raise OSError("no issuer")

    ending = await Talker().run("127.0.0.1:1", token=broken)
    assert ending.code is grpc.StatusCode.UNAVAILABLE
    assert "no issuer" in ending.detail
