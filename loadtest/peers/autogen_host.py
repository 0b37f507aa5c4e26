"""The host of AutoGen's gRPC runtime as a process; prints one line of JSON with its port."""

from __future__ import annotations

import asyncio
import json
import socket

import uvloop
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost


def free_port() -> int:
    """Return a port of the loopback that was free just now; the host cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


async def serve() -> None:
    """Serve until SIGTERM or SIGINT."""
    port = free_port()
    host = GrpcWorkerAgentRuntimeHost(f"127.0.0.1:{port}")
    host.start()
    print(json.dumps({"port": port}), flush=True)
    await host.stop_when_signal(grace=0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
