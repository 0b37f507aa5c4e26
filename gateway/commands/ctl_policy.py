"""`llmx ctl policy …`: the profiles of a cluster, changed in all of its gateways.

A change is made at the gateway that is asked, and stands when every gateway says so. Who does not
say so in time is named on standard error, and then the exit code is 1.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from rich.console import Console

from gateway.commands.access import check_gateways, token_of
from gateway.commands.admin import Reached, reached
from gateway.commands.control import OPERATOR, policies_table, profile_of
from gateway.commands.interrupts import run
from gateway.commands.lines import say
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from gateway.policies import fields_in
from llmx.channel import Tls
from llmx.control import Control
from llmx.errors import LlmxError
from llmx.tokens import Tokens
from llmx.v1.cluster_pb2 import ClusterMember
from llmx.v1.control_service_pb2 import ListPoliciesResponse
from llmx.v1.policy_pb2 import AcceptanceProfile

WIDTH_PLAIN = 160
STANDS_SECONDS = 5.0
"""How long a change may take until every gateway has it."""
LOOK_SECONDS = 0.1

Holds = Callable[[ListPoliciesResponse], bool]


class PolicyCtl:
    """One use of `llmx ctl policy`; every method returns the exit code."""

    def __init__(self, gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> None:
        """Take what all commands of an operator take."""
        self._gateway = gateway
        self._token = token
        self._tls: Tls = True if tls == "system" else tls
        self._as_json = as_json

    def list(self) -> int:
        """Print the profiles that calls can name."""

        async def work(cluster: Reached, control: Control) -> int:
            told = await control.list_policies()
            if self._as_json:
                for profile in told.profiles:
                    self._tell(profile, told.default_name)
                return OK
            console = Console()
            width = console.width if console.is_terminal else WIDTH_PLAIN
            Console(width=width, markup=False).print(policies_table(told))
            say(f"* what a call gets that names no policy: {told.default_name}")
            return OK

        return self._with_control("list", work)

    def get(self, name: str) -> int:
        """Print one profile, as `set` takes it."""

        async def work(cluster: Reached, control: Control) -> int:
            told = await control.list_policies()
            profile = _found(told, name)
            if profile is None:
                known = ", ".join(one.name for one in told.profiles)
                raise CommandError(f"there is no profile {name}", f"there are {known}", FAILED)
            if self._as_json:
                self._tell(profile, told.default_name)
            else:
                say(json.dumps(_fields(profile), indent=2))
            return OK

        return self._with_control("get", work)

    def set(self, name: str, parameters: str) -> int:
        """Add or change a profile, and wait until every gateway has it."""

        async def work(cluster: Reached, control: Control) -> int:
            made = await control.put_policy(profile_of(name, parameters))

            def holds(told: ListPoliciesResponse) -> bool:
                profile = _found(told, made.name)
                return profile is not None and profile.revision >= made.revision

            stands = await self._stands(cluster, control, holds)
            if self._as_json:
                self._tell(made, "", gateways=stands)
            else:
                say(f"{made.name}@{made.revision} is what new calls by this name get at {stands}")
            return self._complain(cluster)

        return self._with_control("set", work)

    def delete(self, name: str) -> int:
        """Delete a profile, and wait until no gateway has it."""

        async def work(cluster: Reached, control: Control) -> int:
            before = _found(await control.list_policies(), name)
            await control.delete_policy(name)
            gone = 0 if before is None else before.revision

            def holds(told: ListPoliciesResponse) -> bool:
                profile = _found(told, name)
                return profile is None or profile.revision != gone

            stands = await self._stands(cluster, control, holds)
            if self._as_json:
                line = {"kind": "deleted", "name": name, "gateways": stands}
                say(json.dumps(line))
            else:
                say(f"{name} is deleted at {stands}")
            return self._complain(cluster)

        return self._with_control("delete", work)

    async def _stands(self, cluster: Reached, control: Control, holds: Holds) -> str:
        """Wait until it holds at every gateway; returns their names."""
        members = cluster.told.members
        async with asyncio.TaskGroup() as tasks:
            asked = [
                tasks.create_task(self._stands_at(cluster, member, control, holds))
                for member in members
            ]
        names = [
            member.gateway_id for member, task in zip(members, asked, strict=True) if task.result()
        ]
        return ", ".join(sorted(names)) or "no gateway"

    async def _stands_at(
        self, cluster: Reached, member: ClusterMember, control: Control, holds: Holds
    ) -> bool:
        own = member.gateway_id == cluster.told.cluster.gateway_id
        used = control if own else Control(member.agents_address, cluster.tokens, self._tls)
        try:
            async with asyncio.timeout(STANDS_SECONDS):
                while True:
                    if holds(await used.list_policies()):
                        return True
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            cluster.trouble.append(f"gateway {member.gateway_id} does not have it yet")
        except LlmxError as error:
            cluster.trouble.append(
                f"whether gateway {member.gateway_id} at {member.agents_address} has it is "
                f"unknown: {error}"
            )
        finally:
            if not own:
                await used.close()
        return False

    def _complain(self, cluster: Reached) -> int:
        for sentence in cluster.trouble:
            complain("ctl policy", CommandError(sentence))
        return FAILED if cluster.trouble else OK

    def _tell(self, profile: AcceptanceProfile, default: str, **more: Any) -> None:
        line = {
            "kind": "profile",
            "name": profile.name,
            "revision": profile.revision,
            "default": profile.name == default,
            "parameters": _fields(profile),
            **more,
        }
        say(json.dumps(line))

    def _with_control(
        self, command: str, work: Callable[[Reached, Control], Awaitable[int]]
    ) -> int:
        async def ask() -> int:
            check_gateways(self._gateway)
            token = token_of(OPERATOR, self._token, roles=("operator",))
            async with (
                reached(self._gateway, token, self._tls) as cluster,
                _control(cluster.admin.address, cluster.tokens, self._tls) as control,
            ):
                return await work(cluster, control)

        try:
            return run(ask())
        except CommandError as error:
            return complain(f"ctl policy {command}", error)


@asynccontextmanager
async def _control(address: str, tokens: Tokens, tls: Tls) -> AsyncIterator[Control]:
    control = Control(address, tokens, tls)
    try:
        yield control
    finally:
        await control.close()


def _found(told: ListPoliciesResponse, name: str) -> AcceptanceProfile | None:
    return next((one for one in told.profiles if one.name == name), None)


def _fields(profile: AcceptanceProfile) -> dict[str, Any]:
    """Return a profile as `set` takes it."""
    fields = {"window": None, "settle": 0.0, **fields_in(profile)}
    return dict(sorted(fields.items()))
