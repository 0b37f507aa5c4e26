"""Calls of methods, counted as they end; a real server, because only that one ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest

from gateway.auth import Identity
from gateway.telemetry.method_watch import MethodWatch

OLGA = Identity("agent://olga", "acme", frozenset(), None, 0.0, "jti")


class Service:
    """Methods that end in every way there is."""

    def __init__(self, watch: MethodWatch) -> None:
        self.authenticate = watch.around(self._authenticate)

    async def _authenticate(self, context: Any) -> Identity:
        return OLGA

    async def good(self, request: bytes, context: Any) -> bytes:
        await self.authenticate(context)
        return request

    async def denied(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        raise AssertionError("abort raises")

    async def broken(self, request: bytes, context: Any) -> bytes:
        await self.authenticate(context)
        raise ValueError("our fault")

    async def slow(self, request: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        return request

    async def babble(self, requests: AsyncIterator[bytes], context: Any) -> None:
        raise ValueError("our fault")

    async def several(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        await self.authenticate(context)
        yield b"one"
        yield b"two"

    async def cut(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"one"
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    async def talk(self, requests: AsyncIterator[bytes], context: Any) -> None:
        await context.write(await context.read())
        context.set_code(grpc.StatusCode.UNAVAILABLE)

    async def written(self, request: bytes, context: Any) -> None:
        await context.write(request)

    async def echoed(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    def handlers(self) -> dict[str, Any]:
        return {
            "Good": grpc.unary_unary_rpc_method_handler(self.good),
            "Denied": grpc.unary_unary_rpc_method_handler(self.denied),
            "Broken": grpc.unary_unary_rpc_method_handler(self.broken),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Babble": grpc.stream_stream_rpc_method_handler(self.babble),
            "Several": grpc.unary_stream_rpc_method_handler(self.several),
            "Cut": grpc.unary_stream_rpc_method_handler(self.cut),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
            "Written": grpc.unary_stream_rpc_method_handler(self.written),
            "Echoed": grpc.stream_stream_rpc_method_handler(self.echoed),
        }


@asynccontextmanager
async def served(watch: MethodWatch) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(interceptors=(watch,))
    handler = grpc.method_handlers_generic_handler("llmx.v1.Odd", Service(watch).handlers())
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


Scene = Callable[[grpc.aio.Channel], Coroutine[Any, Any, None]]


def watched(scene: Scene) -> tuple[MethodWatch, list[tuple[str, str, str]]]:
    """Play a scene; returns the watch and the calls that it told of."""
    watch, told = MethodWatch(), []

    def ended(method: str, identity: Identity | None, status: str) -> None:
        told.append((method, "" if identity is None else identity.agent_id, status))

    watch.on_ended = ended

    async def play() -> None:
        async with served(watch) as channel:
            await scene(channel)

    asyncio.run(play())
    return watch, told


async def unary(channel: grpc.aio.Channel, name: str, service: str = "llmx.v1.Odd") -> None:
    with suppress(grpc.aio.AioRpcError):
        await channel.unary_unary(f"/{service}/{name}")(b"x")


@pytest.mark.parametrize(
    ("name", "agent", "status"),
    [
        ("Good", "agent://olga", "OK"),
        ("Denied", "", "PERMISSION_DENIED"),
        ("Broken", "agent://olga", "UNKNOWN"),
    ],
)
def test_a_call_is_counted_by_how_it_ended_and_told_with_who_called(
    name: str, agent: str, status: str
) -> None:
    watch, told = watched(lambda channel: unary(channel, name))
    assert dict(watch.calls()) == {(f"Odd.{name}", status): 1}
    assert told == [(f"Odd.{name}", agent, status)]
    assert {labels: len(timing) for labels, timing in watch.timings()} == {(f"Odd.{name}",): 1}


def test_who_goes_has_cancelled_and_what_breaks_has_not() -> None:
    """An alert on UNKNOWN must see our own faults, and not agents that do not wait."""

    async def scene(channel: grpc.aio.Channel) -> None:
        with suppress(grpc.aio.AioRpcError):
            await channel.unary_unary("/llmx.v1.Odd/Slow")(b"x", timeout=0.05)
        call = channel.stream_stream("/llmx.v1.Odd/Babble")()
        assert await call.code() == grpc.StatusCode.UNKNOWN

    watch, told = watched(scene)
    assert dict(watch.calls()) == {("Odd.Slow", "CANCELLED"): 1, ("Odd.Babble", "UNKNOWN"): 1}
    assert told == [("Odd.Slow", "", "CANCELLED")]


def test_methods_of_nobody_count_as_one() -> None:
    """Their names come from strangers, and have no end."""

    async def scene(channel: grpc.aio.Channel) -> None:
        for number in range(5):
            await unary(channel, f"No{number}", f"llmx.v1.Odd{number}")

    watch, told = watched(scene)
    assert dict(watch.calls()) == {("unknown", "UNIMPLEMENTED"): 5}
    assert told == []


def test_answers_that_come_one_by_one_are_all_sent_and_the_call_counted_once() -> None:
    heard: list[bytes] = []

    async def scene(channel: grpc.aio.Channel) -> None:
        heard.extend([one async for one in channel.unary_stream("/llmx.v1.Odd/Several")(b"x")])
        with suppress(grpc.aio.AioRpcError):
            async for answer in channel.unary_stream("/llmx.v1.Odd/Cut")(b"x"):
                heard.append(answer)  # noqa: PERF401 - it breaks off in the middle

    watch, told = watched(scene)
    assert heard == [b"one", b"two", b"one"]
    assert dict(watch.calls()) == {("Odd.Several", "OK"): 1, ("Odd.Cut", "NOT_FOUND"): 1}
    assert told == [("Odd.Several", "agent://olga", "OK"), ("Odd.Cut", "", "NOT_FOUND")]


def test_answers_may_be_written_or_yielded_whichever_way_the_questions_come() -> None:
    """The health service writes what it could yield, the reflection service yields."""
    heard: list[bytes] = []

    async def scene(channel: grpc.aio.Channel) -> None:
        heard.extend([one async for one in channel.unary_stream("/llmx.v1.Odd/Written")(b"x")])
        call = channel.stream_stream("/llmx.v1.Odd/Echoed")()
        for word in (b"one", b"two"):
            await call.write(word)
            heard.append(await call.read())
        await call.done_writing()
        assert await call.code() == grpc.StatusCode.OK

    watch, told = watched(scene)
    assert heard == [b"x", b"one", b"two"]
    assert dict(watch.calls()) == {("Odd.Written", "OK"): 1, ("Odd.Echoed", "OK"): 1}
    assert told == []


def test_a_conversation_is_counted_when_it_is_over_and_is_no_command() -> None:
    async def scene(channel: grpc.aio.Channel) -> None:
        call = channel.stream_stream("/llmx.v1.Odd/Talk")()
        await call.write(b"hello")
        assert await call.read() == b"hello"
        assert await call.code() == grpc.StatusCode.UNAVAILABLE

    watch, told = watched(scene)
    assert dict(watch.calls()) == {("Odd.Talk", "UNAVAILABLE"): 1}
    assert told == [] and not list(watch.timings())
