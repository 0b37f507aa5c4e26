"""`llmx ctl policy set … --dry-run TRACE`: what a profile would have decided; nothing changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from gateway.commands.control import fields_from
from gateway.commands.lines import clean, figure, say
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from gateway.policy_books import profile_of
from gateway.record_format import RecordError
from gateway.rehearsal import Comparison, Decision, Rehearsed, rehearse
from gateway.replaying import lines_of
from policy.acceptance import PROFILES, Acceptance, PolicyError

COMMAND = "ctl policy set --dry-run"
COLUMNS = ("negotiation", "", "policy", "state", "winner", "price", "decided after")
ROWS_MAX = 1_000
WIDTH_PLAIN = 160


def dry_run(name: str, parameters: str, traces: Sequence[Path], *, as_json: bool) -> int:
    """Print what the profile would have decided on recorded negotiations; needs no gateway."""
    try:
        profile = _profile(name, parameters)
        return _rehearse(profile, traces, as_json=as_json)
    except CommandError as error:
        return complain(COMMAND, error)


def _profile(name: str, parameters: str) -> Acceptance:
    try:
        return profile_of(name, fields_from(parameters), PROFILES, 1)
    except PolicyError as error:
        raise CommandError(f"{name}: {error.field}: {error.reason}", error.remedy) from None


def _rehearse(profile: Acceptance, traces: Sequence[Path], *, as_json: bool) -> int:
    comparison = Comparison()
    changed: list[Rehearsed] = []
    code = OK
    try:
        for line in lines_of(traces):
            if isinstance(line.found, RecordError):
                where = f"{line.file}, line {line.number}"
                code = complain(COMMAND, CommandError(f"{where}: {line.found}", code=FAILED))
                continue
            one = rehearse(line.found.record, profile)
            comparison.count(one)
            if as_json:
                same = {"same": one.is_same}
                say(json.dumps({"kind": "rehearsal", **same, **msgspec.to_builtins(one)}))
            elif one.now is not None and not one.is_same and len(changed) < ROWS_MAX:
                changed.append(one)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror or error}"
        raise CommandError(reason, "name files that `engine.records` wrote") from None
    if not comparison.negotiations and code == OK:
        names = ", ".join(map(str, traces))
        raise CommandError(f"there is no record in {names}", code=FAILED)
    if as_json:
        say(json.dumps({"kind": "summary", "policy": profile.name, **comparison.told()}))
        return code
    if changed:
        console = Console()
        width = console.width if console.is_terminal else WIDTH_PLAIN
        Console(width=width, markup=False).print(_table(changed))
    for sentence in _sentences(profile, comparison):
        say(sentence)
    return code


def _table(changed: Sequence[Rehearsed]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, no_wrap=True)
    for one in changed:
        assert one.then is not None and one.now is not None, "it could be compared"
        table.add_row(clean(one.negotiation_id), "then", *_cells(one.then))
        sure = "now" if not (one.assumed or one.unheard) else "now, perhaps"
        table.add_row("", sure, *_cells(one.now))
    return table


def _cells(decision: Decision) -> list[str]:
    return [
        clean(decision.policy),
        f"{decision.state}: {clean(decision.reason)}",
        clean(" ".join(decision.winners)) or "–",
        figure(decision.price),
        f"{figure(decision.seconds)} s",
    ]


def _sentences(profile: Acceptance, comparison: Comparison) -> list[str]:
    told = comparison.told()
    first = (
        f"{told['compared']} of {told['negotiations']} recorded negotiations can be compared "
        f"under {profile.name}: {told['same']} the same, {told['other_winner']} another winner, "
        f"{told['other_price']} another price, {told['gained']} awarded only now, "
        f"{told['lost']} awarded only then"
    )
    lines = [first]
    for name, unit, pairs in (
        ("price", "", told["mean_price"]),
        ("time to the decision", " s", told["mean_seconds"]),
    ):
        if pairs is not None:
            then, now = figure(pairs["then"]), figure(pairs["now"])
            lines.append(f"mean {name}: {then}{unit} then, {now}{unit} now")
    if told["uncertain"]:
        lines.append(
            f"{told['uncertain']} of them are uncertain: agents had not answered, or somebody "
            "would have been asked who was not; --json says which"
        )
    for why, count in told["skipped"].items():
        ids = comparison.skipped_ids[why]
        more = ", …" if count > len(ids) else ""
        lines.append(f"{count} not compared: {clean(why)} ({clean(', '.join(ids))}{more})")
    return lines
