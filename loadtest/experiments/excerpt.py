"""What of a run stands in docs/experiments.md: the table in short, and what was not as it should.

Between marks of the page, `<!-- table1 simulated -->`, so that the command which is named above the
figures replaces them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtest.experiments.claims import Claim
from loadtest.experiments.comparison import Row
from loadtest.reliability import taken_by

NOTHING = "–"
PAPER_CLAIM = re.compile(r"C\d: ")
"""A claim of the paper is shown with what was seen of it, also when it holds."""


def mark(name: str, *, simulated: bool) -> str:
    """Return the mark of an experiment in the page."""
    return f"{name} {'simulated' if simulated else 'live'}"


def excerpt(
    command: str,
    machine: Mapping[str, Any],
    rows: Sequence[Row],
    claims: Sequence[Claim],
    figures: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
) -> str:
    """Return the lines of a run: published / ours, or else the figures of each case; claims."""
    lines = [f"{taken_by(command, machine)}, load before {machine.get('load_before')}:", ""]
    lines += _in_short(rows) if rows else _cases(figures, columns)
    held = sum(claim.holds is True for claim in claims)
    lines += ["", f"Of {len(claims)} claims {held} hold:", ""]
    lines += _told(
        claim for claim in claims if claim.holds is not True or PAPER_CLAIM.match(claim.what)
    )
    return "\n".join(lines).removesuffix(":\n").rstrip("\n")


def _told(claims: Iterable[Claim]) -> list[str]:
    """Return a line for each claim; one for those of several cases that came to the same."""
    of: dict[tuple[str, str, str], list[str]] = {}
    for claim in claims:
        case, _, what = claim.what.rpartition(": ")
        if PAPER_CLAIM.match(claim.what):
            case, what = "", claim.what
        of.setdefault((claim.verdict, what, claim.seen), []).append(case)
    return [
        f"- {verdict}: {_of(cases)}{what} ({seen})" for (verdict, what, seen), cases in of.items()
    ]


def _of(cases: Sequence[str]) -> str:
    if len(cases) > 1:
        return f"{len(cases)} cases: "
    return f"{cases[0]}: " if cases[0] else ""


def _in_short(rows: Sequence[Row]) -> list[str]:
    """Return a line for each profile, population and rate, and one for each deviation."""
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        cells.setdefault(row.of, {})[row.quantity] = f"{row.published or NOTHING} / {row.ours}"
    lines = [_row(("published / ours", *quantities)), "|---" * (len(quantities) + 1) + "|"]
    lines += [
        _row((of, *(known.get(quantity, "") for quantity in quantities)))
        for of, known in cells.items()
    ]
    deviations: dict[str, list[str]] = {}
    for row in rows:
        if row.deviation and row.published:
            told = deviations.setdefault(row.quantity, [])
            if row.deviation not in (*told, "the same"):
                told.append(row.deviation)
    lines.append("")
    lines += [f"- {quantity}: {'; '.join(why)}" for quantity, why in deviations.items() if why]
    return lines


def _cases(figures: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    lines = [_row(("case", *columns)), "|---" * (len(columns) + 1) + "|"]
    return lines + [
        _row((str(one["case"]), *(shown(one.get(column)) for column in columns))) for one in figures
    ]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def shown(value: object) -> str:
    """Return a figure with three digits, "" where there is none."""
    if not isinstance(value, int | float):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
