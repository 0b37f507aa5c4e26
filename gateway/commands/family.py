"""The processes that the demo starts: commands of `llmx` that live as long as it does.

Each has the other end of its standard input in our hands. It ends when we let go of it, also
when we were killed; who does not is ended by its process id. Their standard output is a
stream of JSON objects, and all of them go into one queue.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import gateway
import llmx
from gateway.commands.trouble import FAILED, CommandError

STATE = "state"
LINE_BYTES_MAX = 4 * 1024 * 1024
LEAVE_SECONDS = 4.0
TERMINATE_SECONDS = 2.0
LOG_SHOWN_BYTES = 2000


class Family:
    """Processes of ours, by name."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        """Keep what they write to standard error in `folder`, beside a state of their own."""
        self.folder = folder
        self._tasks = tasks
        self._members: dict[str, Process] = {}
        self._events: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._is_ending = False

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {name: process.pid for name, process in self._members.items()}

    async def start(self, name: str, *arguments: str, token: str = "") -> None:
        """Start `llmx` with these arguments, and a token if it is an agent. Raises CommandError."""
        line = (sys.executable, "-P", "-m", "gateway.cli", *arguments)
        with self._log(name).open("wb") as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    *line,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=log,
                    limit=LINE_BYTES_MAX,
                    env=environment(self.folder, token),
                    process_group=0,  # Ctrl-C is for us, and we end them in order
                )
            except OSError as error:
                raise CommandError(f"{name} cannot be started: {error}", code=FAILED) from None
        self._members[name] = process
        self._tasks.create_task(self._read(name, process))

    async def event(self, seconds: float, awaited: str) -> Mapping[str, Any]:
        """Return the next event of any of them, which bears its `process`.

        Raises CommandError when none comes in time or one of them has ended.
        """
        try:
            async with asyncio.timeout(seconds):
                event = await self._events.get()
        except TimeoutError:
            raise CommandError(f"{awaited} did not come in time", code=FAILED) from None
        if event["event"] == "ended":
            name = event["process"]
            reason = f"{name} has ended with exit code {event['code']}: {self._last_words(name)}"
            raise CommandError(reason, code=FAILED)
        return event

    def nudge(self, name: str) -> None:
        """Write an empty line to the standard input of a process."""
        stdin = self._members[name].stdin
        assert stdin is not None, "it was started with a pipe"
        stdin.write(b"\n")

    async def end(self, last: str) -> None:
        """End all, `last` after the others; none is left when this returns."""
        self._is_ending = True
        others = [process for name, process in self._members.items() if name != last]
        await _end(others)
        await _end([process for name, process in self._members.items() if name == last])

    async def _read(self, name: str, process: Process) -> None:
        assert process.stdout is not None, "it was started with a pipe"
        with suppress(ValueError):  # a line that is longer than all that we would say
            async for line in process.stdout:
                with suppress(ValueError):
                    facts = json.loads(line)
                    self._events.put_nowait({"event": "announced", "process": name, **facts})
        code = await process.wait()
        if not self._is_ending:
            self._events.put_nowait({"event": "ended", "process": name, "code": code})

    def _log(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '_').replace(':', '_')}.log"

    def _last_words(self, name: str) -> str:
        text = self._log(name).read_text("utf-8", errors="replace")[-LOG_SHOWN_BYTES:]
        return text.strip() or "it said nothing"


@asynccontextmanager
async def family(folder: Path, last: str) -> AsyncIterator[Family]:
    """Have a family while the block runs; `last` is who is ended last."""
    failure: CommandError | None = None
    async with asyncio.TaskGroup() as tasks:
        members = Family(folder, tasks)
        try:
            yield members
        except CommandError as error:  # raised again outside, where no group wraps it
            failure = error
        finally:
            await members.end(last)
    if failure is not None:
        raise failure


def environment(folder: Path, token: str = "") -> dict[str, str]:
    """Return an environment without settings of the user's, and with our own modules."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("LLMX_")}
    files = filter(None, (gateway.__file__, llmx.__file__))
    roots = [Path(file).resolve().parents[1] for file in files]
    path = [*map(str, roots), *filter(None, [mine.get("PYTHONPATH")])]
    return {
        **mine,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "LLMX_STATE_DIR": str(folder / STATE),
        **({"LLMX_TOKEN": token} if token else {}),
    }


async def _end(processes: list[Process]) -> None:
    """Let go of processes, then ask them to end, then end them."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    if await _gone(processes, LEAVE_SECONDS):
        return
    for process in processes:
        with suppress(ProcessLookupError):
            process.terminate()
    if await _gone(processes, TERMINATE_SECONDS):
        return
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
    await _gone(processes, TERMINATE_SECONDS)


async def _gone(processes: list[Process], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            for process in processes:
                await process.wait()
    except TimeoutError:
        return False
    return True
