"""`llmx audit verify FILE…`: was an audit changed since it was written?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.commands.lines import say
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from gateway.settings import SettingsError
from gateway.telemetry.audit_chain import LINE_BYTES_MAX, Head, Verification, number_of
from gateway.telemetry.audit_chain import verify as look
from gateway.telemetry.audit_file import key_in

ENDS_WITH = re.compile(r".*-(\d{12})")
"""The name of a full file: the gateway puts the number of its last line there."""


def verify(
    files: Sequence[Path],
    key_file: Path | None,
    seal: str | None,
    first_kept: int = 1,
    *,
    as_json: bool,
) -> int:
    """Look through the files of one audit; returns the exit code.

    Lines before `first_kept` need not be there; the last one is to have the `seal` that is given.
    """
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
            misnamed = _misnamed(file, found)
            if misnamed:
                return _told_broken(file, found.lines, misnamed, lines, as_json=as_json)
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
    is_good = is_asked_for and first <= first_kept
    if as_json:
        _say_json(is_good, lines, first, head, torn)
    else:
        say(f"{lines} lines are whole: {first} to {head.number}, sealed {head.seal}")
        if first > first_kept:
            say(
                f"Lines {first_kept} to {first - 1} are not in these files: name those that have "
                f"them, or say --first {first} if they are gone on purpose."
            )
        if torn:
            say(
                f"The last line was cut short after {torn} bytes, as by a crash; the gateway "
                "takes it off when it starts again, and says so."
            )
        if not is_asked_for:
            say(f"The last seal should be {seal}: lines at the end are missing, or were added.")
    return OK if is_good else FAILED


def _misnamed(file: Path, found: Verification) -> str:
    """Return why a file cannot be the one that a gateway gave its name to; empty if it can."""
    named = ENDS_WITH.fullmatch(file.name)
    if named is None or (found.head and found.lines and int(named[1]) == found.head.number):
        return ""
    if found.head is None or not found.lines:
        return f"there is no line in it, and its name says that it ends with line {int(named[1])}"
    ends = f"ends with line {found.head.number} of the chain, not {int(named[1])}"
    return f"it {ends} as its name says: it was renamed, or lines were removed"


def _lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file; one that is too long comes in parts, none of which is a line."""
    with file.open("rb") as stream:
        while line := stream.readline(LINE_BYTES_MAX + 1):
            yield line


def _first_number(file: Path) -> float:
    """Return the number of the first line, to sort by; what has none comes last."""
    return number_of(next(_lines(file), b"")) or float("inf")


def _broken(file: Path, found: Verification, whole: int, *, as_json: bool) -> int:
    return _told_broken(file, found.broken_at, found.fault, whole, as_json=as_json)


def _told_broken(file: Path, line: int, reason: str, whole: int, *, as_json: bool) -> int:
    if as_json:
        told = {"file": str(file), "line": line, "reason": reason, "whole": whole}
        say(json.dumps({"kind": "broken", **told}))
    else:
        say(f"{file}, line {line}: {reason}")
        say(f"{whole} lines before it are whole; nothing after it is proven.")
    return FAILED


def _say_json(good: bool, lines: int, first: int, head: Head, torn: int) -> None:
    told = {"lines": lines, "first": first, "last": head.number, "seal": head.seal}
    say(json.dumps({"kind": "summary", "good": good, **told, "torn_bytes": torn}))
