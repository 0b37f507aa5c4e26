"""Runs one load: etcd, gateways, Locust with its drivers; watches them and brings figures home."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.tokens import SECRET_FILE
from loadtest.clusters import Cluster, cluster, local_etcd
from loadtest.figures import PERCENTILES
from loadtest.load.gauges import Gauges, summed_metrics
from loadtest.load.plan import PLAN_VARIABLE, LoadPlan

ROOT = Path(__file__).resolve().parents[2]
LOCUST_PYTHON = Path(".venv", "load", "bin", "python")
"""Where `make load` puts Locust, seen from the repository."""
SAMPLE_SECONDS = 1.0
MISSED_MAX = 5
"""So many samples in a row that a gateway gave no answer to end the run."""
EXTRA_SECONDS_MAX = 120.0
"""How much longer than its plan a run may take, to start and to end."""
STOP_SECONDS_MAX = 15.0
WORDS_MAX = 2_000


class LoadFailed(Exception):
    """The load could not be run; the text says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a run."""

    plan: LoadPlan
    gauges: Gauges
    etcd: dict[str, object]
    locust: list[dict[str, str | float]]
    """What Locust itself has counted, a row for each type and name."""
    locust_code: int
    """1 when an event was a failure, says Locust."""
    generator: dict[str, float]
    """CPU seconds of Locust and its drivers, and as a share of one core."""


def run(plan: LoadPlan, gateways: int, tell: Callable[[str], None]) -> Loaded:
    """Run a plan, whose addresses are filled in here, on a fresh cluster.

    Raises LoadFailed, ServerFailed, CommandError.
    """
    python = ROOT / LOCUST_PYTHON
    if not python.exists():
        raise LoadFailed("Locust is not installed; make load installs it into .venv/load")
    with tempfile.TemporaryDirectory(prefix="llmx-load-") as name:
        folder = Path(name)
        with (
            local_etcd(folder) as etcd,
            cluster(folder, gateways, None, etcd=etcd.endpoint) as running,
        ):
            asyncio.run(running.formed())
            are = "gateways are" if gateways > 1 else "gateway is"
            tell(f"{gateways} {are} one cluster in etcd {etcd.version}")
            whole = dataclasses.replace(
                plan,
                addresses=running.addresses,
                secret_file=str(folder / "state" / SECRET_FILE),
            )
            before = etcd.cpu_seconds()
            loaded = _under_locust(whole, running, python, tell)
            loaded.etcd.update(
                version=etcd.version, cpu_seconds=round(etcd.cpu_seconds() - before, 3)
            )
            return loaded


def _under_locust(
    plan: LoadPlan, running: Cluster, python: Path, tell: Callable[[str], None]
) -> Loaded:
    folder = Path(plan.folder)
    path = folder / "plan.json"
    plan.write(path)
    with _locust(plan, python, path) as process:
        gauges = Gauges(running.servers, process.pid)
        try:
            code = _watched(process, plan, gauges, tell)
        except LoadFailed as error:
            raise LoadFailed(f"{error}\n{running.log_tails()}") from error
    try:
        counted = json.loads((folder / "locust.json").read_text())
    except (OSError, ValueError) as error:
        words = _words(folder)
        raise LoadFailed(f"Locust ended with code {code}; its last words:\n{words}") from error
    used = gauges.generator_cpu[-1][1] if gauges.generator_cpu else 0.0
    seconds = gauges.generator_cpu[-1][0] if gauges.generator_cpu else 0.0
    drivers = sum(_last_report(folder, worker)["cpu_seconds"] for worker in range(plan.workers))
    return Loaded(
        plan=plan,
        gauges=gauges,
        etcd={},
        locust=[row_of(entry, plan.seconds) for entry in counted],
        locust_code=code,
        generator={
            "cpu_seconds": used,
            "drivers_cpu_seconds": drivers,
            "cores_busy": used / seconds if seconds else 0.0,
        },
    )


@contextlib.contextmanager
def _locust(plan: LoadPlan, python: Path, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run Locust until it ends; one that is still there afterwards is stopped."""
    folder = Path(plan.folder)
    arguments = [str(python), "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")]
    arguments += ["--headless", "--only-summary", "--loglevel", "WARNING", "--skip-log-setup"]
    arguments += ["--csv", str(folder / "locust"), "--html", str(folder / "locust.html")]
    # Its tables of CSV lack the last second.
    arguments += ["--json-file", str(folder / "locust")]
    arguments += ["--processes", str(plan.workers)] if plan.workers > 1 else []
    with (folder / "locust.log").open("wb") as log:
        process = subprocess.Popen(
            arguments,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), PLAN_VARIABLE: str(path)},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _watched(
    process: subprocess.Popen[bytes],
    plan: LoadPlan,
    gauges: Gauges,
    tell: Callable[[str], None],
) -> int:
    """Take samples until Locust has ended; returns its code. Raises LoadFailed."""
    began_at = time.monotonic()
    missed = 0
    while process.poll() is None:
        at = time.monotonic() - began_at
        if at > plan.seconds + EXTRA_SECONDS_MAX:
            raise LoadFailed(f"Locust did not end; its last words:\n{_words(Path(plan.folder))}")
        try:
            gauges.take(at, summed_metrics)
            missed = 0
        except OSError as error:
            missed += 1
            if missed >= MISSED_MAX:
                raise LoadFailed(f"a gateway does not answer: {error}") from error
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SAMPLE_SECONDS)
    tell(f"Locust ended after {time.monotonic() - began_at:.0f} s")
    return int(process.returncode)


def row_of(entry: Mapping[str, Any], seconds: float) -> dict[str, str | float]:
    """Return what Locust has counted of one type and name; it rounds its times."""
    times = sorted((float(time), count) for time, count in entry["response_times"].items())
    requests = entry["num_requests"]
    row: dict[str, str | float] = {
        "type": entry["method"],
        "name": entry["name"],
        "requests": requests,
        "failures": entry["num_failures"],
        "per_second": round(requests / seconds, 3),
    }
    for percent in PERCENTILES:
        wanted = math.ceil(requests * percent / 100)
        passed = 0
        for milliseconds, count in times:
            passed += count
            if passed >= wanted:
                row[f"p{percent}_ms"] = milliseconds
                break
    return row


def _last_report(folder: Path, worker: int) -> Mapping[str, Any]:
    """Return the last line of a driver. Raises LoadFailed."""
    path = folder / f"driver-{worker}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    if not lines:
        raise LoadFailed(f"driver {worker} reported nothing; Locust says:\n{_words(folder)}")
    last: Mapping[str, Any] = json.loads(lines[-1])
    return last


def _words(folder: Path) -> str:
    path = folder / "locust.log"
    return path.read_text(errors="replace")[-WORDS_MAX:] if path.exists() else ""
