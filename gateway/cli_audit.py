"""`llmx audit …` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli_options import AsJson

audit_app = typer.Typer(no_args_is_help=True, help="Look at what `telemetry.audit` has written.")


@audit_app.callback()
def audit() -> None:
    """Look at what `telemetry.audit` has written."""


@audit_app.command()
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="The files of one gateway, in any order."),
    ],
    key: Annotated[
        Path | None, typer.Option(help="The file that `telemetry.audit_key_file` named.")
    ] = None,
    seal: Annotated[
        str | None, typer.Option(help="The seal that the last line should have.")
    ] = None,
    first: Annotated[
        int, typer.Option(min=1, help="The first line that is kept, where older files are gone.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Look whether lines were changed, removed, added or moved; name the first broken one.

    Files are read in the order of their lines. Exit code 0: the chain is whole. 1: it is broken,
    begins later than it should or does not end with the seal that was given. 2: no such file.

    llmx audit verify audit.jsonl-000000042137 audit.jsonl
    """
    from gateway.commands.audit import verify as look

    raise typer.Exit(look(files, key, seal, first, as_json=as_json))
