"""`llmx policy …` and `llmx agents …`: what the control service tells and takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import llmx
from gateway.commands.access import answering, check_agent, tls_of, token_of
from gateway.commands.interrupts import run
from gateway.commands.json_files import parse_object, read_object
from gateway.commands.lines import clean, figure, say
from gateway.commands.trouble import OK, CommandError, complain, explained
from gateway.policies import proto_of
from llmx.v1.agent_pb2 import Agent
from llmx.v1.control_service_pb2 import ListPoliciesResponse
from llmx.v1.policy_pb2 import AcceptanceProfile
from policy.acceptance import PolicyError, resolve

OPERATOR = "agent://operator"
PROFILE_COLUMNS = (
    *("profile", "quorum", "window", "settle", "counts", "select", "on expiry", "final"),
    *("confirm", "late"),
)
WIDTH_PLAIN = 120

Work = Callable[[llmx.Control], Awaitable[None]]


def list_policies(gateway: str, token: str | None, tls: str | None = None) -> int:
    """Print the acceptance profiles; the default one has a star."""

    async def work(control: llmx.Control) -> None:
        answer = await control.list_policies()
        _print(policies_table(answer))
        say(f"* what a call gets that names no policy: {answer.default_name}")

    return _with_control("policy list", gateway, token, tls, work)


def set_default_policy(name: str, gateway: str, token: str | None, tls: str | None = None) -> int:
    """Choose what calls get that name no policy."""

    async def work(control: llmx.Control) -> None:
        await control.set_default_policy(name)
        say(f"calls that name no policy get {name} from now on")

    return _with_control("policy set-default", gateway, token, tls, work)


def put_policy(
    name: str, parameters: str, gateway: str, token: str | None, tls: str | None = None
) -> int:
    """Add or change a profile; `parameters` are a JSON object, or a file of it."""

    async def work(control: llmx.Control) -> None:
        made = await control.put_policy(profile_of(name, parameters))
        say(f"{made.name}@{made.revision} is what new calls by this name get")

    return _with_control("policy put", gateway, token, tls, work)


def list_agents(topic: str, gateway: str, token: str | None, tls: str | None = None) -> int:
    """Print the agents that the gateway knows, or those that listen to a topic."""

    async def work(control: llmx.Control) -> None:
        agents = await control.list_agents(topic.removeprefix("topic://"))
        me = OPERATOR if token is None else ""
        listed = [agent for agent in agents if agent.agent_id != me or agent.connected]
        if not listed:
            where = f" listens to topic://{topic.removeprefix('topic://')}" if topic else " is here"
            say(f"nobody{where}; start one with: llmx agent agent://bob --topic gpu …")
            return
        table = _table("agent", "topics", "capabilities", "state")
        for agent in listed:
            table.add_row(*_agent_cells(agent))
        _print(table)

    return _with_control("agents list", gateway, token, tls, work)


def profile_of(name: str, parameters: str) -> AcceptanceProfile:
    """Return the profile that a JSON object, or a file of it, describes. Raises CommandError.

    "profile" names a shipped one to start from, flow/high when absent.
    """
    fields = fields_from(parameters)
    try:
        return proto_of(resolve(fields), name)
    except PolicyError as error:
        reason = f"{name}: {error.field}: {error.reason}"
        raise CommandError(reason, error.remedy) from None


def fields_from(parameters: str) -> Mapping[str, Any]:
    """Return a JSON object, or the one in a file. Raises CommandError."""
    if parameters.lstrip().startswith("{"):
        return parse_object(parameters, "the parameters")
    return read_object(Path(parameters))


def policies_table(answer: ListPoliciesResponse) -> Table:
    """Return the profiles as a table; the default one has a star."""
    table = _table(*PROFILE_COLUMNS)
    for profile in answer.profiles:
        mark = " *" if profile.name == answer.default_name else ""
        table.add_row(f"{profile.name}@{profile.revision}{mark}", *_cells(profile))
    return table


def _with_control(
    command: str, gateway: str, token: str | None, tls: str | None, work: Work
) -> int:
    async def ask() -> int:
        source = token_of(check_agent(OPERATOR), token, roles=("operator",))
        roots = tls_of(tls)
        agent = llmx.Agent(OPERATOR, await answering(gateway, roots), token=source, tls=roots)
        try:
            await work(agent.control)
        except llmx.LlmxError as error:
            raise explained(error, gateway) from None
        finally:
            await agent.control.close()
        return OK

    try:
        return run(ask())
    except CommandError as error:
        return complain(command, error)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(table: Table) -> None:
    console = Console()
    Console(width=console.width if console.is_terminal else WIDTH_PLAIN, markup=False).print(table)


def _cells(profile: AcceptanceProfile) -> list[str]:
    match profile.quorum.WhichOneof("rule"):
        case "count":
            quorum = str(profile.quorum.count)
        case "fraction":
            quorum = figure(profile.quorum.fraction)
        case "all":
            quorum = "all"
        case _:
            quorum = "time"
    window = profile.window.ToNanoseconds() / 1e9 if profile.HasField("window") else None
    expiry = profile.on_expiry
    if expiry == "decide_if":
        expiry = f"decide if {profile.min_offers}"
    return [
        quorum,
        "deadline" if window is None else f"{figure(window)} s",
        f"{figure(profile.settle.ToNanoseconds() / 1e9)} s",
        profile.counts,
        profile.select,
        expiry,
        profile.final,
        "yes" if profile.confirm else "no",
        profile.late,
    ]


def _agent_cells(agent: Agent) -> list[str]:
    return [
        clean(agent.agent_id),
        clean(" ".join(sorted(agent.topics))) or "–",
        clean(" ".join(sorted(agent.capabilities))) or "–",
        "connected" if agent.connected else "away",
    ]
