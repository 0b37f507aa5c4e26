"""What a person sees when an experiment is over: two tables and where the rest is."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from loadtest.experiments.excerpt import shown
from loadtest.experiments.running import Result

STYLES = {"holds": "green", "FAILS": "bold red", "not judged": "yellow"}


def show(result: Result, console: Console) -> None:
    """Print what was published and is ours, or else the figures of each case; what must hold,
    and where the run record is.
    """
    if result.rows:
        table = Table(box=box.SIMPLE_HEAD, title="Published / ours", title_justify="left")
        for name in ("of", "quantity", "published", "ours", "deviation"):
            table.add_column(name, justify="right" if name in ("published", "ours") else "left")
        before = ""
        for row in result.rows:
            if before and row.of != before:
                table.add_section()
            of = "" if row.of == before else row.of
            table.add_row(of, row.quantity, row.published, row.ours, row.deviation)
            before = row.of
        console.print(table)
    else:
        table = Table(box=box.SIMPLE_HEAD, title="Figures", title_justify="left")
        table.add_column("case")
        for name in result.columns:
            table.add_column(name, justify="right")
        for one in result.figures:
            table.add_row(str(one["case"]), *(shown(one.get(name)) for name in result.columns))
        console.print(table)
    claims = Table(box=box.SIMPLE_HEAD, title="What must hold", title_justify="left")
    for name in ("claim", "verdict", "seen"):
        claims.add_column(name)
    for claim in result.claims:
        verdict = f"[{STYLES[claim.verdict]}]{claim.verdict}[/]"
        claims.add_row(claim.what, verdict, claim.seen)
    console.print(claims)
    console.print(
        f"{result.seconds:.1f} s; {result.folder}/report.html; events {result.events_sha256[:16]}",
        highlight=False,
    )
