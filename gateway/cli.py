"""`llmx` on the command line.

Commands import what they need when they run, so that `llmx --help` stays quick and no
channel is open before a gateway has spawned its workers.
"""

from __future__ import annotations

from gateway.commands import quiet  # first, so that Ctrl-C during the rest is no traceback

# isort: split

import gc
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli_added import Added
from gateway.cli_audit import audit_app
from gateway.cli_cluster import ctl_app, demo_cluster, health, up
from gateway.cli_options import GATEWAY_DEFAULT, AsJson, GatewayAddress, Tls, Token, UntilEof

COLLECTED_SELDOM = (10_000, 20, 100)

app = typer.Typer(
    cls=Added,
    help="An exchange where the agents of different people negotiate under rules that hold.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

policy_app = typer.Typer(no_args_is_help=True, help="Read and change acceptance profiles.")
agents_app = typer.Typer(no_args_is_help=True, help="See who is there.")
app.add_typer(policy_app, name="policy")
app.add_typer(agents_app, name="agents")
app.add_typer(ctl_app, name="ctl")
app.add_typer(audit_app, name="audit")
app.command()(up)
app.command()(health)
app.command("demo-cluster")(demo_cluster)


@app.command()
def gateway(
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    metrics_port: Annotated[
        str | None, typer.Option(help="Prometheus port; 0 takes a free one, none is off.")
    ] = None,
    page_port: Annotated[
        str | None, typer.Option(help="Port of the operator's page; 0 takes a free one.")
    ] = None,
    gateway_id: Annotated[str | None, typer.Option("--id", help="Name of the gateway.")] = None,
    processes: Annotated[
        int | None, typer.Option(help="How many share the port and the work; 1 by default.")
    ] = None,
    mailbox_file: Annotated[
        Path | None, typer.Option(help="SQLite file for what waits and what is durable.")
    ] = None,
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
    until_eof: UntilEof = False,
) -> None:
    """Run a gateway until Ctrl-C (exit code 0)."""
    from gateway.commands.lean import without

    with without("rich"):  # structlog would import it, to draw what no log of ours has
        from gateway.commands.serve import serve

    if announce not in ("text", "json"):
        raise typer.BadParameter(f"--announce {announce}: use text or json")
    named = {
        "server.host": host,
        "server.port": port,
        "server.metrics_port": metrics_port,
        "page.port": page_port,
        "server.gateway_id": gateway_id,
        "server.processes": processes,
        "mailbox.file": mailbox_file,
        "log.level": log_level,
    }
    overrides: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for pair in assign or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair}: use NAME=VALUE, for example engine.shards=8")
        overrides[name] = value
    raise typer.Exit(serve(config, overrides, announce, until_eof=until_eof))


@app.command()
def token(
    agent: Annotated[str, typer.Argument(help="agent://NAME")],
    tenant: Annotated[str, typer.Option(help="Tenant of the agent.")] = "default",
    ttl: Annotated[float, typer.Option(help="Seconds that it counts.")] = 3600.0,
    role: Annotated[list[str] | None, typer.Option(help="A role, operator for example.")] = None,
    act: Annotated[list[str] | None, typer.Option(help="An act it may perform; none: all.")] = None,
    named: Annotated[
        str, typer.Option("--class", help="system: may use what its tenant's limits reserve.")
    ] = "normal",
) -> None:
    """Print a development token for an agent."""
    from gateway.commands.state import state_dir
    from gateway.members import AGENT_ADDRESS
    from gateway.tokens import CLASSES, development_secret, mint_development_token

    if AGENT_ADDRESS.fullmatch(agent) is None:
        raise typer.BadParameter(f"{agent} is no agent; use agent://NAME")
    if named not in CLASSES:
        raise typer.BadParameter(f"{named} is no class; use {' or '.join(CLASSES)}")
    if not 0 < ttl < float("inf"):
        raise typer.BadParameter(f"--ttl {ttl:g}: use a number of seconds above 0")
    secret = development_secret(state_dir())
    typer.echo(
        mint_development_token(
            secret,
            agent,
            tenant=tenant,
            ttl=ttl,
            roles=role or (),
            acts=act,
            system=named == "system",
        )
    )


@app.command()
def agent(
    address: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="agent://NAME, or what --file says.")
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", "-t", help="A topic to listen to.")
    ] = None,
    capability: Annotated[
        list[str] | None, typer.Option(help="What it can do; without any: propose.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            "-s",
            help="fixed, cost_plus, linear, aspiration, random, reserve or worth.",
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="NAME=VALUE of the strategy, the value in JSON."),
    ] = None,
    consent: Annotated[
        list[str] | None, typer.Option(help="An agent that may call it directly; * is all.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="JSON with all of this; flags go before.")
    ] = None,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
    until_eof: UntilEof = False,
) -> None:
    """Run a contractor that follows a strategy, until Ctrl-C (exit code 0).

    Exit code 1: no gateway, or it does not take the token. 2: something here is not right.

    llmx agent agent://bob --topic gpu --strategy fixed --param value=40

    llmx agent --file bob.json
    """
    from gateway.commands.access import check_gateways
    from gateway.commands.agent import serve
    from gateway.commands.plan import plan_from_flags
    from gateway.commands.trouble import CommandError, complain

    try:
        check_gateways(gateway)
        plan = plan_from_flags(
            file,
            agent=address,
            topics=topic,
            capabilities=capability,
            consents=consent,
            strategy=strategy,
            params=param,
        )
    except CommandError as error:
        raise typer.Exit(complain("agent", error)) from None
    raise typer.Exit(serve(plan, gateway, token, tls, as_json=as_json, until_eof=until_eof))


