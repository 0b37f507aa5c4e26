"""`llmx health`, for probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health as service
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.commands.health import health
from tests.support.fake_streams import played

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def gateway(status: int) -> AsyncIterator[str]:
    server = grpc.aio.server()
    readiness = service.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(readiness, server)
    await readiness.set("", status)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.mark.parametrize(("status", "code"), [(SERVING, 0), (NOT_SERVING, 1)])
def test_the_exit_code_says_whether_agents_are_let_in(
    status: int, code: int, capsys: pytest.CaptureFixture[str]
):
    @played
    async def scene() -> None:
        async with gateway(status) as address:
            assert await asyncio.to_thread(_in_a_thread, address) == code

    scene()
    assert "SERVING" in capsys.readouterr().out


def _in_a_thread(address: str) -> int:
    from gateway.commands.health import _ask  # signals are for the main thread only

    return asyncio.run(_ask(address, None))


def test_a_gateway_that_is_away_is_not_ready(capsys: pytest.CaptureFixture[str]):
    assert health("127.0.0.1:1", None) == 1
    assert "no gateway answers" in capsys.readouterr().err
    assert health("localhost", None) == 2
    assert health("127.0.0.1:1", "nowhere.pem") == 2
