"""`llmx gateway --processes N`: several gateway processes behind one address.

This process serves nobody. It holds the port, so that nobody else takes it while a process is
away, starts the others, starts again who has died, and ends all. They end when they are told to,
or when their standard input does: none outlives this one, even if it was killed. A process that
dies again and again is given up, and then all end, so that whoever supervises this one notices.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from gateway.commands.family import KILL, environment, signalled
from gateway.commands.restarts import Restarts
from gateway.commands.shares import Share, shares_of
from gateway.commands.state import state_dir
from gateway.settings import ServerSettings, Settings, SettingsError

START_SECONDS_MAX = 60.0
STOP_SECONDS = 15.0
"""What a process may take to stop beside its grace, which it may have twice."""
FAILED = 1
WRONG = 2

Facts = Mapping[str, Any]
"""What a process said of itself when it was ready."""

log = structlog.get_logger("llmx.processes")


async def supervise(
    settings: Settings,
    config: Path | None,
    overrides: Mapping[str, object],
    stop: asyncio.Event,
    announce: Callable[[int, Sequence[Facts]], None],
) -> int:
    """Run as many processes as the settings say until `stop` is set; returns the exit code.

    They get the same configuration file and overrides. `announce` hears of the port and of the
    processes once all serve. Raises SettingsError, and OSError when the port is taken.
    """
    with (
        held_ports(settings.server) as (port, own_ports),
        tempfile.TemporaryDirectory(prefix="llmx-") as name,
    ):
        told = ["--announce", "json", "--until-eof"]
        told += [] if config is None else ["--config", str(config)]
        lines = {
            share.gateway_id: [*told, *_flags(overrides, share)]
            for share in shares_of(settings, port, own_ports, Path(name))
        }
        processes = Processes(lines, 2 * settings.server.shutdown_grace + STOP_SECONDS)
        return await processes.run(stop, lambda facts: announce(port, facts))


@contextmanager
def held_ports(server: ServerSettings) -> Iterator[tuple[int, list[int]]]:
    """Have the port that all processes share, and one for each of them.

    They are bound and not listened on here, so that they stay ours while a process is away and
    the kernel gives no connection to this one. Raises OSError, SettingsError.
    """
    if not hasattr(socket, "SO_REUSEPORT") or not sys.platform.startswith("linux"):
        raise SettingsError(
            f"server.processes={server.processes}: only Linux shares a port among processes; use 1"
        )
    host = server.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if server.port:
        with socket.create_server((host, server.port), family=family):
            pass  # somebody who shares it already would let us in without a word
    with ExitStack() as stack:
        ports = []
        for port in (server.port, *[0] * server.processes):
            held = stack.enter_context(socket.socket(family))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind((host, port))
            ports.append(held.getsockname()[1])
        yield ports[0], ports[1:]


def _flags(overrides: Mapping[str, object], share: Share) -> list[str]:
    given = {name: str(value) for name, value in overrides.items()} | dict(share.settings)
    return [part for name, value in given.items() for part in ("--set", f"{name}={value}")]


class Processes:
    """The gateway processes that this one looks after."""

    def __init__(self, lines: Mapping[str, Sequence[str]], stop_seconds: float) -> None:
        """Look after one process for each gateway id, given what follows `llmx gateway`."""
        self._lines = lines
        self._stop_seconds = stop_seconds
        self._living: dict[str, Process] = {}
        self._ready: dict[str, Facts] = {}
        self._over = asyncio.Event()
        self._code = 0
        self._announce: Callable[[Sequence[Facts]], None] | None = None

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Processes: {len(self._living)} of {len(self._lines)} live>"

    async def run(self, stop: asyncio.Event, announce: Callable[[Sequence[Facts]], None]) -> int:
        """Keep all alive until `stop` is set or one is given up; none lives when this returns."""
        self._announce = announce
        async with asyncio.TaskGroup() as tasks:
            keepers = [tasks.create_task(self._keep(gateway_id)) for gateway_id in self._lines]
            told = tasks.create_task(stop.wait())
            over = tasks.create_task(self._over.wait())
            await asyncio.wait((told, over), return_when=asyncio.FIRST_COMPLETED)
            self._over.set()
            told.cancel()
            for process in self._living.values():
                _tell_to_end(process)
            await asyncio.wait(keepers, timeout=self._stop_seconds)
            for gateway_id, process in self._living.items():
                log.error("process does not stop", gateway=gateway_id, pid=process.pid)
                signalled(process, KILL)
        return self._code

    async def _keep(self, gateway_id: str) -> None:
        """Have the process of a gateway run, and again when it has died."""
        restarts = Restarts()
        while not self._over.is_set():
            began = time.monotonic()
            process = await self._started(gateway_id)
            await self._until_ready(gateway_id, process)
            code = await process.wait()
            del self._living[gateway_id]
            if self._over.is_set():
                return
            if self._announce is not None:
                self._give_up(code if code > 0 else FAILED)  # it has said why
                return
            wait = restarts.died(time.monotonic() - began, random.random())
            if wait is None:
                log.error("process given up", gateway=gateway_id, code=code)
                self._give_up(FAILED)
                return
            log.warning(
                "process died", gateway=gateway_id, pid=process.pid, code=code, again=round(wait, 3)
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._over.wait()

    async def _started(self, gateway_id: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "gateway.cli", "gateway", *self._lines[gateway_id]),
            stdin=PIPE,
            stdout=PIPE,
            env=environment(state_dir(), inherits=True),
            process_group=0,  # Ctrl-C is for us
        )
        self._living[gateway_id] = process
        if self._over.is_set():
            _tell_to_end(process)
        return process

    async def _until_ready(self, gateway_id: str, process: Process) -> None:
        """Wait until a process serves, or has ended; one that does neither in time is killed."""
        assert process.stdout is not None, "it was started with a pipe"
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                line = await process.stdout.readline()
        except TimeoutError:
            log.error("process does not start", gateway=gateway_id, pid=process.pid)
            signalled(process, KILL)
            return
        if not line:
            return
        facts = json.loads(line)
        self._ready[gateway_id] = facts
        if self._announce is None:
            log.info("process is back", gateway=gateway_id, pid=process.pid)
        elif len(self._ready) == len(self._lines):
            announce, self._announce = self._announce, None
            announce([self._ready[one] for one in self._lines])

    def _give_up(self, code: int) -> None:
        self._code = self._code or code
        self._over.set()


def _tell_to_end(process: Process) -> None:
    """Ask a process to stop gracefully."""
    if process.stdin is not None:
        process.stdin.close()
    signalled(process, signal.SIGTERM)
