"""Every row of the table of hostile schemas and payloads, against real workers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.refusals import Fault
from gateway.workers import Task, ValidationPool
from tests.support.worker_scenes import (
    GOOD,
    MESSAGE,
    code,
    fan,
    judged,
    play,
    registered,
    registration,
)

pytestmark = pytest.mark.slow


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
