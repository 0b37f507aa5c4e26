"""`llmx.run` in a process of its own, as an author starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import grpc
import pytest

from tests.support.tiny_gateway import TinyGateway

PROGRAM = """
import sys
import llmx

bob = llmx.Agent("agent://bob", sys.argv[1], topics=["gpu"], token="t")

@bob.on_cfp
async def quote(call: llmx.Call) -> llmx.Offer:
    return call.offer(value=40)

llmx.run(bob)
print("run returned")
"""


CALLER = """
import asyncio
import sys
import llmx

async def main() -> None:
    async with llmx.Agent("agent://alice", sys.argv[1], token="t"):
        await asyncio.Event().wait()

llmx.run(main())
"""


async def start(address: str, program: str = PROGRAM) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        address,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_run_without_a_traceback_and_with_code_0(number: signal.Signals):
    async with TinyGateway() as gateway:
        process = await start(gateway.address)
        await gateway.until(lambda: "agent://bob" in gateway.members)
        process.send_signal(number)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"run returned\n", b"")


@pytest.mark.slow
async def test_a_token_that_is_not_taken_ends_run_with_one_line_and_code_1():
    async with TinyGateway() as gateway:
        gateway.refuse_stream = grpc.StatusCode.UNAUTHENTICATED
        process = await start(gateway.address)
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err.decode().splitlines() == ["llmx: agent://bob: not today"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_a_coroutine_without_a_traceback_and_with_its_code(
    number: signal.Signals,
):
    async with TinyGateway() as gateway:
        process = await start(gateway.address, CALLER)
        await gateway.until(lambda: "agent://alice" in gateway.members)
        process.send_signal(number)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (128 + number, b"", b"")
