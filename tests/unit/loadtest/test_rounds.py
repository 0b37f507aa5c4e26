"""Rounds are played to their end, and a round that cannot end is said to have failed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest

from llmx.wire.v1 import frame_pb2
from loadtest import floor
from loadtest.conducting import RoundsFailed
from loadtest.rounds import Case, Play, Played

CASE = Case(contractors=3, in_flight=4, seconds=20.0, rounds_max=40, warm_up_seconds=0.01, name="t")


def _play(target: str, case: Case, *, initiator_decides: bool = True) -> Play:
    return Play(
        target,
        case,
        token_of=None,
        initiator_decides=initiator_decides,
        server_cpu_seconds=lambda: 0.0,
    )


def _through_the_floor(case: Case) -> Played:
    async def scenario() -> Played:
        server, port = await floor.start(0)
        try:
            return await _play(f"127.0.0.1:{port}", case).run()
        finally:
            await server.stop(grace=None)

    return asyncio.run(scenario())


@pytest.mark.parametrize("contractors", [1, 3])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_case_ends_after_its_rounds(contractors: int, in_flight: int) -> None:
    played = _through_the_floor(replace(CASE, contractors=contractors, in_flight=in_flight))
    assert played.rounds == CASE.rounds_max
    assert played.strays == 0
    assert played.messages >= 3 * contractors * (played.rounds - in_flight)
    assert played.frames_received <= played.messages


def test_the_last_offer_comes_before_the_last_outcome() -> None:
    played = _through_the_floor(CASE)
    assert len(played.to_last_offer) == len(played.to_last_outcome) > 0
    pairs = zip(played.to_last_offer, played.to_last_outcome, strict=True)
    assert all(0 < offered <= decided for offered, decided in pairs)


def test_rounds_that_began_in_the_warm_up_have_no_latency() -> None:
    played = _through_the_floor(replace(CASE, in_flight=4, rounds_max=8))
    assert len(played.to_last_offer) <= played.rounds


def test_a_server_that_is_not_there_is_told_by_name() -> None:
    with pytest.raises(RoundsFailed, match="agent://c000-t"):
        asyncio.run(_play("127.0.0.1:1", CASE).run())


def test_a_stream_that_ends_midway_fails_the_case() -> None:
    async def welcome_and_leave(_: Any, context: Any) -> None:
        await context.read()
        frame = frame_pb2.ResponseFrame(number=1, welcome=b"")
        await context.write(frame.SerializeToString())

    async def scenario() -> None:
        server = grpc.aio.server()
        handler: Any = grpc.stream_stream_rpc_method_handler(welcome_and_leave)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(floor.SERVICE, {"Exchange": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            await _play(f"127.0.0.1:{port}", CASE).run()
        finally:
            await server.stop(grace=None)

    with pytest.raises(RoundsFailed, match="stream of agent://"):
        asyncio.run(scenario())


@pytest.mark.parametrize("wrong", [{"contractors": 0}, {"in_flight": 5_000}])
def test_a_case_has_bounds(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 1 to"):
        _play("127.0.0.1:1", replace(CASE, **wrong))
