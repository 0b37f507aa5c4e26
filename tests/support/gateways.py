"""Real gateways in processes of their own, each with its files in a folder of its own.

A gateway is started as an operator starts it, by its command line; it takes free ports and
tells which. It is stopped by its process id. Whatever a test has done to it, it must end with
the exit code 0, leave no process behind and never have written a traceback. Its standard input is
a pipe that this process holds open, so it ends too when this process is killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from gateway.tokens import development_secret, mint_development_token
from tests.support.issuer import Issuer

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 90.0
"""Of one among many that start at once on a busy machine; alone it takes 0.7 s."""
STOP_SECONDS_MAX = 15.0


class Gateway:
    """A gateway that serves, and whoever issues tokens for it."""

    def __init__(
        self, process: subprocess.Popen[bytes], folder: Path, issuer: Issuer, tie: int
    ) -> None:
        """Take a process that was started just now; `announced` waits for it.

        The `tie` is the end of a pipe; the process ends when nobody has it open any more.
        """
        self.process = process
        weakref.finalize(self, os.close, tie)
        self.folder = folder
        self.issuer = issuer
        self.secret = b""
        self.port = 0
        self.metrics_port = 0
        self.page = ""
        self.gateway_id = ""

    @property
    def address(self) -> str:
        """Where agents connect."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def announced(self) -> Gateway:
        """Wait until it serves."""
        stdout = self.process.stdout
        assert stdout is not None, "it was started with a pipe"
        ready, _, _ = select.select([stdout], [], [], START_SECONDS_MAX)
        line = stdout.readline() if ready else b""
        assert line, f"the gateway said nothing:\n{self.log()[-4_000:]}"
        facts = json.loads(line)
        self.port, self.metrics_port = facts["port"], facts["metrics_port"]
        self.gateway_id, self.page = facts["gateway_id"], facts["page"] or ""
        assert facts["pid"] == self.pid
        self.secret = development_secret(self.folder / "state")
        return self

    def token(
        self,
        name: str,
        *,
        tenant: str = "default",
        ttl: float = 600.0,
        roles: Iterable[str] = (),
        acts: Iterable[str] | None = None,
        audience: str = "llmx",
        system: bool = False,
    ) -> str:
        """Return a development token for `agent://<name>`."""
        return mint_development_token(
            self.secret,
            f"agent://{name}",
            tenant=tenant,
            ttl=ttl,
            roles=roles,
            acts=acts,
            audience=audience,
            system=system,
        )

    def log(self) -> str:
        """Return everything it has written to standard error."""
        return (self.folder / "stderr").read_text("utf-8", errors="replace")

    def metrics(self) -> str:
        """Return what a scrape gets."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text: bytes = answer.read()
        return text.decode()

    def memory(self) -> int:
        """Return the bytes of memory that the gateway occupies now, without its workers."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def children(self) -> list[int]:
        """Return the process ids of its worker processes."""
        found: list[int] = []
        with suppress(FileNotFoundError, ProcessLookupError):  # it is ending
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, wait until it has, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not merely waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def command(*arguments: str) -> list[str]:
    """Return the command line of `llmx`."""
    return [sys.executable, "-m", "gateway.cli", *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which only `folder` is the user's."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("LLMX_")}
    return {
        **mine,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}",
        "LLMX_STATE_DIR": str(folder / "state"),
    }


def launched(
    folder: Path,
    issuer: Issuer,
    settings: Mapping[str, object],
    *,
    port: int = 0,
    variables: Mapping[str, str] | None = None,
    program: Sequence[str] = (),
) -> Gateway:
    """Start a gateway and return it; `announced` waits for it. What it logs is appended.

    The setting limits.burst is called `limits__burst` here; `variables` are set in its environment.
    A `program` is run in place of `llmx`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keys.json").write_bytes(issuer.document())
    development_secret(folder / "state")
    given: dict[str, object] = {
        "auth.jwks_file": folder / "keys.json",
        "auth.development_secret_file": folder / "state" / "development.secret",
        "log.format": "json",
        "log.level": "debug",
        **{name.replace("__", "."): value for name, value in settings.items()},
    }
    flags = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
    line = [
        *(program or command()),
        *("gateway", "--port", str(port), "--metrics-port", "0", "--announce", "json"),
        *("--until-eof", *flags),
    ]
    end, tie = os.pipe()
    try:
        with (folder / "stderr").open("ab") as stderr:
            process = subprocess.Popen(
                line,
                env={**environment(folder), **(variables or {})},
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=stderr,
                stdin=end,
            )
    except BaseException:
        os.close(tie)
        raise
    finally:
        os.close(end)
    return Gateway(process, folder, issuer, tie)


@cache
def known_issuer() -> Issuer:
    """Return the issuer with a key of each kind that gateways accept; making keys takes long."""
    issuer = Issuer()
    for key_id, algorithm in (("ed", "EdDSA"), ("es", "ES256"), ("rs", "RS256")):
        issuer.add_key(key_id, algorithm)
    return issuer


@contextmanager
def running(folder: Path, *, exit_code: int = 0, **settings: object) -> Iterator[Gateway]:
    """Run a gateway; `limits__burst=3` is the setting limits.burst.

    It accepts development tokens and those of `Gateway.issuer`, and logs all it has to say.
    A test that kills it says so by the `exit_code` that this gives.
    """
    gateway = launched(folder, known_issuer(), settings)
    process = gateway.process
    with process:
        try:
            yield gateway.announced()
        finally:
            workers = gateway.children() if process.poll() is None else []
            code = gateway.stop()
        assert code == exit_code, gateway.log()[-4_000:]
        assert "Traceback" not in (log := gateway.log()), log[log.index("Traceback") :][:8_000]
        assert not any(map(is_running, workers)), "workers outlived their gateway"


def now() -> float:
    """Return the time of this machine, which its gateways start from."""
    return time.time()
