"""`llmx ctl policy …` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli_options import GATEWAY_DEFAULT, AsJson, GatewayAddress, Tls, Token

policy_app = typer.Typer(
    no_args_is_help=True, help="Read and change profiles in all gateways of a cluster."
)

Name = Annotated[str, typer.Argument(help="A profile, acme/quick for example.")]


def _policy(gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> Any:
    from gateway.commands.ctl_policy import PolicyCtl

    return PolicyCtl(gateway, token, tls, as_json=as_json)


@policy_app.command("list")
def policy_list(
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the profiles that calls of the token's tenant can name."""
    raise typer.Exit(_policy(gateway, token, tls, as_json=as_json).list())


@policy_app.command("get")
def policy_get(
    name: Name,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show one profile, as `set` takes it."""
    raise typer.Exit(_policy(gateway, token, tls, as_json=as_json).get(name))


@policy_app.command("set")
def policy_set(
    name: Name,
    file: Annotated[
        str,
        typer.Argument(help='{"profile": "flow/high", "quorum": 3, …}, or a file of it, or -.'),
    ],
    dry_run: Annotated[
        list[Path] | None,
        typer.Option(
            "--dry-run",
            metavar="TRACE",
            help="Change nothing; say what it would have decided on these records.",
        ),
    ] = None,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Add or change a profile in every gateway; open negotiations keep the revision they have.

    Exit code 0: every gateway has it. 1: one of them may not, or it was refused. 2: something
    here is not right. With --dry-run it needs no gateway, and 0 means that every record was read.

    llmx ctl policy set acme/quick quick.json --dry-run records.jsonl
    """
    if dry_run:
        from gateway.commands.dry_run import dry_run as rehearse

        raise typer.Exit(rehearse(name, file, dry_run, as_json=as_json))
    raise typer.Exit(_policy(gateway, token, tls, as_json=as_json).set(name, file))


@policy_app.command("delete")
def policy_delete(
    name: Name,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Delete a profile that was set; one that ships and was changed is as it ships again."""
    raise typer.Exit(_policy(gateway, token, tls, as_json=as_json).delete(name))
