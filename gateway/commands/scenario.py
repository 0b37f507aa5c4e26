"""A scenario of the demo: who calls, for what, under which policies, and who may answer.

{"title": "…", "initiator": "agent://alice", "topic": "gpu", "call": {…a CFP…},
 "policies": ["low", "medium", "high"], "contractors": [{…see plan…}, …]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gateway
from gateway.commands.access import check_agent
from gateway.commands.json_files import Policy, check_members, policy_of, read_object
from gateway.commands.plan import Plan, plan_of
from gateway.commands.trouble import CommandError
from policy.acceptance import Acceptance, PolicyError, resolve

DEFAULT = "gpu-slot"
SHIPPED = ("gpu-slot", "delivery", "night-slot")
LEVELS = ("low", "medium", "high")
CONTRACTORS_MAX = 64
POLICIES_MAX = 16
REPLY_WITHIN = 5.0
MEMBERS = ("title", "about", "initiator", "topic", "call", "policies", "contractors")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the demo plays."""

    title: str
    initiator: str
    topic: str
    call: Mapping[str, Any]
    policies: tuple[Policy, ...]
    contractors: tuple[Plan, ...]
    about: str = ""
    acceptances: tuple[Acceptance, ...] = field(default=())
    """What the policies mean, in the same order."""

    def crowd(self, size: int | None) -> list[Plan]:
        """Return so many contractors: those of the scenario, then others of their kinds."""
        own = self.contractors
        count = len(own) if size is None else size
        return [
            own[i] if i < len(own) else own[i % len(own)].copy(i // len(own)) for i in range(count)
        ]

    @property
    def reply_within(self) -> float:
        """Return how many seconds a round may take, a guess when the call names a deadline."""
        seconds = self.call.get("reply_within", REPLY_WITHIN)
        return seconds if isinstance(seconds, int | float) else REPLY_WITHIN


def load(name: str | None, policies: Sequence[str] = ()) -> Scenario:
    """Return the scenario in a file, or a shipped one by its name; checked as far as can be
    without a gateway. `policies` go before those of the file. Raises CommandError.
    """
    path = find(name or DEFAULT)
    where = str(path)
    written = read_object(path)
    check_members(written, MEMBERS, where)
    topic = written.get("topic")
    call = written.get("call")
    entries = written.get("contractors")
    if not isinstance(topic, str) or not topic:
        raise CommandError(f"{where}: it has no topic", 'write "topic": "gpu"')
    if not isinstance(call, dict):
        raise CommandError(f"{where}: it has no call", 'write "call": {"reply_within": 5, …}')
    if not isinstance(entries, list) or not 1 <= len(entries) <= CONTRACTORS_MAX:
        raise CommandError(f'{where}: "contractors" is no list of 1 to {CONTRACTORS_MAX} objects')
    topic = topic.removeprefix("topic://")
    plans = tuple(
        _contractor(entry, f"{where}: contractor {number}", topic)
        for number, entry in enumerate(entries, 1)
    )
    named = [plan.agent for plan in plans]
    if len(set(named)) < len(named):
        raise CommandError(f"{where}: two contractors have the same name")
    initiator = check_agent(str(written.get("initiator", "agent://alice")))
    if initiator in named:
        raise CommandError(f"{where}: {initiator} cannot be initiator and contractor")
    chosen = _chosen(policies, written.get("policies", list(LEVELS)), where)
    return Scenario(
        str(written.get("title", path.stem)),
        initiator,
        topic,
        call,
        chosen,
        plans,
        str(written.get("about", "")),
        tuple(_acceptance(policy, "--policy" if policies else where) for policy in chosen),
    )


def find(name: str) -> Path:
    """Return the file of a scenario: a path, or the name of one that ships."""
    path = Path(name)
    if path.exists() or "/" in name or os.sep in name:
        return path
    stem = name.removesuffix(".json")
    for folder in shipped_folders():
        shipped = folder / f"{stem}.json"
        if shipped.exists():
            return shipped
    names = sorted(
        {file.stem for folder in shipped_folders() for file in folder.glob("*.json")} & set(SHIPPED)
    )
    raise CommandError(f"there is no scenario {name}", f"use {', '.join(names)}, or name a file")


def shipped_folders() -> list[Path]:
    """Return where the examples are: in the package, or beside it in the repository."""
    package = Path(gateway.__file__).resolve().parent
    return [package / "examples", package.parent / "examples"]


def policy_text(policy: Policy) -> str:
    """Return a policy as the command line takes it."""
    return policy if isinstance(policy, str) else json.dumps(policy)


def _contractor(entry: object, where: str, topic: str) -> Plan:
    if not isinstance(entry, dict):
        raise CommandError(f"{where} is no object", 'write {"agent": "agent://bob", …}')
    return plan_of(entry, where, (topic,))


def _chosen(given: Sequence[str], written: object, where: str) -> tuple[Policy, ...]:
    if given:
        names = [level for name in given for level in (LEVELS if name == "all" else (name,))]
        return tuple(policy_of(name) for name in names[:POLICIES_MAX])
    if (
        not isinstance(written, list)
        or not 1 <= len(written) <= POLICIES_MAX
        or not all(isinstance(policy, str | dict) for policy in written)
    ):
        raise CommandError(f'{where}: "policies" is no list of names', 'write ["low", "high"]')
    return tuple(written)


def _acceptance(policy: Policy, where: str) -> Acceptance:
    try:
        return resolve(policy)
    except PolicyError as error:
        raise CommandError(f"{where}: {policy_text(policy)}: {error}") from None
