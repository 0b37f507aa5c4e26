"""`llmx ctl …`: what a cluster looks like, and emptying one of its gateways.

The gateway that is asked tells of the others; links and negotiations are asked of all of them.
Whoever does not answer is named on standard error, and then the exit code is 1.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from gateway.commands.access import check_gateways, token_of
from gateway.commands.admin import Reached, reached
from gateway.commands.ctl_tables import (
    agents_table,
    cluster_line,
    detail_lines,
    drain_line,
    events_table,
    links_table,
    members_table,
    negotiations_table,
    parties_table,
)
from gateway.commands.interrupts import run
from gateway.commands.lines import say
from gateway.commands.proto_json import plain
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from llmx.channel import Tls
from llmx.v1.cluster_pb2 import Drain, DrainState, NegotiationDetail

OPERATOR = "agent://operator"
ROLES = ("operator", "exchange-operator")
"""Of the development token that is made when none is given."""
ALONE = (
    "it stands alone; `federation.etcd` or `federation.peers` makes it one of a cluster, "
    "and `llmx up --regions eu,us,ap` starts one here"
)
WIDTH_PLAIN = 160

Work = Callable[[Reached], Awaitable[int]]


class Ctl:
    """One use of `llmx ctl`; every method returns the exit code."""

    def __init__(self, gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> None:
        """Take what all commands of an operator take."""
        self._gateway = gateway
        self._token = token
        self._tls: Tls = True if tls == "system" else tls
        self._as_json = as_json

    def members(self) -> int:
        """Print the gateways."""

        async def work(cluster: Reached) -> int:
            told = cluster.told
            if self._as_json:
                _tell("cluster", told.cluster)
                if told.HasField("drain"):
                    _tell("drain", told.drain)
                for member in told.members:
                    _tell("member", member)
                return OK
            say(cluster_line(told.cluster))
            _print(members_table(told.members))
            if told.HasField("drain"):
                say(drain_line(told.drain))
            if cluster.is_alone:
                say(ALONE)
            return OK

        return self._with_cluster("members", work)

    def links(self, limit: int) -> int:
        """Print the links, each from both of its ends."""

        async def work(cluster: Reached) -> int:
            rows, more = await cluster.of_all(lambda admin: admin.links(limit))
            rows.sort(key=lambda link: (link.gateway_id, link.peer_id))
            nothing = f"there are no links: {ALONE}" if cluster.is_alone else "there are no links"
            return self._show(cluster, "link", rows, links_table, nothing, more=more)

        return self._with_cluster("links", work)

    def agents(self, at: str, limit: int) -> int:
        """Print the agents of the tenant with their homes."""

        async def work(cluster: Reached) -> int:
            if at:
                cluster.member(at)
            rows, more = await cluster.admin.agents(limit, at)
            nothing = f"no agent is here{f' at {at}' if at else ''}; start one with: llmx agent …"
            return self._show(cluster, "agent", rows, agents_table, nothing, more=more)

        return self._with_cluster("agents", work)

    def negotiations(self, limit: int) -> int:
        """Print the negotiations of the tenant, of all gateways."""

        async def work(cluster: Reached) -> int:
            rows, more = await cluster.of_all(lambda admin: admin.negotiations(limit))
            rows.sort(key=lambda row: (row.opened_at.ToNanoseconds(), row.negotiation_id))
            kind, nothing = "negotiation", "nobody negotiates, and nobody did a short while ago"
            return self._show(cluster, kind, rows, negotiations_table, nothing, more=more)

        return self._with_cluster("negotiations", work)

    def show(self, negotiation_id: str) -> int:
        """Print one negotiation, whichever gateway decides it."""

        async def work(cluster: Reached) -> int:
            detail = await _found(cluster, negotiation_id)
            self._complain(cluster)
            if detail is None:
                raise CommandError(
                    f"no gateway that answers decides a negotiation {negotiation_id}",
                    "finished ones are remembered for limits.linger_seconds; "
                    "llmx ctl negotiations lists those there are",
                    FAILED,
                )
            if self._as_json:
                _tell("negotiation", detail)
                return OK
            for line in detail_lines(detail):
                say(line)
            _print(parties_table(detail.parties))
            if detail.events:
                say("")
                _print(events_table(detail))
            return OK

        return self._with_cluster("show", work)

    def drain(self, gateway_id: str, rate: float, seconds: float) -> int:
        """Empty a gateway, and tell how far it is until it is."""

        async def work(cluster: Reached) -> int:
            last: Drain | None = None
            try:
                async with cluster.at(cluster.member(gateway_id)) as admin:
                    async for drain in admin.drain(gateway_id, rate, seconds):
                        last = drain
                        self._tell_drain(drain)
            except asyncio.CancelledError:
                if not self._as_json:
                    say(
                        f"the drain of {gateway_id} goes on; llmx ctl drain {gateway_id} watches "
                        "it again, with --abort it is taken back"
                    )
                raise
            if last is None or last.state != DrainState.DRAIN_STATE_DRAINED:
                return FAILED
            return OK

        return self._with_cluster("drain", work)

    def abort_drain(self, gateway_id: str) -> int:
        """Take a drain back."""

        async def work(cluster: Reached) -> int:
            async with cluster.at(cluster.member(gateway_id)) as admin:
                self._tell_drain(await admin.abort_drain(gateway_id))
            return OK

        return self._with_cluster("drain --abort", work)

    def _tell_drain(self, drain: Drain) -> None:
        if self._as_json:
            _tell("drain", drain)
        else:
            say(drain_line(drain))

    def _show(
        self,
        cluster: Reached,
        kind: str,
        rows: Sequence[Any],
        table: Callable[[Iterable[Any]], Table],
        nothing: str,
        *,
        more: bool,
    ) -> int:
        """Print rows, and what there is to say beside them; returns the exit code."""
        if self._as_json:
            for row in rows:
                _tell(kind, row)
        elif rows:
            _print(table(rows))
        else:
            say(nothing)
        if more:
            print("there are more; --limit shows them", file=sys.stderr, flush=True)
        return self._complain(cluster)

    def _complain(self, cluster: Reached) -> int:
        for sentence in cluster.trouble:
            complain("ctl", CommandError(sentence))
        return FAILED if cluster.trouble else OK

    def _with_cluster(self, command: str, work: Work) -> int:
        async def ask() -> int:
            check_gateways(self._gateway)
            token = token_of(OPERATOR, self._token, roles=ROLES)
            async with reached(self._gateway, token, self._tls) as cluster:
                return await work(cluster)

        try:
            return run(ask())
        except CommandError as error:
            return complain(f"ctl {command}", error)


async def _found(cluster: Reached, negotiation_id: str) -> NegotiationDetail | None:
    """Ask the gateway that the id begins with, then the others."""
    opener = negotiation_id.split(".", 1)[0]
    for member in sorted(cluster.told.members, key=lambda one: one.gateway_id != opener):
        detail = await cluster.of(member, lambda admin: admin.show(negotiation_id))
        if detail is not None:
            return detail
    return None


def _tell(kind: str, message: Message) -> None:
    """Print a message for a program: one JSON object that says what it is."""
    say(json.dumps({"kind": kind, **plain(message)}, ensure_ascii=True))


def _print(table: Table) -> None:
    console = Console()
    Console(width=console.width if console.is_terminal else WIDTH_PLAIN, markup=False).print(table)
