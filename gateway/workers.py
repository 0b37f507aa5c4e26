"""The processes that judge what is large or what somebody else's schema judges.

    queue ──> slot ──frame──> worker process
              slot <─frame──  worker process

Each worker has a slot, one task that hands it a job at a time and waits for the verdict no
longer than the budget. A worker that overruns is killed and its message refused
(VALIDATION_TIMEOUT); one that dies otherwise is replaced and its job judged once more. The
event loop only ever awaits; a worker that is stopped in the middle of a frame stops nobody.
Workers are spawned, not forked, because gRPC and fork do not mix; by `subprocess`, because
`multiprocessing` would import the gateway's main program into each and keep a tracker process
beside them. They end when their socket does, so a gateway that is killed leaves none.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import orjson

from gateway.acts import ACT_NAMES
from gateway.explanation import Finding
from gateway.foreign_schemas import SCHEMA_BYTES_MAX, TOO_LARGE, ForeignSchema
from gateway.refusals import Fault
from gateway.schemas import ShippedSchema, invalid_json, rejected, violation
from gateway.strict_json import DEPTH_MAX, JsonFault
from gateway.worker_process import HEADER, READY, Answer, pack

ATTEMPTS_MAX = 2
ANSWER_BYTES_MAX = 1024 * 1024
START_SECONDS_MAX = 30.0
CHECK_BUDGET_SHARE = 4
"""Checking a schema may take this many times the budget of a payload."""

# The parent's import path, since it may have been changed after the start.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from gateway.worker_process import serve; serve(int(sys.argv[1]))"
)

TIMEOUT = Fault(
    "VALIDATION_TIMEOUT",
    "Judging took longer than the time budget.",
    "Send a smaller payload, or use a schema that is cheaper to judge.",
)
DIED = Fault(
    "VALIDATION_TIMEOUT",
    "The process that judged it ended twice before it was done.",
    "Send a smaller payload, or use a schema that is cheaper to judge.",
)
OVERLOADED = Fault(
    "OVERLOADED",
    "Too many payloads wait to be judged.",
    "Send the message again a little later.",
    retry_after=1.0,
)
STOPPING = Fault(
    "STOPPING",
    "The gateway is stopping and judges no more payloads.",
    "Send the message again after reconnecting.",
    retry_after=1.0,
)


@dataclass(frozen=True, slots=True)
class Task:
    """A payload and what shall judge it."""

    payload: bytes
    act: int
    schema: ShippedSchema | ForeignSchema


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a payload was judged."""

    fault: Fault | None = None
    """Why it is refused; None when it is valid."""

    @property
    def valid(self) -> bool:
        return self.fault is None


@dataclass(slots=True, eq=False)
class _Job:
    frame: bytes
    budget: float
    queued_at: float
    answer: asyncio.Future[Answer | Fault]

    def settle(self, answer: Answer | Fault) -> None:
        if not self.answer.done():  # whoever asked may have gone
            self.answer.set_result(answer)


