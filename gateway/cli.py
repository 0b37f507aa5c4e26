"""`llmx` on the command line.

Commands import what they need when they run, so that `llmx --help` stays quick and no
channel is open before a gateway has spawned its workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="An exchange where the agents of different people negotiate under rules that hold.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

GatewayAddress = Annotated[
    str, typer.Option("--gateway", "-g", envvar="LLMX_GATEWAY", help="Gateway, host:port.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="LLMX_TOKEN",
        help="JWT; without one, a development token of this user is made.",
    ),
]


@app.command()
def gateway(
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    metrics_port: Annotated[
        str | None, typer.Option(help="Prometheus port; 0 takes a free one, none is off.")
    ] = None,
    gateway_id: Annotated[str | None, typer.Option("--id", help="Name of the gateway.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting, engine.shards=8. See docs/configuration.md."
        ),
    ] = None,
    announce: Annotated[str, typer.Option(help="What to print once it serves: text or json.")] = (
        "text"
    ),
) -> None:
    """Run a gateway until Ctrl-C."""
    from gateway.commands.serve import serve

    named = {
        "server.host": host,
        "server.port": port,
        "server.metrics_port": metrics_port,
        "server.gateway_id": gateway_id,
        "log.level": log_level,
    }
    overrides: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for pair in assign or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair}: use NAME=VALUE, for example engine.shards=8")
        overrides[name] = value
    raise typer.Exit(serve(config, overrides, announce))


@app.command()
def token(
    agent: Annotated[str, typer.Argument(help="agent://NAME")],
    tenant: Annotated[str, typer.Option(help="Tenant of the agent.")] = "default",
    ttl: Annotated[float, typer.Option(help="Seconds that it counts.")] = 3600.0,
    role: Annotated[list[str] | None, typer.Option(help="A role, operator for example.")] = None,
    act: Annotated[list[str] | None, typer.Option(help="An act it may perform; none: all.")] = None,
) -> None:
    """Print a development token for an agent."""
    from gateway.commands.state import state_dir
    from gateway.members import AGENT_ADDRESS
    from gateway.tokens import development_secret, mint_development_token

    if AGENT_ADDRESS.fullmatch(agent) is None:
        raise typer.BadParameter(f"{agent} is no agent; use agent://NAME")
    secret = development_secret(state_dir())
    typer.echo(
        mint_development_token(secret, agent, tenant=tenant, ttl=ttl, roles=role or (), acts=act)
    )


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
