"""`llmx up`: a cluster on this machine, until Ctrl-C.

It says when one of its processes ends and goes on with the others: that is what a cluster is
for. It ends when no gateway is left, or it is told to; then all end, and none is left.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.commands.access import development_tokens
from gateway.commands.agent import ENDINGS
from gateway.commands.family import Family, family
from gateway.commands.formation import formed
from gateway.commands.interrupts import run
from gateway.commands.lines import say, tell
from gateway.commands.local_cluster import ETCD, LocalCluster, regions_of
from gateway.commands.state import state_dir
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from gateway.tokens import SECRET_FILE

FORMED_SECONDS = 20.0
SETTINGS = {"server.shutdown_grace": "2", "log.level": "warning", "page.port": "0"}


def up(regions: str, etcd: str | None, state: Path | None, *, as_json: bool) -> int:
    """Run a cluster; returns the exit code."""
    try:
        named = regions_of(regions)
        code = run(_in_folder(named, etcd, state, as_json=as_json))
    except CommandError as error:
        return complain("up", error)
    return OK if code in ENDINGS else code


async def _in_folder(
    named: list[tuple[str, str]], etcd: str | None, state: Path | None, *, as_json: bool
) -> int:
    development_tokens(state_dir(), "agent://operator")  # the secret is there before the gateways
    with _folder(state) as folder:
        async with family(folder / "logs", state_dir()) as members:
            run_of_it = Up(members, folder, keeps=state is not None, as_json=as_json)
            return await run_of_it.run(named, etcd)


@contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    """Have a folder with room for logs: `state`, or one for as long as the block runs."""
    if state is None:
        with tempfile.TemporaryDirectory(prefix="llmx-up-", ignore_cleanup_errors=True) as name:
            (Path(name) / "logs").mkdir()
            yield Path(name)
        return
    try:
        state = state.absolute()
        (state / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = f"--state {state}: {error.strerror or error}"
        raise CommandError(reason, "name a folder that can be written to") from None
    yield state


class Up:
    """One run of a cluster."""

    def __init__(self, members: Family, folder: Path, *, keeps: bool, as_json: bool) -> None:
        """Prepare a run; `keeps` says whether the folder stays."""
        self._members = members
        self._folder = folder
        self._keeps = keeps
        self._as_json = as_json
        self._cluster = LocalCluster(members, folder, keeps=keeps)

    async def run(self, named: list[tuple[str, str]], etcd: str | None) -> int:
        """Start all, say where they are, and stay until no gateway is left."""
        began = time.monotonic()
        cluster = self._cluster
        started = await (cluster.start_etcd() if etcd is None else cluster.use_etcd(etcd))
        if started.caution:
            self._note("caution", started.caution)
        await cluster.start_gateways(named, SETTINGS)
        token = development_tokens(state_dir(), "agent://operator", ("operator",))
        missing = await formed(cluster.addresses, token, FORMED_SECONDS)
        if missing:
            self._note("not_formed", f"not all gateways have met yet: {missing}")
        self._ready(time.monotonic() - began)
        return await self._supervise()

    async def _supervise(self) -> int:
        left = set(self._cluster.gateways)
        while left:
            event = await self._members.next()
            if event["event"] != "ended":
                continue
            name = str(event["process"])
            left.discard(name)
            self._died(name, int(event["code"]), len(left))
        return FAILED

    def _died(self, name: str, code: int, left: int) -> None:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        if name.startswith(ETCD) and name not in self._cluster.gateways:
            then = "the gateways go on with what they know; none can join, and no durable award"
            then += " is made, until it is back"
        else:
            then = f"{left} of {len(self._cluster.gateways)} gateways are left"
        if self._as_json:
            tell("ended", process=name, code=code, gateways_left=left)
            return
        say(f"{name} has ended {how}; {then}")
        for line in self._members.last_words(name).splitlines()[-3:]:
            say(f"  {line}")

    def _note(self, event: str, text: str) -> None:
        if self._as_json:
            tell(event, text=text)
        else:
            print(f"llmx up: {text}", file=sys.stderr, flush=True)

    def _ready(self, seconds: float) -> None:
        """Say where everything is."""
        etcd, gateways = self._cluster.etcd, self._cluster.gateways.values()
        addresses = ",".join(self._cluster.addresses)
        logs = self._members.folder
        if self._as_json:
            tell(
                "ready",
                etcd={"endpoint": etcd.endpoint, "version": etcd.version, "pid": etcd.pid},
                gateways=[_described(gateway) for gateway in gateways],
                addresses=addresses,
                secret_file=str(state_dir() / SECRET_FILE),
                logs=str(logs),
                seconds=round(seconds, 3),
            )
            return
        run_by = f"etcd {etcd.version}, process {etcd.pid}" if etcd.pid else "not ours"
        rows = [("gateway", "region", "agents connect to", "operator's page", "metrics", "process")]
        rows += [
            (one.gateway_id, one.region, one.address, one.page, one.metrics, str(one.pid))
            for one in gateways
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            say(line.rstrip())
        say(f"{'etcd':<{widths[0]}}  {'':<{widths[1]}}  {etcd.endpoint} ({run_by})")
        kept = f"; data and stores in {self._folder}" if self._keeps else ""
        say(f"logs in {logs}{kept}")
        say("an agent that survives the loss of a gateway knows several:")
        say(f"  export LLMX_GATEWAY={addresses}")
        say("a token for one: llmx token agent://alice    the cluster: llmx ctl members")
        say(f"ready after {seconds:.1f} s; Ctrl-C ends it")


def _described(gateway: Any) -> dict[str, Any]:
    return {name: getattr(gateway, name) for name in gateway.__dataclass_fields__}
