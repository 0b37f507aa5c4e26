"""What the faults came to, as a table for a page."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.award_faults.books import Sums, Verdict, made
from loadtest.award_faults.steps import BY_NAME

HEAD = ("Killed", "Store", "Times", "One award", "None", "Double", "Unheard", "Gone")
CREDIT = 1_000_000


def table(taken_by: str, verdicts: Sequence[Verdict], sums: Sequence[tuple[str, Sums, int]]) -> str:
    """Return the table, the sums below it, and how it was made.

    `sums` are what each store had in the end, with what had to be paid by then.
    """
    lines = [
        "| " + " | ".join(HEAD) + " |",
        "|---|---|" + "--:|" * (len(HEAD) - 2),
        *(_row(verdict) for verdict in verdicts),
        "",
        *(_sentence(*one) for one in sums),
        "",
        taken_by,
    ]
    return "\n".join(lines)


def _row(verdict: Verdict) -> str:
    cells = (
        BY_NAME[verdict.step].words,
        verdict.store,
        str(verdict.died),
        str(verdict.awarded),
        str(verdict.none),
        str(verdict.doubles),
        str(verdict.unheard),
        str(verdict.gone),
    )
    return "| " + " | ".join(cells) + " |"


def _sentence(store: str, sums: Sums, owed: int) -> str:
    return (
        f"{store}: of {sums.minted / CREDIT:,.0f} credits {sums.paid / CREDIT:,.0f} were paid, "
        f"where {owed / CREDIT:,.0f} were owed; lost or made: {made(sums) / CREDIT:g}, still held: "
        f"{sums.held / CREDIT:g}, units still locked: {sums.locks}."
    )


def is_kept(verdicts: Sequence[Verdict], sums: Sequence[tuple[str, Sums, int]]) -> bool:
    """Tell whether no promise was broken."""
    return not any(
        verdict.doubles or verdict.repeated or verdict.unheard or verdict.died < verdict.repetitions
        for verdict in verdicts
    ) and not any(made(one) or one.held or one.locks or one.paid != owed for _, one, owed in sums)
