"""`llmx ctl market …` on the command line."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli_options import GATEWAY_DEFAULT, AsJson, GatewayAddress, Tls, Token

market_app = typer.Typer(
    no_args_is_help=True, help="See how fair a market is, rate agents, see tokens."
)


def _market(gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> Any:
    from gateway.commands.ctl_market import MarketCtl

    return MarketCtl(gateway, token, tls, as_json=as_json)


@market_app.command("show")
def market_show(
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show how evenly the tenant is served, ratings, and rings that are suspected."""
    raise typer.Exit(_market(gateway, token, tls, as_json=as_json).show())


@market_app.command("rate")
def market_rate(
    agent: Annotated[str, typer.Argument(help="agent://bob")],
    claimed: Annotated[float, typer.Option(help="The value that it claimed.")],
    realised: Annotated[float, typer.Option(help="The value that the work had.")],
    key: Annotated[str, typer.Option(help="Names the task: the same key counts once.")] = "",
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Rate a task of an agent, in every gateway of the cluster."""
    asked = _market(gateway, token, tls, as_json=as_json)
    raise typer.Exit(asked.rate(agent, claimed, realised, key))


@market_app.command("tokens")
def market_tokens(
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the rate limits that agents share, and what their tokens cost."""
    raise typer.Exit(_market(gateway, token, tls, as_json=as_json).tokens())