class ValidationPool:
    """Worker processes behind one bounded queue. Use it as an async context manager."""

    def __init__(
        self,
        size: int = 1,
        *,
        queue_max: int = 256,
        budget: float = 0.5,
        wait_max: float = 5.0,
        depth_max: int = DEPTH_MAX,
    ) -> None:
        """Prepare `size` workers; nothing runs before `start`.

        `budget` is the seconds that judging one payload may take, `wait_max` the seconds that
        it may wait for its turn.
        """
        assert size > 0 and queue_max > 0, "a pool has a worker and room for a job"
        self._budget = budget
        self._wait_max = wait_max
        self._depth_max = depth_max
        self._queue: asyncio.Queue[_Job] = asyncio.Queue(queue_max)
        self._workers = [_Worker() for _ in range(size)]
        self._tasks: asyncio.TaskGroup | None = None
        self._slots: list[asyncio.Task[None]] = []
        self.replaced = 0
        """How many workers were killed or died so far."""

    def __repr__(self) -> str:
        return (
            f"<ValidationPool: {len(self.pids)} of {len(self._workers)} workers up, "
            f"{self._queue.qsize()} waiting, {self.replaced} replaced>"
        )

    async def __aenter__(self) -> ValidationPool:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that are up."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return self._queue.qsize()

    async def start(self) -> None:
        """Start the workers and wait until each is ready, or has failed to start.

        One that failed is tried again when there is something to judge.
        """
        self._tasks = await asyncio.TaskGroup().__aenter__()
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except BaseException:
            await self.close()
            raise
        self._slots = [self._tasks.create_task(self._serve(worker)) for worker in self._workers]

    async def close(self) -> None:
        """End the workers and wait until they are gone; what still waits is refused."""
        tasks, self._tasks = self._tasks, None
        for slot in self._slots:
            slot.cancel()
        if tasks is not None:
            await tasks.__aexit__(None, None, None)
        for worker in self._workers:
            await worker.stop()
        while not self._queue.empty():
            self._queue.get_nowait().settle(STOPPING)

    async def judge(self, task: Task) -> Verdict:
        """Return the verdict on a payload; never raises for anything an agent sent."""
        schema = task.schema
        foreign = isinstance(schema, ForeignSchema)
        order = {
            "do": "judge",
            "act": ACT_NAMES.get(task.act, ""),
            "shipped": "" if isinstance(schema, ForeignSchema) else schema.name,
            "depth_max": self._depth_max,
            "budget": self._budget,
        }
        frame = pack(orjson.dumps(order), task.payload, schema.text if foreign else b"")
        answer = await self._ask(frame, self._budget)
        if isinstance(answer, Fault):
            return Verdict(answer)
        if answer.kind == "valid":
            return Verdict()
        if answer.kind == "invalid_json":
            return Verdict(invalid_json(JsonFault(answer.pointer, answer.reason, answer.remedy)))
        return Verdict(violation(_finding(answer), answer.example))

    async def check_foreign(self, text: bytes) -> ForeignSchema | Fault:
        """Return a schema that somebody wants to register, or why it is not acceptable.

        One that is too large is refused at once: what waits in the queue takes memory.
        """
        if len(text) > SCHEMA_BYTES_MAX:
            return rejected(TOO_LARGE)
        budget = self._budget * CHECK_BUDGET_SHARE
        frame = pack(orjson.dumps({"do": "check", "budget": budget}), b"", text)
        answer = await self._ask(frame, budget)
        if isinstance(answer, Fault):
            return answer
        if answer.kind == "accepted":
            return ForeignSchema(
                answer.schema_id, text, tuple(answer.sensitive), dict(answer.examples)
            )
        return rejected(_finding(answer))

    async def _ask(self, frame: bytes, budget: float) -> Answer | Fault:
        if self._tasks is None:
            return STOPPING
        loop = asyncio.get_running_loop()
        job = _Job(frame, budget, loop.time(), loop.create_future())
        try:
            self._queue.put_nowait(job)
        except asyncio.QueueFull:
            return OVERLOADED
        return await job.answer

    async def _serve(self, worker: _Worker) -> None:
        """Hand one job after the other to a worker, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            job = await self._queue.get()
            if job.answer.done():
                continue
            if loop.time() - job.queued_at > self._wait_max:
                job.settle(OVERLOADED)
                continue
            try:
                job.settle(await self._judged(worker, job))
            except asyncio.CancelledError:
                job.settle(STOPPING)
                raise
            if worker.pid is None:
                await worker.start()  # now, so that the next job need not wait for it

    async def _judged(self, worker: _Worker, job: _Job) -> Answer | Fault:
        for _ in range(ATTEMPTS_MAX):
            if worker.pid is None and not await worker.start():
                return OVERLOADED
            try:
                async with asyncio.timeout(job.budget):
                    return await worker.ask(job.frame)
            except TimeoutError:
                self.replaced += 1
                await worker.stop()
                return TIMEOUT
            except (EOFError, OSError):
                self.replaced += 1
                await worker.stop()
        return DIED


class _Worker:
    """One process and the socket to it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._ready = False

    @property
    def pid(self) -> int | None:
        """The process id; None while it cannot be asked."""
        return self._process.pid if self._ready and self._process is not None else None

    async def start(self) -> bool:
        """Start the process and wait until it is ready; tells whether it is."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", _PROGRAM, str(os.getpid()), *sys.path]
            loop = asyncio.get_running_loop()
            spawning = loop.run_in_executor(None, _spawn, command, theirs)
            try:
                self._process = await asyncio.shield(spawning)
            except asyncio.CancelledError:
                self._process = await spawning  # it cannot be stopped halfway
                ours.close()
                await self.stop()
                raise
            except OSError:
                ours.close()
                return False
        reader, writer = await asyncio.open_connection(sock=ours)
        self._reader, self._writer = reader, writer
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                self._ready = await self._read() == READY
        except (EOFError, OSError):  # a TimeoutError is one of these
            self._ready = False
        if not self._ready:
            await self.stop()
        return self._ready

    async def stop(self) -> None:
        """Kill the process and wait until it is gone; a repeat does nothing."""
        self._ready = False
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()
        process = self._process
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)
            self._process = None

    async def ask(self, frame: bytes) -> Answer:
        """Return the answer to a frame; raises EOFError or OSError when the process ends."""
        assert self._writer is not None, "only a worker that is up is asked"
        self._writer.write(frame)
        await self._writer.drain()
        answer: list[Any] = orjson.loads(await self._read())
        return Answer(*answer)

    async def _read(self) -> bytes:
        assert self._reader is not None, "only a worker that is up answers"
        length, *others = HEADER.unpack(await self._reader.readexactly(HEADER.size))
        if length > ANSWER_BYTES_MAX or any(others):
            raise OSError("not an answer")
        return await self._reader.readexactly(length)


def _spawn(command: list[str], channel: socket.socket) -> subprocess.Popen[bytes]:
    """Start a worker; silent, because what it could print may quote payloads."""
    return subprocess.Popen(
        command, stdin=channel.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _finding(answer: Answer) -> Finding:
    return Finding(answer.pointer, answer.reason, answer.remedy)
