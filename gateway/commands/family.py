"""The processes that a command starts, and that live as long as it does.

Each has the other end of its standard input in our hands. A command of `llmx` ends when we let go
of it, also when we were killed; another program is tied to us (see `tied`) and told to end. Who
does not is ended by its process id. The standard output of our commands is a stream of JSON
objects, and all of them go into one queue.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
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
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no other

PROGRAMS_NEED = {"ETCD_UNSUPPORTED_ARCH": "arm64"} if platform.machine() == "aarch64" else {}
"""Without this word the etcd of some distributions does not start on such a machine."""


class Family:
    """Processes of ours, by name."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup, state: Path | None = None) -> None:
        """Keep what they write to standard error in `folder`, beside a state of their own.

        With `state` they share that one with the user, and get the user's settings.
        """
        self.folder = folder
        self.state = state or folder / STATE
        self._inherits = state is not None
        self._tasks = tasks
        self._members: dict[str, Process] = {}
        self._turns: dict[str, int] = {}
        self._programs: set[str] = set()
        self._given_up: set[str] = set()
        self._may_end: set[str] = set()
        self._events: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._is_ending = False

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {name: process.pid for name, process in self._members.items()}

    async def start(
        self,
        name: str,
        *arguments: str,
        token: str = "",
        settings: Mapping[str, str] | None = None,
        turn: int = 0,
    ) -> None:
        """Start `llmx` with these arguments, a token if it is an agent, settings by environment.

        Who has a higher `turn` is ended later. Raises CommandError.
        """
        line = (sys.executable, "-P", "-m", "gateway.cli", *arguments)
        variables = environment(self.state, token, settings, inherits=self._inherits)
        await self._spawn(name, line, variables, turn)

    async def run(self, name: str, *program: str, turn: int = 0) -> None:
        """Start another program, which ends with us. Raises CommandError."""
        tied = (sys.executable, "-P", "-m", "gateway.commands.tied", str(os.getpid()))
        self._programs.add(name)
        variables = environment(self.state) | PROGRAMS_NEED
        await self._spawn(name, (*tied, *program), variables, turn)

    async def _spawn(
        self, name: str, line: Sequence[str], variables: Mapping[str, str], turn: int
    ) -> None:
        with self.log(name).open("ab") as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    *line,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=log,
                    limit=LINE_BYTES_MAX,
                    env=variables,
                    process_group=0,  # Ctrl-C is for us, and we end them in order
                )
            except OSError as error:
                raise CommandError(f"{name} cannot be started: {error}", code=FAILED) from None
        self._members[name] = process
        self._turns[name] = turn
        self._tasks.create_task(self._read(name, process))

    async def event(self, seconds: float, awaited: str) -> Mapping[str, Any]:
        """Return the next event of any of them, which bears its `process`.

        Raises CommandError when none comes in time, or one of them has ended that was not killed
        by us.
        """
        try:
            async with asyncio.timeout(seconds):
                event = await self.next()
        except TimeoutError:
            raise CommandError(f"{awaited} did not come in time", code=FAILED) from None
        return self.checked(event)

    def checked(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an event. Raises CommandError when it tells of an end that nobody wanted."""
        name = event["process"]
        if event["event"] == "ended" and name in self._may_end and event["code"] == 0:
            return event
        if event["event"] == "ended" and name not in self._given_up:
            words = self.last_words(name) or "it said nothing"
            reason = f"{name} has ended with exit code {event['code']}: {words}"
            raise CommandError(reason, code=FAILED)
        return event

    async def next(self) -> Mapping[str, Any]:
        """Return the next event of any of them; that one has "ended" is one, with its `code`."""
        return await self._events.get()

    def post(self, **event: Any) -> None:
        """Put an event of our own among theirs."""
        self._events.put_nowait({"process": "", **event})

    def nudge(self, name: str) -> None:
        """Write an empty line to the standard input of a process."""
        stdin = self._members[name].stdin
        assert stdin is not None, "it was started with a pipe"
        stdin.write(b"\n")

    def may_end(self, name: str) -> None:
        """Expect a process to end when its work is done, with exit code 0."""
        self._may_end.add(name)

    def lives(self, name: str) -> bool:
        """Tell whether a process has not ended yet."""
        return self._members[name].returncode is None

    def kill(self, name: str) -> None:
        """End a process at once, without a word to it."""
        self._given_up.add(name)
        signalled(self._members[name], KILL)

    async def end(self) -> None:
        """End all in their turns; none is left when this returns."""
        self._is_ending = True
        for turn in sorted(set(self._turns.values())):
            named = [name for name in self._members if self._turns[name] == turn]
            programs = [self._members[name] for name in named if name in self._programs]
            for program in programs:
                signalled(program, signal.SIGTERM)
            await _end([self._members[name] for name in named])

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

    def log(self, name: str) -> Path:
        """Return the file of what a process writes to standard error."""
        return self.folder / f"{name.replace('/', '_').replace(':', '_')}.log"

    def last_words(self, name: str) -> str:
        """Return the end of what a process wrote to standard error."""
        text = self.log(name).read_text("utf-8", errors="replace")[-LOG_SHOWN_BYTES:]
        return text.strip()


@asynccontextmanager
async def family(folder: Path, state: Path | None = None) -> AsyncIterator[Family]:
    """Have a family while the block runs."""
    failure: CommandError | None = None
    async with asyncio.TaskGroup() as tasks:
        members = Family(folder, tasks, state)
        try:
            yield members
        except CommandError as error:  # raised again outside, where no group wraps it
            failure = error
        finally:
            await members.end()
    if failure is not None:
        raise failure


def environment(
    state: Path,
    token: str = "",
    settings: Mapping[str, str] | None = None,
    *,
    inherits: bool = False,
) -> dict[str, str]:
    """Return an environment with our own modules; `inherits` says whether settings of the user's
    stay in it (etcd's never do). `settings` are dotted, as server.port.
    """
    foreign = ("ETCD_", "LLMX_TOKEN") if inherits else ("ETCD_", "LLMX_")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    files = filter(None, (gateway.__file__, llmx.__file__))
    roots = [Path(file).resolve().parents[1] for file in files]
    path = [*map(str, roots), *filter(None, [mine.get("PYTHONPATH")])]
    given = {
        f"LLMX_{dotted.replace('.', '__')}".upper(): value
        for dotted, value in (settings or {}).items()
    }
    return {
        **mine,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "LLMX_STATE_DIR": str(state),
        **({"LLMX_TOKEN": token} if token else {}),
        **given,
    }


async def _end(processes: list[Process]) -> None:
    """Let go of processes, then ask them to end, then end them."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    if await _gone(processes, LEAVE_SECONDS):
        return
    for process in processes:
        signalled(process, signal.SIGTERM)
    if await _gone(processes, TERMINATE_SECONDS):
        return
    for process in processes:
        signalled(process, KILL)
    await _gone(processes, TERMINATE_SECONDS)


def signalled(process: Process, number: signal.Signals) -> None:
    """Send a signal, if the process is there.

    Not by its own method: that looks whether it has ended, and whoever watches it for asyncio
    would then find nobody to bury, and complain.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def _gone(processes: list[Process], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            for process in processes:
                await process.wait()
    except TimeoutError:
        return False
    return True
