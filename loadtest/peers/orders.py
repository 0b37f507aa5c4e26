"""Our side of the peers: which are installed, and how a case is given to one.

A peer is played on the cores that our gateway and its agents have: its server on the server's, its
agents where this process is, which meanwhile only waits.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import shipped_schemas
from loadtest import messages
from loadtest.conducting import RoundsFailed
from loadtest.figures import Figures, figures_of
from loadtest.peers.roll import PEERS
from loadtest.peers.work import Work
from loadtest.rounds import Case, Played

ENVIRONMENT = Path(".venv", "peers", "bin", "python")
"""Where `make bench` puts the peers, seen from the repository."""
WHICH_SECONDS_MAX = 60.0
EXTRA_SECONDS_MAX = 120.0
"""How much longer than its window a case may take: to start, to warm up, to let rounds run out."""
WORDS_MAX = 1_000
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Found:
    """A peer that can be played."""

    name: str
    python: Path
    versions: Mapping[str, str]


def found(wanted: Sequence[str], python: Path | None = None) -> tuple[list[Found], list[str]]:
    """Return the peers that can be played, and a sentence for each that cannot.

    `python` is the interpreter of their environment; `.venv/peers` unless it is said.
    """
    assert set(wanted) <= PEERS.keys(), "the command line checks it"
    program = ROOT / ENVIRONMENT if python is None else python
    if not wanted:
        return [], []
    if not program.exists():
        return [], [f"{name} is skipped: not installed (make bench installs it)" for name in wanted]
    try:
        asked = subprocess.run(
            [program, "-m", "loadtest.peers", "--which"],
            capture_output=True,
            text=True,
            timeout=WHICH_SECONDS_MAX,
            env=_environment(),
            check=True,
        )
        answers: dict[str, dict[str, Any]] = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return [], [f"{name} is skipped: {error}" for name in wanted]
    can = [name for name in wanted if "versions" in answers[name]]
    return (
        [Found(name, program, answers[name]["versions"]) for name in can],
        [
            f"{name} is skipped: {answers[name]['why_not']}"
            for name in wanted
            if "versions" not in answers[name]
        ],
    )


def work_of(case: Case, server_core: int | None) -> Work:
    """Return a case as peers take it: the same payloads, and the schemas that judge them."""
    return Work(
        contractors=case.contractors,
        in_flight=case.in_flight,
        seconds=case.seconds,
        rounds_max=case.rounds_max,
        warm_up_seconds=case.warm_up_seconds,
        server_core=server_core,
        call=messages.call_payload(),
        offers=[
            [messages.offer_payload(index, variant) for variant in range(messages.OFFER_VARIANTS)]
            for index in range(case.contractors)
        ],
        accept=messages.accept_payload("offer"),
        reject=messages.reject_payload("offer"),
        schemas={
            act: shipped_schemas.subject("Negotiation", act)
            for act in ("cfp", "offer", "accept", "reject")
        },
    )


async def play(peer: Found, case: Case, server_core: int | None) -> Figures:
    """Let a peer play a case. Raises RoundsFailed with its last words."""
    with tempfile.TemporaryDirectory(prefix="llmx-peer-") as folder:
        path = Path(folder, "work.json")
        work_of(case, server_core).write(path)
        process = await asyncio.create_subprocess_exec(
            *(str(peer.python), "-m", "loadtest.peers", peer.name, str(path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
        )
        try:
            async with asyncio.timeout(case.seconds + EXTRA_SECONDS_MAX):
                printed, words = await process.communicate()
        except TimeoutError as error:
            took = case.seconds + EXTRA_SECONDS_MAX
            raise _failure(peer, case, f"it took over {took:g} s") from error
        finally:
            if process.returncode is None:
                process.terminate()  # it stops its own server on the way out
                await process.wait()
    if process.returncode != 0:
        raise _failure(peer, case, words.decode(errors="replace").strip()[-WORDS_MAX:])
    return figures_of(Played(**json.loads(printed.splitlines()[-1])))


def _failure(peer: Found, case: Case, why: str) -> RoundsFailed:
    return RoundsFailed(
        f"{peer.name}, {case.contractors} contractors, {case.in_flight} in flight: {why}"
    )


def _environment() -> dict[str, str]:
    """Return the environment of a peer's program: it finds this repository, and nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    return {**kept, "PYTHONPATH": str(ROOT)}
