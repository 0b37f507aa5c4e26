"""Validation workers with real processes: what they judge, and how they end."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import uvloop

from gateway.foreign_schemas import SCHEMA_BYTES_MAX
from gateway.refusals import Fault
from gateway.schemas import check_foreign
from gateway.workers import Task, ValidationPool
from tests.support.worker_scenes import (
    GENEROUS,
    GOOD,
    ID,
    MESSAGE,
    OFFER,
    SHIPPED,
    code,
    fan,
    judged,
    play,
    registered,
)

pytestmark = pytest.mark.slow


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_worker_judges_as_the_gateway_does(run: Callable[[Any], None]) -> None:
    async def scene() -> None:
        async with ValidationPool(1, budget=GENEROUS) as pool:
            assert (await pool.judge(GOOD)).valid
            for payload, expected, pointer in [
                (b'{"a":1,"a":2}', "INVALID_JSON", "/payload/a"),
                (b"\xff", "INVALID_JSON", "/payload"),
                (orjson.dumps({"value": "x"}), "SCHEMA_VIOLATION", "/payload"),
            ]:
                verdict = await pool.judge(Task(payload, OFFER, SHIPPED))
                assert verdict.fault is not None
                assert (verdict.fault.code, verdict.fault.pointer) == (expected, pointer)
            wrong_act = await pool.judge(Task(b"{}", MESSAGE, SHIPPED))
            assert code(wrong_act) == "SCHEMA_VIOLATION"
            assert pool.replaced == 0

    run(scene())


def test_a_registered_schema_judges_beside_the_act_itself() -> None:
    async def scene(pool: ValidationPool) -> None:
        schema = await registered(
            pool,
            required=["terms"],
            examples=[{"$schema": ID, "value": 1, "terms": {}}],
        )
        offer = {"$schema": ID, "value": 1, "terms": {}}
        for value, valid in [
            (offer, True),
            ({"$schema": ID, "value": 1}, False),
            ({"$schema": ID, "terms": {}, "value": "none"}, False),
            (offer | {"extra": 1}, False),
        ]:
            verdict = await pool.judge(Task(orjson.dumps(value), OFFER, schema))
            assert verdict.valid is valid
        assert (await judged(pool, {"terms": 1}, schema)).valid
        refused = await judged(pool, {}, schema)
        assert refused.fault is not None
        assert orjson.loads(refused.fault.example) == offer

    play(scene)


def test_sensitive_fields_are_reported_at_registration() -> None:
    async def scene(pool: ValidationPool) -> None:
        schema = await registered(pool, properties={"budget": {"x-sensitive": True}})
        assert schema.sensitive == ("/budget",)
        assert (await registered(pool)).sensitive == ()

    play(scene)


def test_a_schema_that_is_too_large_is_refused_before_it_waits_in_the_queue() -> None:
    """What reaches a pool that has not started is answered STOPPING."""

    async def scene() -> None:
        pool = ValidationPool()
        large = b" " * (SCHEMA_BYTES_MAX + 1)
        refused = await pool.check_foreign(large)
        assert isinstance(refused, Fault)
        assert refused.code == "SCHEMA_REJECTED"
        assert refused == check_foreign(large)
        waiting = await pool.check_foreign(large[1:])
        assert isinstance(waiting, Fault)
        assert waiting.code == "STOPPING"

    asyncio.run(scene())


def test_a_worker_that_overruns_is_killed_and_replaced() -> None:
    async def scene(pool: ValidationPool) -> None:
        endless = await registered(pool, **fan(48))
        (before,) = pool.pids
        verdict = await judged(pool, "seven", endless)
        assert code(verdict) == "VALIDATION_TIMEOUT"
        assert (await pool.judge(GOOD)).valid
        assert is_gone(before)
        assert pool.pids != [before]
        assert pool.replaced == 1

    play(scene, budget=0.3)


def test_a_worker_that_hangs_is_killed_and_holds_nobody_up_meanwhile() -> None:
    """A stopped worker does not read, so the frame stays half written for the whole budget."""

    async def scene(pool: ValidationPool) -> None:
        (before,) = pool.pids
        os.kill(before, signal.SIGSTOP)
        big = Task(b" " * 2**22, OFFER, SHIPPED)
        turns = 0
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(pool.judge(big))
            while not waiting.done():
                turns += 1
                await asyncio.sleep(0)
        assert code(waiting.result()) == "VALIDATION_TIMEOUT"
        assert turns > 100
        assert (await pool.judge(GOOD)).valid
        assert is_gone(before)

    play(scene, budget=0.3)


def test_a_task_whose_worker_dies_is_judged_again() -> None:
    async def scene(pool: ValidationPool) -> None:
        (idle,) = pool.pids
        os.kill(idle, signal.SIGKILL)
        assert (await pool.judge(GOOD)).valid
        (busy,) = pool.pids
        os.kill(busy, signal.SIGSTOP)
        async with asyncio.TaskGroup() as tasks:
            verdict = tasks.create_task(pool.judge(GOOD))
            await asyncio.sleep(0)  # let it be handed over
            os.kill(busy, signal.SIGKILL)
        assert verdict.result().valid
        assert pool.replaced == 2
        assert is_gone(idle) and is_gone(busy)

    play(scene)


def test_a_task_that_kills_two_workers_is_refused() -> None:
    async def scene(pool: ValidationPool) -> None:
        endless = await registered(pool, **fan(48))
        killed: set[int] = set()
        async with asyncio.TaskGroup() as tasks:
            verdict = tasks.create_task(judged(pool, "seven", endless))
            await asyncio.sleep(0)
            while not verdict.done():
                for pid in set(pool.pids) - killed:
                    if len(killed) < 2:
                        os.kill(pid, signal.SIGKILL)
                        killed.add(pid)
                await asyncio.sleep(0)
        assert code(verdict.result()) == "VALIDATION_TIMEOUT"
        assert verdict.result().fault is not None
        assert len(killed) == 2
        assert (await pool.judge(GOOD)).valid

    play(scene, budget=20.0)


def test_at_the_bound_of_the_queue_messages_are_refused_at_once() -> None:
    async def scene(pool: ValidationPool) -> None:
        os.kill(pool.pids[0], signal.SIGSTOP)
        verdicts = await asyncio.gather(*(pool.judge(GOOD) for _ in range(8)))
        codes = [code(verdict) for verdict in verdicts]
        assert codes.count("OVERLOADED") in (5, 6)
        assert codes.count("VALIDATION_TIMEOUT") == 1
        overloaded = next(v.fault for v in verdicts if code(v) == "OVERLOADED")
        assert overloaded is not None
        assert overloaded.retry_after > 0

    play(scene, queue_max=2, budget=0.3)


def test_what_has_waited_too_long_is_refused_unjudged() -> None:
    async def scene(pool: ValidationPool) -> None:
        os.kill(pool.pids[0], signal.SIGSTOP)
        first, second = await asyncio.gather(pool.judge(GOOD), pool.judge(GOOD))
        assert (code(first), code(second)) == ("VALIDATION_TIMEOUT", "OVERLOADED")
        assert (await pool.judge(GOOD)).valid

    play(scene, budget=0.3, wait_max=0.1)


def test_many_at_once_each_get_their_own_verdict() -> None:
    async def scene(pool: ValidationPool) -> None:
        schema = await registered(pool, properties={"n": {"multipleOf": 2}})
        verdicts = await asyncio.gather(*(judged(pool, {"n": n}, schema) for n in range(500)))
        assert [verdict.valid for verdict in verdicts] == [n % 2 == 0 for n in range(500)]
        assert pool.replaced == 0

    play(scene, size=2, queue_max=500, wait_max=60.0)


def test_more_schemas_than_a_worker_keeps_are_still_judged() -> None:
    async def scene(pool: ValidationPool) -> None:
        schemas = [await registered(pool, const=n) for n in range(70)]
        for _ in range(2):
            for n, schema in enumerate(schemas):
                assert (await judged(pool, n, schema)).valid
                assert not (await judged(pool, -1, schema)).valid

    play(scene)


def test_neither_who_asked_and_went_away_nor_ctrl_c_disturbs_a_worker() -> None:
    async def scene(pool: ValidationPool) -> None:
        os.kill(pool.pids[0], signal.SIGINT)
        async with asyncio.TaskGroup() as tasks:
            gone = [tasks.create_task(pool.judge(GOOD)) for _ in range(5)]
            await asyncio.sleep(0)
            for task in gone:
                task.cancel()
        assert (await pool.judge(GOOD)).valid
        assert pool.replaced == 0

    play(scene)


def test_closing_leaves_no_process_and_refuses_what_waits() -> None:
    async def run() -> None:
        pool = ValidationPool(2, budget=GENEROUS)
        assert code(await pool.judge(GOOD)) == "STOPPING"
        await pool.start()
        pids = pool.pids
        assert len(pids) == 2
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(pool.judge(GOOD)) for _ in range(5)]
            await asyncio.sleep(0)
            await pool.close()
        assert [code(task.result()) for task in waiting] == ["STOPPING"] * 5
        assert code(await pool.judge(GOOD)) == "STOPPING"
        assert all(map(is_gone, pids))
        assert pool.pids == []
        await pool.close()

    asyncio.run(run())


def test_cancelling_a_start_leaves_no_process() -> None:
    """In a process of its own, so that every child there is one of the pool's."""
    program = (
        "import sys; sys.path[:] = sys.argv[1:]\n"
        "import asyncio, os\n"
        "from gateway.workers import ValidationPool\n"
        "async def run():\n"
        "    async with asyncio.TaskGroup() as tasks:\n"
        "        starting = tasks.create_task(ValidationPool(2).start())\n"
        "        await asyncio.sleep(0)\n"
        "        starting.cancel()\n"
        "asyncio.run(run())\n"
        "try:\n"
        "    os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError:\n"
        "    print('none left')\n"
    )
    command = [sys.executable, "-c", program, *sys.path]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "none left\n"


@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_when_the_gateway_is_killed(stopped: bool) -> None:
    program = (
        "import sys; sys.path[:] = sys.argv[1:]\n"
        "import asyncio\n"
        "from gateway.workers import ValidationPool\n"
        "async def run():\n"
        "    async with ValidationPool(2) as pool:\n"
        "        print(*pool.pids, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(run())\n"
    )
    command = [sys.executable, "-c", program, *sys.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        watched = [os.pidfd_open(int(pid)) for pid in gateway.stdout.readline().split()]
        assert len(watched) == 2
        if stopped:
            gateway.send_signal(signal.SIGSTOP)
        gateway.kill()
        for worker in watched:
            ended, _, _ = select.select([worker], [], [], 10)
            os.close(worker)
            assert ended, "a worker outlived its gateway"
