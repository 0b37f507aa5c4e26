"""`llmx health`: is a gateway ready? For probes that cannot ask its health service themselves."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.commands.access import check_gateways
from gateway.commands.interrupts import run
from gateway.commands.lines import say
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from llmx.channel import Tls, open_channel
from llmx.route import addresses_of

ASK_SECONDS = 3.0


def health(gateway: str, tls: str | None) -> int:
    """Print whether a gateway, the first of several, lets agents in; returns the exit code."""
    try:
        check_gateways(gateway)
        return run(_ask(addresses_of(gateway)[0], True if tls == "system" else tls))
    except CommandError as error:
        return complain("health", error)


async def _ask(address: str, tls: Tls) -> int:
    try:
        channel = open_channel(address, tls)
    except OSError as error:
        reason = f"{tls}: {error.strerror or error}"
        raise CommandError(reason, "name a PEM file of root certificates") from None
    async with channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # the stubs of types know no methods
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=ASK_SECONDS)
        except grpc.RpcError:
            raise CommandError(f"no gateway answers at {address}", code=FAILED) from None
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    say(f"{address} {status}")
    return OK if answer.status == health_pb2.HealthCheckResponse.SERVING else FAILED
