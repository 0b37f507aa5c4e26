"""`llmx replay FILE…`: do recorded negotiations do again what they did?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.commands.lines import clean, say
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from gateway.own_protocols import protocols_of
from gateway.replaying import Replay, Summary, Verdict, lines_of
from gateway.settings import SettingsError

DIFFERENCES_SHOWN = 3
EFFECTS_SHOWN = 400
WORDS = {
    "same": "{} the same to the byte",
    "unproven": "{} played, with nothing to compare: their format has no fingerprint",
    "copy": "{} copies of others",
    "differs": "{} DIFFERENT",
    "contradicts": "{} decided twice, and not alike",
    "unreadable": "{} unreadable",
}


def replay(files: Sequence[Path], *, as_json: bool, protocols: str | None = None) -> int:
    """Play every record of the files again, together; returns the exit code.

    `protocols` are those that an operator has added, as in `engine.protocols`.
    """
    try:
        judge = Replay(protocols_of(protocols))
    except SettingsError as error:
        return complain("replay", CommandError(str(error), "name them as the gateway does"))
    judge.summary.files = len(files)
    try:
        for line in lines_of(files):
            verdict = judge.judge(line)
            if verdict.is_good:
                continue
            if as_json:
                say(json.dumps({"kind": "record", **msgspec.to_builtins(verdict)}))
            else:
                _show(verdict)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror or error}"
        return complain("replay", CommandError(reason, "name files that `engine.records` wrote"))
    summary = judge.summary
    if as_json:
        say(
            json.dumps({"kind": "summary", "good": summary.is_good, **msgspec.to_builtins(summary)})
        )
    elif summary.lines:
        say(_words(summary))
    if not summary.lines:
        names = ", ".join(map(str, files))
        return complain("replay", CommandError(f"there is no record in {names}", code=FAILED))
    return OK if summary.is_good else FAILED


def _show(verdict: Verdict) -> None:
    what = f"{verdict.negotiation_id}: " if verdict.negotiation_id else ""
    by = f" (written by {clean(verdict.by)})" if verdict.by else ""
    place = f"{verdict.file}, line {verdict.line}"
    say(f"{place}: {clean(what)}{clean(verdict.reason)}{by}")
    for one in verdict.differences[:DIFFERENCES_SHOWN]:
        now = clean(one.effects, EFFECTS_SHOWN) or "nothing"
        say(f"  step {one.step}, {one.event} at {one.at:.6f}, asks now for {now}")


def _words(summary: Summary) -> str:
    told = [WORDS[result].format(n) for result, n in summary.results.items()]
    spoken = ", ".join(f"{name} {n}" for name, n in sorted(summary.protocols.items()))
    files = f"{summary.files} files" if summary.files > 1 else "1 file"
    first = f"{summary.lines} records of {summary.events} events in {files} ({spoken or 'none'})"
    return f"{first}: {', '.join(told)}"
