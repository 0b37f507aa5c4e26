"""`llmx ctl ledger …` and `llmx ctl resources …` on the command line."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli_options import GATEWAY_DEFAULT, AsJson, GatewayAddress, Tls, Token

ledger_app = typer.Typer(
    invoke_without_command=True, help="Show accounts and what was paid for; give and limit credit."
)
resources_app = typer.Typer(
    invoke_without_command=True, help="Show resources with their calendars; register them."
)
SECONDS_PER = {"hour": 3600.0, "day": 86_400.0, "project": None}

Agent = Annotated[str, typer.Argument(help="agent://alice for example.")]


def _amount(text: str | int) -> int:
    """Return what was typed in millionths, exact; raises BadParameter."""
    from gateway.settling.amounts import AmountError, micros_in

    try:
        return micros_in(str(text))
    except AmountError as error:
        raise typer.BadParameter(str(error)) from None


Credits = Annotated[
    int,
    typer.Argument(metavar="CREDITS", help="A decimal, to the millionth: 12.5.", parser=_amount),
]
Key = Annotated[str, typer.Option(help="Names the change: typed twice, it happens once.")]


def _ledger(gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> Any:
    from gateway.commands.ledger import LedgerCtl

    return LedgerCtl(gateway, token, tls, as_json=as_json)


@ledger_app.callback()
def ledger(
    context: typer.Context,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the accounts of the token's tenant, and who has spent how much on what."""
    if context.invoked_subcommand is None:
        raise typer.Exit(_ledger(gateway, token, tls, as_json=as_json).ledger())


@ledger_app.command("of")
def ledger_of(
    agent: Agent,
    lines: Annotated[int, typer.Option(min=1, max=10_000, help="The latest lines.")] = 100,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the statement of one agent."""
    raise typer.Exit(_ledger(gateway, token, tls, as_json=as_json).statement(agent, lines))


@ledger_app.command("give")
def ledger_give(
    agent: Agent,
    credits_: Credits,
    key: Key = "",
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Give an agent credit. To take some out: llmx ctl ledger give agent://alice -- -5."""
    raise typer.Exit(_ledger(gateway, token, tls, as_json=as_json).give(agent, credits_, key))


@ledger_app.command("refund")
def ledger_refund(
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="As in a statement.")],
    credits_: Annotated[
        int, typer.Argument(metavar="CREDITS", parser=_amount, help="0: all that was paid.")
    ] = 0,
    key: Key = "",
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Give back what was paid for an award."""
    raise typer.Exit(_ledger(gateway, token, tls, as_json=as_json).refund(hold, credits_, key))


@ledger_app.command("budget")
def ledger_budget(
    name: Annotated[str, typer.Argument(help="agent://alice, or the name of a project.")],
    credits_: Credits,
    per: Annotated[str, typer.Option(help="hour, day, or project for one without end.")] = "hour",
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Make a budget, or change it; what is used stays used."""
    if per not in SECONDS_PER:
        raise typer.BadParameter(f"--per {per}: use one of {', '.join(SECONDS_PER)}")
    used = _ledger(gateway, token, tls, as_json=as_json)
    raise typer.Exit(used.budget(name, credits_, SECONDS_PER[per]))


@resources_app.callback()
def resources(
    context: typer.Context,
    prefix: Annotated[str, typer.Option(help="Only those whose name begins so.")] = "",
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the resources of the token's tenant, and who has which units when."""
    if context.invoked_subcommand is None:
        raise typer.Exit(_ledger(gateway, token, tls, as_json=as_json).resources(prefix))


@resources_app.command("set")
def resources_set(
    name: Annotated[str, typer.Argument(help="gpu, or gpu/node-7 for a part of it.")],
    units: Annotated[int, typer.Argument(min=0, max=4_096, help="0 takes it out.")],
    reserve: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The part that only the system class may take."),
    ] = None,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Register a resource, or change how many units it has, and what is kept of them."""
    raise typer.Exit(
        _ledger(gateway, token, tls, as_json=as_json).set_resource(name, units, reserve)
    )
