"""`llmx gateway`: one gateway in this process, or several in others, until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from errno import EADDRNOTAVAIL
from pathlib import Path
from typing import Any

import structlog
import uvloop

from gateway.commands.lifeline import ignore_line, listen
from gateway.commands.processes import Facts, supervise
from gateway.commands.state import state_dir
from gateway.logs import set_up_logs
from gateway.settings import Settings, SettingsError, load_settings
from gateway.tokens import SECRET_FILE, development_secret

log = structlog.get_logger("llmx.gateway")


def serve(
    config: Path | None, overrides: dict[str, Any], announce: str, *, until_eof: bool = False
) -> int:
    """Run a gateway until SIGINT or SIGTERM; returns the exit code.

    With `until_eof` the end of standard input is such a word as well.
    """
    try:
        overrides = _with_development_secret(config, overrides)
        settings = load_settings(config, overrides)
    except SettingsError as error:
        print(f"llmx gateway: {error}", file=sys.stderr)
        return 2
    shares_port = settings.server.shared_port is not None
    set_up_logs(settings.log, process=settings.server.gateway_id if shares_port else "")
    try:
        if settings.server.processes == 1:
            uvloop.run(_serve(settings, announce, until_eof=until_eof))
        else:
            return asyncio.run(
                _serve_several(settings, config, overrides, announce, until_eof=until_eof)
            )
    except SettingsError as error:
        print(f"llmx gateway: {error}", file=sys.stderr)
        return 2
    except ExceptionGroup as group:  # it was noticed when other tasks were running already
        faults, others = group.split(SettingsError)
        if others is not None or faults is None:
            raise
        print(f"llmx gateway: {_first_of(faults)}", file=sys.stderr)
        return 2
    except (RuntimeError, OSError) as error:
        where = f"{settings.server.host}:{settings.server.port}"
        print(f"llmx gateway: cannot listen on {where} ({error}); {remedy(error)}", file=sys.stderr)
        return 2
    return 0


def _first_of(group: ExceptionGroup[SettingsError]) -> Exception:
    first: Exception = group
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first


def remedy(error: RuntimeError | OSError) -> str:
    """Return what would work where a gateway cannot listen."""
    if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == EADDRNOTAVAIL:
        return "this machine has no such address, --host 127.0.0.1 or 0.0.0.0 (all) would work"
    return "is another gateway there? --port 0 takes a free port"


def _with_development_secret(config: Path | None, overrides: dict[str, Any]) -> dict[str, Any]:
    """Let a gateway that was told of no keys accept development tokens of this user."""
    auth = load_settings(config, overrides).auth
    if auth.jwks_file or auth.jwks_url or auth.development_secret_file:
        return overrides
    development_secret(state_dir())
    return {**overrides, "auth.development_secret_file": state_dir() / SECRET_FILE}


def _stop_when_told(*, until_eof: bool) -> asyncio.Event:
    """Return what is set when this process is to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if until_eof:
        listen(ignore_line, stop.set)
    return stop


async def _serve(settings: Settings, announce: str, *, until_eof: bool) -> None:
    # Not above: who only supervises others, or has a wrong setting, needs nothing of a gateway.
    from gateway.app import running_gateway

    stop = _stop_when_told(until_eof=until_eof)
    async with running_gateway(settings) as running:
        _announce(settings, running.port, running.metrics_port, running.page, (), announce)
        await stop.wait()


async def _serve_several(
    settings: Settings,
    config: Path | None,
    overrides: dict[str, Any],
    announce: str,
    *,
    until_eof: bool,
) -> int:
    def tell(port: int, processes: Sequence[Facts]) -> None:
        first = processes[0]
        _announce(settings, port, first["metrics_port"], first["page"], processes, announce)

    stop = _stop_when_told(until_eof=until_eof)
    return await supervise(settings, config, overrides, stop, tell)


def _announce(
    settings: Settings,
    port: int,
    metrics_port: int | None,
    page: str | None,
    processes: Sequence[Facts],
    announce: str,
) -> None:
    host, gateway_id = settings.server.host, settings.server.gateway_id
    if announce == "json":
        facts = {
            "gateway_id": gateway_id,
            "host": host,
            "port": port,
            "metrics_port": metrics_port,
            "page": page,
            "pid": os.getpid(),
            **({"processes": processes} if processes else {}),
        }
        print(json.dumps(facts), flush=True)
        return
    several = f" with {len(processes)} processes" if processes else ""
    print(f"gateway {gateway_id} listens on {host}:{port}{several}", flush=True)
    ports = [one["metrics_port"] for one in processes] or [metrics_port]
    if metrics_port is not None:
        for one in ports:
            print(f"metrics on http://{host}:{one}/metrics", flush=True)
    for address in [one["page"] for one in processes] or [page]:
        if address is not None:
            print(f"operator's page on {address}", flush=True)
    if settings.auth.development_secret_file is not None:
        print("development tokens are accepted; make one with: llmx token agent://NAME", flush=True)
