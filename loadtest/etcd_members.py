"""Three members of etcd on this machine, for measurements."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.commands.family import PROGRAMS_NEED, environment
from gateway.commands.local_etcd import command_line, found_etcd, is_healthy
from loadtest.clusters import ETCD_SECONDS_MAX, LOOK_SECONDS, STOP_SECONDS_MAX, quiet_ports
from loadtest.servers import ServerFailed

NAMES = ("one", "two", "three")


@contextmanager
def three_members(folder: Path) -> Iterator[list[str]]:
    """Run a cluster of three with their data in a folder, and tell where they serve."""
    binary = found_etcd()
    ports = quiet_ports(6)
    clients, peers = ports[:3], ports[3:]
    members = ",".join(
        f"{name}=http://127.0.0.1:{port}" for name, port in zip(NAMES, peers, strict=True)
    )
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, client, peer in zip(NAMES, clients, peers, strict=True):
            data = folder / name
            data.mkdir(mode=0o700)
            with (folder / f"{name}.log").open("wb") as log:
                flags = [
                    f"--name={name}",  # of two flags of one name the later counts
                    f"--initial-cluster={members}",
                    "--heartbeat-interval=50",
                    "--election-timeout=500",
                ]
                processes.append(
                    subprocess.Popen(
                        [*command_line(binary, data, client, peer), *flags],
                        stdout=log,
                        stderr=log,
                        env=environment(folder) | PROGRAMS_NEED,
                    )
                )
        endpoints = [f"127.0.0.1:{port}" for port in clients]
        give_up_at = time.monotonic() + ETCD_SECONDS_MAX
        while not all(map(is_healthy, endpoints)):
            if time.monotonic() > give_up_at:
                raise ServerFailed("three members of etcd do not come to serve")
            time.sleep(LOOK_SECONDS)
        yield endpoints
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
