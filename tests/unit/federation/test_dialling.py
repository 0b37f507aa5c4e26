"""How a gateway reaches the ones that it dials; tests/integration/test_peering.py does it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from federation.dialling import OPTIONS, Dialler, parsed_hello
from federation.peer_states import PeerAddress
from federation.peer_stream import Carrier, PeerStream
from llmx.v1.peering_pb2 import PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent
from tests.support.meshes import LIMITS, Meshes
from tests.support.peers import until

QUICK = replace(LIMITS, dial_seconds_max=0.2, redial_first_seconds=0.01, redial_most_seconds=0.05)


async def never(_: str, __: Carrier, ___: PeerHello, ____: int) -> PeerStream:
    raise AssertionError("there is nobody to serve")


@pytest.mark.parametrize(
    "raw",
    [
        None,
        object(),
        b"",
        b"\xff",
        PeerContent(heartbeat=b"").SerializeToString(),
        PeerContent(hello=b"\xff").SerializeToString(),
    ],
)
def test_what_is_no_hello_is_none(raw: object) -> None:
    assert parsed_hello(raw) is None


def test_a_hello_is_read() -> None:
    hello = PeerHello(gateway_id="eu", epoch=3)
    assert parsed_hello(PeerContent(hello=hello.SerializeToString()).SerializeToString()) == hello


def test_pings_have_a_timeout_and_attempts_of_grpcs_own_are_quick() -> None:
    """grpc waits 20 s for an answer to a ping, and up to two minutes between attempts."""
    options = dict(OPTIONS)
    assert int(options["grpc.http2.ping_timeout_ms"]) <= 10_000
    assert int(options["grpc.max_reconnect_backoff_ms"]) <= 1_000


@pytest.mark.slow
async def test_who_answers_with_silence_is_given_up_in_time_and_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = PeerAddress(f"127.0.0.1:{silent.getsockname()[1]}", 1, "")
        dialler = Dialler("b", address, Meshes("a", "b").sides["a"].mesh, QUICK, None, never)
        async with asyncio.TaskGroup() as tasks:
            dialling = tasks.create_task(dialler.run())
            for _ in range(2):
                await until(lambda: dialler.trouble == "no hello in time")
                assert repr(dialler) == "<Dialler of b: no hello in time>"
                dialler.trouble = ""
            dialling.cancel()


async def test_without_an_epoch_nobody_is_dialled() -> None:
    mesh = Meshes("a", "b", epoch=0).sides["a"].mesh
    dialler = Dialler("b", PeerAddress("127.0.0.1:1", 1, ""), mesh, QUICK, None, never)
    async with asyncio.TaskGroup() as tasks:
        dialling = tasks.create_task(dialler.run())
        for _ in range(20):
            await asyncio.sleep(0)
        assert dialler.trouble == ""
        dialling.cancel()
