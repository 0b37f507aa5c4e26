"""`llmx ctl ledger` and `llmx ctl resources`: accounts, budgets and calendars.

The ledger of a cluster is one, so any gateway that keeps it answers for all.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.commands.access import answering, check_gateways, token_of
from gateway.commands.ctl import OPERATOR
from gateway.commands.interrupts import run
from gateway.commands.lines import clean, say
from gateway.commands.proto_json import plain
from gateway.commands.trouble import FAILED, OK, CommandError, complain, explained
from llmx.channel import Tls, open_channel
from llmx.errors import ControlError, LlmxError, control_error
from llmx.tokens import Tokens
from llmx.v1 import ledger_service_pb2 as wire
from llmx.v1.credit_pb2 import Account, Budget
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceStub
from llmx.v1.resource_pb2 import Resource
from policy.ledger import credits_of

CALL_SECONDS = 10.0
WIDTH_PIPED = 1_000
"""Who reads a pipe needs ids whole; no line is padded to it."""
SAID_IN_FULL = ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "PERMISSION_DENIED")

Ask = Callable[[str, Message], Awaitable[Any]]


class LedgerCtl:
    """One use of a command; every method returns the exit code."""

    def __init__(self, gateway: str, token: str | None, tls: str | None, *, as_json: bool) -> None:
        """Take what all commands of an operator take."""
        self._gateway = gateway
        self._token = token
        self._tls: Tls = True if tls == "system" else tls
        self._as_json = as_json

    def ledger(self) -> int:
        """Print sums, accounts and costs."""

        async def work(ask: Ask) -> None:
            told = await ask("GetLedger", wire.GetLedgerRequest())
            if self._as_json:
                self._tell("totals", told.totals)
                for account in told.accounts:
                    self._tell("account", account)
                for cost in told.costs:
                    self._tell("cost", cost)
                return
            sums = told.totals
            say(
                f"{credits_of(sums.minted_micros)} credits were given: "
                f"{credits_of(sums.available_micros)} are available, "
                f"{credits_of(sums.held_micros)} held, {credits_of(sums.paid_micros)} paid, "
                f"{credits_of(sums.burned_micros)} taken out"
            )
            _print(("agent",), ("available", "held"), map(_account_row, told.accounts))
            if told.costs:
                say("")
                rows = (
                    (
                        cost.agent_id,
                        cost.resource or "–",
                        cost.project or "–",
                        cost.negotiation_id,
                        credits_of(cost.micros),
                    )
                    for cost in told.costs
                )
                _print(("agent", "resource", "project", "negotiation"), ("paid",), rows)

        return self._with_gateway("ledger", work)

    def statement(self, agent: str, lines_max: int) -> int:
        """Print what has changed an account."""

        async def work(ask: Ask) -> None:
            request = wire.GetStatementRequest(agent_id=agent, lines_max=lines_max)
            told = await ask("GetStatement", request)
            if self._as_json:
                self._tell("account", told.account)
                for line in told.lines:
                    self._tell("line", line)
                if told.HasField("budget"):
                    self._tell("budget", told.budget)
                return
            rows = (
                (
                    line.at.ToJsonString(),
                    line.key,
                    credits_of(line.available_micros),
                    credits_of(line.held_micros),
                    credits_of(line.balance.available_micros),
                    credits_of(line.balance.held_micros),
                    ", ".join(spent.hold_id for spent in line.spent),
                )
                for line in told.lines
            )
            if told.lines:
                figures = ("available", "held", "then available", "then held")
                _print(("at", "by"), figures, rows, last=("hold that was paid",))
            else:
                say(
                    f"{clean(agent)} was never given credit; llmx ctl ledger give {clean(agent)} 10"
                )
            if told.HasField("budget"):
                say(_budget_line(told.budget))
            if told.has_more:
                say("there are earlier lines; --lines shows more")

        return self._with_gateway("ledger of", work)

    def give(self, agent: str, micros: int, key: str) -> int:
        """Give credit, or take it out."""

        async def work(ask: Ask) -> None:
            request = wire.GiveCreditRequest(agent_id=agent, micros=micros, key=key)
            self._show_account((await ask("GiveCredit", request)).account)

        return self._with_gateway("ledger give", work)

    def refund(self, hold: str, micros: int, key: str) -> int:
        """Give back what was paid."""

        async def work(ask: Ask) -> None:
            request = wire.RefundCreditRequest(hold_id=hold, micros=micros, key=key)
            self._show_account((await ask("RefundCredit", request)).account)

        return self._with_gateway("ledger refund", work)

    def budget(self, name: str, micros: int, seconds: float | None) -> int:
        """Make a budget, or change it."""
        budget = Budget(name=name, micros=micros)
        if seconds is not None:
            budget.window.FromNanoseconds(round(seconds * 1e9))

        async def work(ask: Ask) -> None:
            stands = (await ask("SetBudget", wire.SetBudgetRequest(budget=budget))).budget
            if self._as_json:
                self._tell("budget", stands)
            else:
                say(_budget_line(stands))

        return self._with_gateway("ledger budget", work)

    def resources(self, prefix: str) -> int:
        """Print resources and their calendars."""

        async def work(ask: Ask) -> None:
            told = await ask("ListResources", wire.ListResourcesRequest(prefix=prefix))
            if self._as_json:
                for resource in told.resources:
                    self._tell("resource", resource)
            elif told.resources:
                self._print_calendars(told.resources)
            else:
                say("there are no resources; llmx ctl resources set gpu 8 registers one")

        return self._with_gateway("resources", work)

    def set_resource(self, name: str, units: int, reserve: float | None = None) -> int:
        """Register a resource, or change it."""

        async def work(ask: Ask) -> None:
            wanted = Resource(name=name, units=units, reserve=reserve)
            request = wire.SetResourceRequest(resource=wanted)
            stands = (await ask("SetResource", request)).resource
            if self._as_json:
                self._tell("resource", stands)
            else:
                kept = f", {stands.reserve:.0%} for the system class" if stands.reserve else ""
                say(f"{clean(stands.name)} has {stands.units} units{kept}")

        return self._with_gateway("resources set", work)

    def _print_calendars(self, resources: Any) -> None:
        rows = (
            (
                one.name,
                str(one.units),
                f"{one.reserve:.0%}",
                str(one.units - _taken(one)),
                str(len(one.bookings)),
            )
            for one in resources
        )
        columns = ("units", "reserve", "free of all bookings", "bookings")
        _print(("resource",), columns, rows)
        booked = [(one.name, booking) for one in resources for booking in one.bookings]
        if not booked:
            return
        say("")
        _print(
            ("resource", "from", "until", "agent", "negotiation"),
            ("units", "fence"),
            (
                (
                    name,
                    booking.starts_at.ToJsonString(),
                    booking.ends_at.ToJsonString(),
                    booking.agent_id,
                    booking.negotiation_id,
                    str(booking.units),
                    str(booking.fencing or "held"),
                )
                for name, booking in booked
            ),
        )

    def _show_account(self, account: Account) -> None:
        if self._as_json:
            self._tell("account", account)
        else:
            agent, available, held = _account_row(account)
            say(f"{clean(agent)} has {available} credits, and {held} are held")

    def _tell(self, kind: str, message: Message) -> None:
        say(json.dumps({"kind": kind, **plain(message)}, ensure_ascii=True))

    def _with_gateway(self, command: str, work: Callable[[Ask], Awaitable[None]]) -> int:
        async def answer() -> int:
            check_gateways(self._gateway)
            token = token_of(OPERATOR, self._token, roles=("operator",))
            try:
                channel = open_channel(await answering(self._gateway, self._tls), self._tls)
            except OSError as error:
                reason = f"{self._tls}: {error.strerror or error}"
                raise CommandError(reason, "name a PEM file of root certificates") from None
            stub, tokens = LedgerServiceStub(channel), Tokens(token)

            async def ask(name: str, request: Message) -> Any:
                metadata = (("authorization", f"Bearer {await tokens.fetch()}"),)
                method = getattr(stub, name)
                try:
                    return await method(request, metadata=metadata, timeout=CALL_SECONDS)
                except grpc.RpcError as error:
                    raise _failure(control_error(error), self._gateway) from error

            try:
                await work(ask)
            finally:
                await channel.close()
            return OK

        try:
            return run(answer())
        except CommandError as error:
            return complain(f"ctl {command}", error)


def _failure(error: LlmxError, gateway: str) -> CommandError:
    if isinstance(error, ControlError) and error.status in SAID_IN_FULL:
        return CommandError(error.detail, code=FAILED)
    return explained(error, gateway)


def _account_row(account: Account) -> tuple[str, str, str]:
    return (
        account.agent_id,
        credits_of(account.available_micros),
        credits_of(account.held_micros),
    )


def _budget_line(budget: Budget) -> str:
    window = f"in {budget.window.ToSeconds():,} s" if budget.HasField("window") else "in all"
    again = f"; it begins anew at {budget.resets_at.ToJsonString()}" if window != "in all" else ""
    return (
        f"{clean(budget.name)} may use {credits_of(budget.micros)} credits {window}, and has used "
        f"{credits_of(budget.used_micros)}{again}"
    )


def _taken(resource: Resource) -> int:
    return min(resource.units, sum(booking.units for booking in resource.bookings))


def _print(
    words: tuple[str, ...], figures: tuple[str, ...], rows: Any, last: tuple[str, ...] = ()
) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in words:
        table.add_column(column, no_wrap=True)
    for column in figures:
        table.add_column(column, no_wrap=True, justify="right")
    for column in last:  # ids, which another command needs whole
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console = Console()
    Console(width=console.width if console.is_terminal else WIDTH_PIPED, markup=False).print(table)
