"""A server that echoes behind a proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from tests.support.fault_proxy import FaultProxy
from tests.support.weather import CALM, Weather

METHOD = "/test.Echo/Echo"
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


class Echo:
    """A stream to the echo, through a proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        """Speak through a proxy; `open` opens the stream."""
        self.proxy = proxy
        self.call: Any = None
        self._channel: grpc.aio.Channel | None = None

    async def open(self) -> None:
        """Open a stream on a connection of its own, and say and hear one word on it."""
        await self.close()
        self._channel = grpc.aio.insecure_channel(self.proxy.address, OWN_CONNECTION)
        self.call = self._channel.stream_stream(METHOD)()
        await self.say(b"hello")
        assert await self.hear() == b"hello"

    async def say(self, word: bytes) -> None:
        await self.call.write(word)

    async def hear(self) -> bytes | None:
        """Return what comes next, None when the stream has ended."""
        try:
            heard = await self.call.read()
        except grpc.aio.AioRpcError:
            return None
        return heard if isinstance(heard, bytes) else None

    async def ended(self) -> grpc.StatusCode:
        """Return how the stream ended, when it has."""
        code: grpc.StatusCode = await self.call.code()
        return code

    async def close(self) -> None:
        """Hang up."""
        if self._channel is not None:
            self.call.cancel()
            await self._channel.close()


async def _echo(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


@asynccontextmanager
async def echoing(weather: Weather = CALM, seed: int = 0, wait: bool = True) -> AsyncIterator[Echo]:
    """Run an echo behind a proxy, and open a stream to it."""
    server = grpc.aio.server()
    method: Any = grpc.stream_stream_rpc_method_handler(_echo)
    service = grpc.method_handlers_generic_handler("test.Echo", {"Echo": method})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with FaultProxy(port, weather=weather, seed=seed) as proxy:
            echo = Echo(proxy)
            if wait:
                await echo.open()
            yield echo
            await echo.close()
    finally:
        await server.stop(None)
