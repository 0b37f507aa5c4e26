"""Homes of agents that tell a directory where those are, without a link between."""

from __future__ import annotations

from federation.announcer import Announcer
from federation.commons import Commons
from federation.directory import Applied, Directory
from federation.entries import AgentAt


def home(name: str, bytes_max: int = 4_096) -> Announcer:
    return Announcer(name, "eu", Commons(name), update_bytes_max=bytes_max)


def directory() -> Directory:
    return Directory(Commons("here"))


def home_of(known: Directory, tenant: str, agent_id: str) -> str | None:
    """Return the gateway that is the home of an agent, None when no other one is."""
    entry = known.entry(tenant, agent_id)
    return None if entry is None else entry.home


def told(applied: Applied) -> tuple[list[str], list[str], list[str]]:
    """Return who appeared, changed and vanished."""
    return (
        [entry.agent_id for entry in applied.appeared],
        [entry.agent_id for entry in applied.changed],
        [entry.agent_id for entry in applied.vanished],
    )


def homes_of(entries: list[AgentAt]) -> list[str]:
    return [entry.home for entry in entries]


def hear(known: Directory, announcer: Announcer) -> list[Applied]:
    """Let the directory hear all that is to be told."""
    return [known.apply(announcer.gateway_id, update) for update in announcer.drain().near]


def join(known: Directory, announcer: Announcer) -> list[Applied]:
    """Let the directory hear everything, as on a new link."""
    announcer.drain()
    return [known.apply(announcer.gateway_id, update) for update in announcer.snapshot("eu")]
