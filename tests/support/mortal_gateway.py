"""A gateway that is killed, frozen and started again, on the same port and the same files.

What it promises over its lives is kept in its folder and its store; everything else dies with
the process. It must never have written a traceback, whatever was done to it.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Self

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tests.support.gateways import Gateway, is_running, known_issuer, launched
from tests.support.other_clock import OtherClock

OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
POLL_SECONDS = 0.02
KEEPS_POLL_SECONDS = 0.1
STORE_UNAVAILABLE = "llmx_store_available 0.0"


class MortalGateway:
    """One gateway over all its lives."""

    def __init__(self, folder: Path, clock: OtherClock | None = None, **settings: object) -> None:
        """Describe a gateway; entering it starts the first life.

        `limits__burst=3` is the setting limits.burst.
        """
        self.folder = folder
        self.deaths: list[float] = []
        """When it was killed, by the loop's clock."""
        self.born_at = 0.0
        """When this life began to serve, by the loop's clock."""
        self._clock = clock
        self._settings = settings
        self._issuer = known_issuer()
        self._life: Gateway | None = None
        self._workers: list[int] = []
        self._is_frozen = False

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "dead" if not self.is_alive else "frozen" if self._is_frozen else "alive"
        return f"<MortalGateway on {self.life.port}: {state}, {len(self.deaths)} deaths>"

    @property
    def life(self) -> Gateway:
        """Return the gateway as it lives now, or lived last."""
        assert self._life is not None, "it was entered"
        return self._life

    @property
    def is_alive(self) -> bool:
        """Tell whether its process runs, frozen or not."""
        return self._life is not None and self._life.process.poll() is None

    async def __aenter__(self) -> Self:
        """Start the first life on a free port."""
        await self._begin(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it as an operator does; raises AssertionError when it did not end well."""
        self.thaw()
        if self.is_alive:
            self._workers += self.life.children()
        code = await asyncio.to_thread(self.life.stop) if self.is_alive else 0
        stdout = self.life.process.stdout
        if stdout is not None:
            stdout.close()
        assert code == 0, self.life.log()[-4_000:]
        assert "Traceback" not in (log := self.life.log()), log[log.index("Traceback") :][:8_000]
        async with asyncio.timeout(10):
            await self._buried()

    def tracebacks(self) -> list[str]:
        """Return the lines of its log, over all its lives, that tell of a crash."""
        return [line for line in self.life.log().splitlines() if "Traceback" in line]

    def memory(self) -> int:
        """Return the bytes of memory that it occupies now, 0 when it is dead or dying."""
        try:
            return self.life.memory()
        except (OSError, StopIteration):
            return 0

    async def kill(self) -> None:
        """Kill it as the kernel would when memory ends."""
        self._workers += self.life.children()
        self.deaths.append(asyncio.get_running_loop().time())
        self.life.process.kill()
        await asyncio.to_thread(self.life.process.wait)
        self._is_frozen = False
        if self.life.process.stdout is not None:
            self.life.process.stdout.close()

    async def restart(self) -> None:
        """Begin another life where the last one was."""
        assert not self.is_alive, "it is started again when it is dead"
        await self._begin(self.life.port)

    def freeze(self) -> None:
        """Stop it between two instructions; its connections stay."""
        self.life.process.send_signal(signal.SIGSTOP)
        self._is_frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        if self._is_frozen:
            self.life.process.send_signal(signal.SIGCONT)
            self._is_frozen = False

    async def serves(self, within: float) -> bool:
        """Tell whether it says within so many seconds that it serves."""
        channel = grpc.aio.insecure_channel(self.life.address, OWN_CONNECTION)
        try:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
            answer = await check(HealthCheckRequest(), timeout=within, wait_for_ready=True)
        except grpc.aio.AioRpcError:
            return False
        else:
            return bool(answer.status == HealthCheckResponse.SERVING)
        finally:
            await channel.close()

    async def keeps(self, within: float) -> bool:
        """Tell whether its store takes durable messages, or does within so many seconds.

        A store whose disk has said no asks it again only now and then, so one whose disk was
        put right is not well at once.
        """
        never = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    with suppress(OSError):  # it is busy, and answers the next time
                        if STORE_UNAVAILABLE not in await asyncio.to_thread(self.life.metrics):
                            return True
                    with suppress(TimeoutError):
                        async with asyncio.timeout(KEEPS_POLL_SECONDS):
                            await never.wait()
        return False

    async def _begin(self, port: int) -> None:
        variables = None if self._clock is None else self._clock.variables

        def begin() -> Gateway:
            life = launched(
                self.folder, self._issuer, self._settings, port=port, variables=variables
            )
            try:
                return life.announced()
            except BaseException:
                life.process.kill()
                life.process.wait()
                raise

        self._life = await asyncio.to_thread(begin)
        self.born_at = asyncio.get_running_loop().time()

    async def _buried(self) -> None:
        """Return when no worker of any life runs any more."""
        nobody = asyncio.Event()
        while any(map(is_running, self._workers)):
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await nobody.wait()
