"""What a peer is asked to play, as it stands in the file that both sides read."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Payload = dict[str, Any]


class PeerFailed(Exception):
    """The work could not be played to its end; the text says why."""


@dataclass(frozen=True, slots=True)
class Work:
    """One case: the same contractors, messages and window as our gateway has."""

    contractors: int
    in_flight: int
    seconds: float
    rounds_max: int
    warm_up_seconds: float
    server_core: int | None
    """Where the peer's own server runs; the agents run where the program was started."""
    call: Payload
    offers: list[list[Payload]]
    """Per contractor, the variants that it offers in turn."""
    accept: Payload
    reject: Payload
    schemas: dict[str, Payload]
    """The JSON Schema of each act, by which its receiver judges it."""

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self)))


def read_work(path: Path) -> Work:
    """Return what `Work.write` has written."""
    return Work(**json.loads(path.read_text()))
