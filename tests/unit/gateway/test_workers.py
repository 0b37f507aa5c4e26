"""Validation workers with real processes, and every row of the table of hostile cases."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
import uvloop

from gateway.acts import ACTS
from gateway.refusals import Fault
from gateway.schemas import ForeignSchema, SchemaRegistry
from gateway.shipped_schemas import schema_id
from gateway.workers import Task, ValidationPool, Verdict

pytestmark = pytest.mark.slow

NEGOTIATION = schema_id("Negotiation")
SHIPPED = SchemaRegistry().shipped[NEGOTIATION]
ID = "https://acme.example/lease.json"
OFFER = ACTS["offer"]
MESSAGE = ACTS["message"]
GOOD = Task(orjson.dumps({"$schema": NEGOTIATION, "value": 1}), OFFER, SHIPPED)
GENEROUS = 5.0
"""Seconds; a budget that only a payload that never ends uses up."""

Play = Callable[[ValidationPool], Awaitable[None]]


def play(scene: Play, size: int = 1, **settings: Any) -> None:
    async def run() -> None:
        async with ValidationPool(size, **({"budget": GENEROUS} | settings)) as pool:
            await scene(pool)

    asyncio.run(run())


async def registered(pool: ValidationPool, **members: Any) -> ForeignSchema:
    """Register a schema; `_ref` and `_defs` stand for `$ref` and `$defs`."""
    schema = await registration(pool, **members)
    assert isinstance(schema, ForeignSchema), schema
    return schema


async def registration(pool: ValidationPool, **members: Any) -> ForeignSchema | Fault:
    named = {"$" + key[1:] if key[0] == "_" else key: item for key, item in members.items()}
    return await pool.check_foreign(orjson.dumps({"$id": ID} | named))


async def judged(pool: ValidationPool, value: Any, schema: ForeignSchema) -> Verdict:
    return await pool.judge(Task(orjson.dumps(value), MESSAGE, schema))


def code(verdict: Verdict) -> str:
    return "" if verdict.fault is None else verdict.fault.code


def fan(levels: int) -> dict[str, Any]:
    """Return a schema that takes 2 to the power of `levels` steps to refuse a value."""
    layers = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(levels)}
    return {"_ref": "#/$defs/l0", "_defs": {**layers, f"l{levels}": {"type": "integer"}}}


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
            ({"$schema": ID, "terms": {}}, False),
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


def test_a_pattern_that_backtracks_forever_is_refused_and_explained_in_time() -> None:
    """The native engine is linear; the reference library is interrupted in its own."""

    async def scene(pool: ValidationPool) -> None:
        before = pool.pids
        schema = await registered(pool, properties={"a": {"pattern": "^(a+)+$"}})
        verdict = await judged(pool, {"a": "a" * 40 + "!"}, schema)
        assert code(verdict) == "SCHEMA_VIOLATION"
        assert verdict.fault is not None
        assert verdict.fault.pointer == "/payload/a"
        assert pool.pids == before, "no worker had to be killed"

    play(scene, budget=1.0)


def test_what_never_ends_or_is_not_linear_is_refused_at_registration() -> None:
    async def scene(pool: ValidationPool) -> None:
        for pattern in (r"(a*)*\1b", "^(?=a)(a+)+$", r"^((a)+)+\1$", "a{1000}{1000}"):
            refused = await registration(pool, properties={"a": {"pattern": pattern}})
            assert isinstance(refused, Fault)
            assert (refused.code, refused.pointer) == ("SCHEMA_REJECTED", "/properties/a/pattern")
        circle = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
        refused = await registration(pool, _ref="#/$defs/a", _defs=circle)
        assert isinstance(refused, Fault)
        assert "circle" in refused.reason
        assert pool.replaced == 0

    play(scene)


def test_ten_thousand_nested_arrays_are_refused() -> None:
    async def scene(pool: ValidationPool) -> None:
        schema = await registered(pool)
        for payload in (b"[" * 10_000 + b"]" * 10_000, b"[" * 10_000):
            verdict = await pool.judge(Task(payload, MESSAGE, schema))
            assert code(verdict) == "INVALID_JSON"
        assert pool.replaced == 0

    play(scene)


def test_a_schema_that_contains_itself_judges_payloads_as_deep_as_the_limit() -> None:
    async def scene(pool: ValidationPool) -> None:
        schema = await registered(pool, properties={"c": {"$ref": "#"}}, type="object")

        def nested(levels: int, end: Any) -> Any:
            return nested(levels - 1, {"c": end}) if levels else end

        assert (await judged(pool, nested(199, {}), schema)).valid
        assert code(await judged(pool, nested(199, 1), schema)) == "SCHEMA_VIOLATION"
        deeper = b'{"c":' * 900 + b"{}" + b"}" * 900
        assert code(await pool.judge(Task(deeper, MESSAGE, schema))) == "INVALID_JSON"
        assert pool.replaced == 0

    play(scene, depth_max=200)


def test_twenty_thousand_items_that_must_differ_are_judged_in_time() -> None:
    async def scene(pool: ValidationPool) -> None:
        schema = await registered(pool, uniqueItems=True)
        items = [{"n": n, "x": [n]} for n in range(20_000)]
        assert (await judged(pool, items, schema)).valid
        verdict = await judged(pool, [*items, items[0]], schema)
        assert code(verdict) == "SCHEMA_VIOLATION"
        assert verdict.fault is not None
        assert "equal" in verdict.fault.reason
        assert pool.replaced == 0

    play(scene, budget=1.0)


def test_a_fan_of_references_costs_one_refused_message() -> None:
    async def scene(pool: ValidationPool) -> None:
        schema = await registered(pool, **fan(22))
        assert (await judged(pool, 7, schema)).valid
        verdict = await judged(pool, "seven", schema)
        assert code(verdict) in ("SCHEMA_VIOLATION", "VALIDATION_TIMEOUT")
        endless = await registered(pool, **fan(48))
        assert code(await judged(pool, "seven", endless)) == "VALIDATION_TIMEOUT"
        assert (await pool.judge(GOOD)).valid, "the replacement judges on"

    play(scene, budget=0.5)


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
