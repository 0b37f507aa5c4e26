"""What a run leaves behind: six files that anybody can read without our code.

    runs/<id>/config.json      what was asked for, the commit and the machine
    runs/<id>/events.jsonl     what happened, a line each, in the order in which it happened
    runs/<id>/rounds.csv       a line for each round
    runs/<id>/agents.csv       a line for each agent
    runs/<id>/per_minute.csv   a line for each minute
    runs/<id>/summary.json     the figures, and whether what must hold does

Every CSV has one header and one type in each column, an empty cell where a figure is not there;
every line of events.jsonl has the same keys. So DuckDB and pandas need no help; runs of different
programs have different columns, which are united by name:

    select profile, avg(decision_ms) from read_csv('runs/*/rounds.csv', union_by_name = true)
        group by 1

Times are seconds from the beginning of the run, latencies milliseconds. What was written stays
when a run is broken off; the run is then without summary.json. Used by the experiments and by
whoever else loads a gateway: the columns are the caller's, and the first row sets them.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

TABLES = ("rounds", "agents", "per_minute")
RUNS_OF_ONE_NAME_MAX = 10_000

Cell = str | int | float | bool | None


class Happened(msgspec.Struct, frozen=True, gc=False):
    """One line of events.jsonl."""

    at: float
    """Seconds from the beginning of the run, to the microsecond."""
    kind: str
    """What happened, "offer_heard"."""
    case: str = ""
    """The part of the run that it belongs to."""
    round: int | None = None
    agent: str = ""
    """Who sent or heard it."""
    msg_id: str = ""
    value: float | None = None
    """The figure in it, if there is one: of an offer its value."""
    word: str = ""
    """What else there is to say in a word: a code, a state."""


class RunError(ValueError):
    """A run cannot be written like that; says why."""


def new_folder(root: Path, name: str) -> Path:
    """Make and return a fresh folder for a run: `name`, or with a number if there is one."""
    for number in range(1, RUNS_OF_ONE_NAME_MAX):
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise RunError(f"{root} has {RUNS_OF_ONE_NAME_MAX} runs called {name}")


class RunRecord:
    """Writes the files of one run; a context manager that closes them."""

    def __init__(
        self, folder: Path, config: Mapping[str, Any], kinds: Collection[str] | None = None
    ) -> None:
        """Begin a run in a folder that exists.

        Of events only those of `kinds` are written, None for all: half an hour at 50 rounds a
        second would come to a gigabyte.
        """
        self.folder = folder
        self._kinds = kinds
        (folder / "config.json").write_text(_json(config), "utf-8")
        self._digest = hashlib.sha256()
        self._encode = msgspec.json.Encoder().encode
        self._events: IO[bytes] = (folder / "events.jsonl").open("wb")
        self._tables = {name: _Table(folder / f"{name}.csv") for name in TABLES}
        self.events_total = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.close()
        for table in self._tables.values():
            table.close()

    def happened(self, event: Happened) -> None:
        """Write one event, if it is of a kind that is written."""
        if self._kinds is not None and event.kind not in self._kinds:
            return
        line = self._encode(event) + b"\n"
        self._digest.update(line)
        self._events.write(line)
        self.events_total += 1

    def row(self, table: str, cells: Mapping[str, Cell]) -> None:
        """Write a row of "rounds", "agents" or "per_minute".

        Raises RunError when its columns are not those of the first row.
        """
        self._tables[table].write(cells)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary, with how many events there were and their SHA-256."""
        whole = {
            **summary,
            "events": self.events_total,
            "events_sha256": self.events_sha256,
        }
        (self.folder / "summary.json").write_text(_json(whole), "utf-8")

    @property
    def events_sha256(self) -> str:
        """Return the hash of events.jsonl as far as it is written."""
        return self._digest.hexdigest()


class _Table:
    """One CSV, made of the first row's columns; without any row it stays empty."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns: tuple[str, ...] = ()
        self._writer: Any = csv.writer(self._file, lineterminator="\n")

    def write(self, cells: Mapping[str, Cell]) -> None:
        columns = tuple(cells)
        if not self._columns:
            self._columns = columns
            self._writer.writerow(columns)
        elif columns != self._columns:
            strange = sorted(set(columns) ^ set(self._columns)) or ["their order"]
            raise RunError(f"the columns of {self._file.name} differ: {', '.join(strange)}")
        self._writer.writerow([_cell(value) for value in cells.values()])

    def close(self) -> None:
        self._file.close()


def _cell(value: Cell) -> object:
    if value is None or value != value:  # not a number is no figure
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return round(value, 6) if isinstance(value, float) else value


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, allow_nan=False, default=str) + "\n"