@app.command()
def call(
    file: Annotated[
        Path, typer.Argument(metavar="CFP.json", help="The call, - for standard input.")
    ],
    to: Annotated[
        list[str] | None, typer.Option(help="topic://NAME, agent://NAME or group://NAME.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="A profile, or {…} with parameters; several: one after the other."),
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--as", help="Who calls; agent://alice when nobody says.")
    ] = None,
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
    as_json: AsJson = False,
    durable: Annotated[
        bool, typer.Option("--durable", help="The negotiation survives a crash of the gateway.")
    ] = False,
    step: Annotated[
        bool, typer.Option("--step", help="Wait for a line on standard input before each call.")
    ] = False,
    start: Annotated[
        float | None, typer.Option(help="In a bargain: what is proposed first.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option(help="In a bargain: the worst that is agreed to.")
    ] = None,
) -> None:
    """Call for proposals, show the offers as they arrive and the outcome.

    The file holds the payload of a call, or the paper's {"envelope": …, "payload": …}; the
    message gets a new msg_id and ts in any case. A call with "decider": "initiator" is
    decided by accepting the first of the ranking, after as many rounds as it may have. In a
    bargain between two the proposals go evenly from --start to --limit.

    Exit code 0: awarded. 3: no award. 1: refused, or no gateway. 2: something here is not
    right. 130: Ctrl-C, which cancels the call.

    llmx call examples/gpu-call.json --to topic://gpu --policy high
    """
    from gateway.commands.access import check_gateways
    from gateway.commands.bargain import prices_of
    from gateway.commands.call import call as negotiate
    from gateway.commands.call import order_of
    from gateway.commands.json_files import policy_of
    from gateway.commands.trouble import CommandError, complain

    try:
        check_gateways(gateway)
        if step and str(file) == "-":
            raise CommandError("standard input cannot be the call and the steps", "name a file")
        order = order_of(file, to or (), sender, token, durable=durable)
        order = replace(order, prices=prices_of(order.body, start, limit))
        policies = [policy_of(text) for text in policy] if policy else [None]
    except CommandError as error:
        raise typer.Exit(complain("call", error)) from None
    raise typer.Exit(negotiate(order, policies, gateway, token, tls, as_json=as_json, step=step))


@app.command()
def demo(
    scenario: Annotated[
        str | None, typer.Option(help="A file, or gpu-slot, delivery or night-slot.")
    ] = None,
    contractors: Annotated[
        int | None, typer.Option(help="How many; beyond the scenario's: others of their kinds.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="low, medium, high, another profile, {…}, or all three: all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch agents in processes of their own negotiate through a gateway.

    It needs nothing that runs already, and leaves nothing running. Exit code 0: every round
    came to an outcome, and every bidder heard accept or reject once. 1: not so. 2: something
    here is not right. 130: Ctrl-C.
    """
    from gateway.commands.demo import demo as play

    raise typer.Exit(play(scenario, contractors, policy or (), as_json=as_json))


@app.command()
def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="What engine.records has written.")
    ],
    as_json: AsJson = False,
    protocols: Annotated[
        str | None, typer.Option(help="Protocols that were added, as in engine.protocols.")
    ] = None,
) -> None:
    """Play recorded negotiations again, and compare what they do to the byte.

    Files of several gateways are taken together. It names each record that differs, and where.
    Exit code 0: none does. 1: some do, cannot be read, or were decided twice. 2: no such file.

    llmx replay records-1.jsonl records-2.jsonl
    """
    from gateway.commands.replay import replay as play

    raise typer.Exit(play(files, as_json=as_json, protocols=protocols))


@policy_app.command("list")
def policy_list(
    gateway: GatewayAddress = GATEWAY_DEFAULT, token: Token = None, tls: Tls = None
) -> None:
    """Show the acceptance profiles; a star marks the default."""
    from gateway.commands.control import list_policies

    raise typer.Exit(list_policies(gateway, token, tls))


@policy_app.command("set-default")
def policy_set_default(
    name: Annotated[str, typer.Argument(help="A profile, flow/medium for example.")],
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
) -> None:
    """Choose what calls get that name no policy, from now on."""
    from gateway.commands.control import set_default_policy

    raise typer.Exit(set_default_policy(name, gateway, token, tls))


@policy_app.command("put")
def policy_put(
    name: Annotated[str, typer.Argument(help="The profile to add or change.")],
    parameters: Annotated[
        str, typer.Argument(help='{"profile": "flow/high", "quorum": 3, …}, or a file of it.')
    ],
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
) -> None:
    """Add or change a profile; open negotiations keep the revision they began with."""
    from gateway.commands.control import put_policy

    raise typer.Exit(put_policy(name, parameters, gateway, token, tls))


@agents_app.command("list")
def agents_list(
    topic: Annotated[str, typer.Option(help="Only those that listen to this topic.")] = "",
    gateway: GatewayAddress = GATEWAY_DEFAULT,
    token: Token = None,
    tls: Tls = None,
) -> None:
    """Show the agents that the gateway knows."""
    from gateway.commands.control import list_agents

    raise typer.Exit(list_agents(topic, gateway, token, tls))


def main() -> None:
    """Run the command line.

    What is imported stays, so to look for garbage in it while it comes, and once more at the end,
    finds nothing; it took a fifth of the time of a short command.
    """
    quiet.end_quietly()
    gc.set_threshold(*COLLECTED_SELDOM)
    try:
        app()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
