"""A nats-server of our own for one case: a free port of the loopback, its data in a folder."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from loadtest.peers.work import PeerFailed
from loadtest.servers import cpu_seconds_of, on_core

START_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 10.0
LOOK_SECONDS = 0.02


class NatsServer:
    """A server that runs."""

    def __init__(self, url: str, pid: int) -> None:
        """Take one that was started."""
        self.url = url
        self._pid = pid

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used so far."""
        return cpu_seconds_of(self._pid)


def program() -> str | None:
    """Return where nats-server is: beside this Python, or on the PATH; None when nowhere."""
    beside = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    return beside or shutil.which("nats-server")


@contextlib.contextmanager
def nats_server(folder: Path, core: int | None, *, stores: bool) -> Iterator[NatsServer]:
    """Run one on a core (None: any), with JetStream when it `stores`. Raises PeerFailed."""
    binary = program()
    if binary is None:
        raise PeerFailed("there is no nats-server")
    arguments = [binary, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(folder)]
    arguments += ["-js", "-sd", str(folder / "stored")] if stores else []
    log = folder / "nats-server.log"
    with log.open("wb") as output, on_core(core):
        process = subprocess.Popen(arguments, stdout=output, stderr=output)
    try:
        yield NatsServer(_url_of(process, folder, log), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _url_of(process: subprocess.Popen[bytes], folder: Path, log: Path) -> str:
    """Wait until it has written where it listens."""
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < give_up_at:
        for path in folder.glob("*.ports"):
            with contextlib.suppress(ValueError, LookupError):  # half written
                return str(json.loads(path.read_text())["nats"][0])
        time.sleep(LOOK_SECONDS)
    raise PeerFailed(f"nats-server did not start; its last words:\n{log.read_text()[-2_000:]}")
