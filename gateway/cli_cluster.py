"""`llmx up`, `llmx ctl …` and `llmx demo-cluster` on the command line.

Like those in `cli`, they import what they need when they run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli_ledger import ledger_app, resources_app
from gateway.cli_market import market_app
from gateway.cli_options import GATEWAY_DEFAULT, AsJson, GatewayAddress, Tls, Token
from gateway.cli_policy import policy_app

ctl_app = typer.Typer(no_args_is_help=True, help="See a cluster, and empty a gateway of it.")
ctl_app.add_typer(policy_app, name="policy")
ctl_app.add_typer(ledger_app, name="ledger")
ctl_app.add_typer(resources_app, name="resources")
ctl_app.add_typer(market_app, name="market")

ROWS = 1_000
RATE = "500"
DEADLINE_SECONDS = 600.0

Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Rows at most, of each gateway.")]


def _ctl(gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> Any:
    from gateway.commands.ctl import Ctl

    return Ctl(gateway, token, tls, as_json=as_json)


@ctl_app.command("members")
def ctl_members(
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the gateways of the cluster, as the one that is asked sees them."""
    raise typer.Exit(_ctl(gateway, token, tls, as_json=as_json).members())


@ctl_app.command("links")
def ctl_links(
    limit: Limit = ROWS,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the links between gateways, each as both of its ends see it."""
    raise typer.Exit(_ctl(gateway, token, tls, as_json=as_json).links(limit))


@ctl_app.command("agents")
def ctl_agents(
    at: Annotated[str, typer.Option(help="Only those whose home is this gateway.")] = "",
    limit: Limit = ROWS,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the agents of the token's tenant, with the gateways that are their homes."""
    raise typer.Exit(_ctl(gateway, token, tls, as_json=as_json).agents(at, limit))


@ctl_app.command("negotiations")
def ctl_negotiations(
    limit: Limit = ROWS,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show the negotiations of the token's tenant, open or a short while over."""
    raise typer.Exit(_ctl(gateway, token, tls, as_json=as_json).negotiations(limit))


@ctl_app.command("show")
def ctl_show(
    negotiation: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Show one negotiation: who may answer, who has, and what happened.

    What is offered is shown once no more offers are taken, and not before.
    """
    raise typer.Exit(_ctl(gateway, token, tls, as_json=as_json).show(negotiation))


@ctl_app.command("drain")
def ctl_drain(
    which: Annotated[str, typer.Argument(metavar="GATEWAY", help="Its id, as in members.")],
    rate: Annotated[str, typer.Option(help="Agents a second that are asked to move.")] = RATE,
    deadline: Annotated[
        str, typer.Option(help="Seconds after which it is given up.")
    ] = f"{DEADLINE_SECONDS:g}",
    abort: Annotated[bool, typer.Option("--abort", help="Take the drain back.")] = False,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
) -> None:
    """Empty a gateway so that nobody notices when it stops, and tell how far it is.

    It turns unready, its agents move to other gateways, its open negotiations are handed over.
    Exit code 0: it is empty. 1: it is not, or no gateway. 130: Ctrl-C; the drain goes on.

    llmx ctl drain eu --rate 500/s
    """
    used = _ctl(gateway, token, tls, as_json=as_json)
    if abort:
        raise typer.Exit(used.abort_drain(which))
    figure = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/s)?", rate)
    if figure is None or float(figure[1]) < 1:
        raise typer.BadParameter(f"--rate {rate}: use agents a second, 500 for example")
    seconds = re.fullmatch(r"(\d+(?:\.\d+)?)s?", deadline)
    if seconds is None or not 0 < float(seconds[1]) <= 86_400:
        raise typer.BadParameter(f"--deadline {deadline}: use seconds, 600 for example")
    raise typer.Exit(used.drain(which, float(figure[1]), float(seconds[1])))


def up(
    regions: Annotated[
        str, typer.Option(help="A gateway for each, with commas; names begin with a letter.")
    ] = "eu,us,ap",
    etcd: Annotated[
        str | None, typer.Option(help="An etcd that runs, host:port; without one, it is started.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder to keep etcd's data and the gateways' stores in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a cluster on this machine: etcd and a gateway for each region, until Ctrl-C.

    They take free ports, accept development tokens of this user, and end together. Exit code
    0: Ctrl-C. 1: one of them could not be started, or none is left. 2: something here is not
    right.

    llmx up --regions eu,us,ap
    """
    from gateway.commands.up import up as run

    raise typer.Exit(run(regions, etcd, state, as_json=as_json))


def demo_cluster(as_json: AsJson = False) -> None:
    """Watch three regions negotiate as one, and lose a gateway while they do.

    It starts etcd, three gateways, twelve contractors and an initiator in each region, kills one
    gateway in mid-negotiation, and leaves nothing running. Exit code 0: every negotiation came
    to one outcome, and every bidder heard of it once. 1: not so. 130: Ctrl-C.
    """
    from gateway.commands.demo_cluster import demo_cluster as play

    raise typer.Exit(play(as_json=as_json))


def health(gateway: GatewayAddress = GATEWAY_DEFAULT, tls: Tls = None) -> None:
    """Tell whether a gateway lets agents in (exit code 0) or not (1), for probes."""
    from gateway.commands.health import health as ask

    raise typer.Exit(ask(gateway, tls))
