"""Playing recorded negotiations again, to see that they do what they did.

A negotiation is a function of its record, so a file of records from any gateway, and several files
of several gateways together, play again here without any of them. What each step asks for is
compared with the fingerprint of what it asked for when it was live.

A negotiation may stand in several files, or twice in one: copies are passed over, and so is the
shorter of two when the longer one goes on from it. Two that part are a contradiction: two
gateways have decided the same negotiation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from gateway.record_format import (
    Fingerprint,
    Recorded,
    RecordError,
    bytes_of,
    fingerprint,
    recorded_in,
)
from policy.effects import Effect
from policy.protocols import PROTOCOLS, Protocol
from policy.table import trace

LINE_BYTES_MAX = 64 * 1024 * 1024
"""A longer line is no record of ours."""
DIFFERENCES_MAX = 100
"""How many differing steps of one negotiation are named; the first ones say it."""

Result = Literal["same", "unproven", "copy", "differs", "contradicts", "unreadable"]
GOOD: tuple[Result, ...] = ("same", "unproven", "copy")


class Difference(msgspec.Struct, frozen=True):
    """One step that does something else than it did."""

    step: int
    """0 is the opening, n the n-th event."""
    at: float
    """When it happened."""
    event: str
    """What happened."""
    effects: str
    """What it asks for now, as JSON; "" when there is no such step any more."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of one line."""

    file: str
    line: int
    result: Result
    """Same: the effects are equal to the byte. Unproven: it plays, but the version of its format
    has no fingerprint. Copy: it stands elsewhere too."""
    negotiation_id: str = ""
    protocol: str = ""
    version: int = 0
    by: str = ""
    events: int = 0
    reason: str = ""
    """What is wrong, in a sentence; "" if nothing is."""
    differences: tuple[Difference, ...] = ()

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong with it."""
        return self.result in GOOD


@dataclass(slots=True)
class Summary:
    """What became of all lines."""

    files: int = 0
    lines: int = 0
    events: int = 0
    results: dict[Result, int] = field(default_factory=dict)
    protocols: dict[str, int] = field(default_factory=dict)

    def count(self, verdict: Verdict) -> None:
        """Count one line."""
        self.lines += 1
        self.events += verdict.events
        self.results[verdict.result] = self.results.get(verdict.result, 0) + 1
        if verdict.protocol:
            self.protocols[verdict.protocol] = self.protocols.get(verdict.protocol, 0) + 1

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.results.keys() - set(GOOD)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: a record, or why it is none."""

    file: str
    number: int
    found: Recorded | RecordError


def lines_of(paths: Iterable[Path]) -> Iterator[Line]:
    """Yield every line of the files, one after the other. Raises OSError."""
    for path in paths:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if line.strip():
                    yield Line(str(path), number, _found(line))


def _found(line: bytes) -> Recorded | RecordError:
    if len(line) > LINE_BYTES_MAX:
        return RecordError(f"a line of more than {LINE_BYTES_MAX} bytes")
    try:
        return recorded_in(line)
    except RecordError as error:
        return error


class Replay:
    """Judges lines, and knows the negotiations that it has seen."""

    def __init__(self, protocols: Mapping[str, Protocol] = PROTOCOLS) -> None:
        """Play by these protocols."""
        self._protocols = protocols
        self._seen: dict[str, tuple[tuple[str, ...], str]] = {}
        self.summary = Summary()

    def judge(self, line: Line) -> Verdict:
        """Play a line again and compare."""
        verdict = self._judged(line)
        self.summary.count(verdict)
        return verdict

    def _judged(self, line: Line) -> Verdict:
        if isinstance(line.found, RecordError):
            return Verdict(line.file, line.number, "unreadable", reason=str(line.found))
        recorded = line.found
        record = recorded.record
        played = self._played(recorded)
        if isinstance(played, str):
            return _verdict(line, recorded, "differs", played)
        now = fingerprint(played)
        elsewhere = self._seen.get(record.call.negotiation_id)
        told = now if recorded.effects is None else recorded.effects
        where = f"{line.file}, line {line.number}"
        if elsewhere is None or _begins_with(told.steps, elsewhere[0]):
            self._seen[record.call.negotiation_id] = (told.steps, where)
        if recorded.effects is not None and recorded.effects != now:
            differences = _differences(recorded, recorded.effects, now, played)
            return _verdict(line, recorded, "differs", _places(differences), differences)
        if elsewhere is not None:
            steps, there = elsewhere
            if _begins_with(steps, told.steps) or _begins_with(told.steps, steps):
                return _verdict(line, recorded, "copy", f"it stands in {there} too")
            reason = f"{there} has this negotiation too, and there it went another way"
            return _verdict(line, recorded, "contradicts", reason)
        return _verdict(line, recorded, "unproven" if recorded.effects is None else "same")

    def _played(self, recorded: Recorded) -> list[list[Effect]] | str:
        """Return the effects of each step, or why they cannot be had."""
        steps: list[list[Effect]] = []
        try:
            for _, effects in trace(recorded.record, self._protocols):
                steps.append(effects)
        except KeyError:
            if recorded.record.call.protocol not in self._protocols:
                return f"the protocol {recorded.record.call.protocol} is not known here"
            return f"step {len(steps)} fails: KeyError"
        except Exception as error:  # noqa: BLE001 - whatever a protocol stumbles over, the others are judged
            return f"step {len(steps)} fails: {type(error).__name__}: {error}"
        return steps


def _begins_with(steps: tuple[str, ...], start: tuple[str, ...]) -> bool:
    return steps[: len(start)] == start


def _differences(
    recorded: Recorded, then: Fingerprint, now: Fingerprint, played: list[list[Effect]]
) -> tuple[Difference, ...]:
    record = recorded.record
    moments = [(record.opened_at, "opening")]
    moments += [(at, type(event).__name__) for at, event in record.events]
    found = []
    for step in range(max(len(then.steps), len(now.steps))):
        was = then.steps[step] if step < len(then.steps) else ""
        is_ = now.steps[step] if step < len(now.steps) else ""
        if was != is_:
            at, event = moments[step] if step < len(moments) else (record.opened_at, "nothing")
            effects = bytes_of(played[step]).decode() if step < len(played) else ""
            found.append(Difference(step, at, event, effects))
        if len(found) == DIFFERENCES_MAX:
            break
    return tuple(found)


def _places(differences: tuple[Difference, ...]) -> str:
    if not differences:
        return "each step is the same, and their sum is not: the line was changed"
    first, others = differences[0], len(differences) - 1
    more = f", and {others} more" if others else ""
    return f"step {first.step} ({first.event}) does something else{more}"


def _verdict(
    line: Line,
    recorded: Recorded,
    result: Result,
    reason: str = "",
    differences: tuple[Difference, ...] = (),
) -> Verdict:
    call = recorded.record.call
    return Verdict(
        line.file,
        line.number,
        result,
        call.negotiation_id,
        call.protocol,
        recorded.version,
        recorded.by,
        len(recorded.record.events),
        reason,
        differences,
    )
