"""`llmx audit verify FILE…`: was an audit changed since it was written?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.commands.lines import say
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from gateway.settings import SettingsError
from gateway.telemetry.audit_chain import LINE_BYTES_MAX, Head, Verification, number_of
from gateway.telemetry.audit_chain import verify as look
from gateway.telemetry.audit_file import key_in


def verify(files: Sequence[Path], key_file: Path | None, seal: str | None, *, as_json: bool) -> int:
    """Look through the files of one audit; returns the exit code."""
    try:
        key = key_in(key_file)
        ordered = sorted(files, key=_first_number)
        head: Head | None = None
        first = lines = torn = 0
        for file in ordered:
            found = look(_lines(file), key, head, is_last=file == ordered[-1])
            first, lines = first or found.first, lines + found.lines
            if found.fault:
                return _broken(file, found, lines, as_json=as_json)
            head, torn = found.head, found.torn_bytes
    except SettingsError as error:
        return complain("audit verify", CommandError(str(error), "name the key's file"))
    except OSError as error:
        reason = f"{error.filename}: {error.strerror or error}"
        return complain(
            "audit verify", CommandError(reason, "name files that `telemetry.audit` wrote")
        )
    if head is None:
        names = ", ".join(map(str, files))
        return complain("audit verify", CommandError(f"there is no line in {names}", code=FAILED))
    is_asked_for = seal is None or seal == head.seal
    if as_json:
        _say_json(is_asked_for, lines, first, head, torn)
    else:
        say(f"{lines} lines are whole: {first} to {head.number}, sealed {head.seal}")
        if first > 1:
            say(f"Lines 1 to {first - 1} are not in these files.")
        if torn:
            say(
                f"The last line was cut short after {torn} bytes, as by a crash; the gateway "
                "takes it off when it starts again, and says so."
            )
        if not is_asked_for:
            say(f"The last seal should be {seal}: lines at the end are missing, or were added.")
    return OK if is_asked_for else FAILED


def _lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file; one that is too long comes in parts, none of which is a line."""
    with file.open("rb") as stream:
        while line := stream.readline(LINE_BYTES_MAX + 1):
            yield line


def _first_number(file: Path) -> float:
    """Return the number of the first line, to sort by; what has none comes last."""
    return number_of(next(_lines(file), b"")) or float("inf")


def _broken(file: Path, found: Verification, whole: int, *, as_json: bool) -> int:
    if as_json:
        told = {"file": str(file), "line": found.broken_at, "reason": found.fault, "whole": whole}
        say(json.dumps({"kind": "broken", **told}))
    else:
        say(f"{file}, line {found.broken_at}: {found.fault}")
        say(f"{whole} lines before it are whole; nothing after it is proven.")
    return FAILED


def _say_json(good: bool, lines: int, first: int, head: Head, torn: int) -> None:
    told = {"lines": lines, "first": first, "last": head.number, "seal": head.seal}
    say(json.dumps({"kind": "summary", "good": good, **told, "torn_bytes": torn}))
