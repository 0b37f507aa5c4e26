"""The ledger service: accounts, budgets and resources, for operators and for their owners.

The service checks who asks and what; the ledger itself is the business of a `LedgerView`.
"""

from __future__ import annotations

from typing import Any, Final

import grpc

from gateway.auth import Identity
from gateway.ledger_reading import JournalCrowded
from gateway.ledger_view import AGENT, LedgerView
from gateway.methods import (
    CANNOT,
    INVALID,
    Authenticate,
    Method,
    check,
    end,
    handlers_of,
    operator,
)
from gateway.session import Context
from llmx.v1 import ledger_service_pb2 as messages
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceServicer
from policy.ledger import MICROS_MAX, credits_of
from policy.resources import UNITS_MAX
from policy.store import Refused, StoreError

LINES: Final = 100
LINES_MAX: Final = 10_000
NAME_LENGTH_MAX: Final = 256
KEY_LENGTH_MAX: Final = 128
REQUEST_BYTES_MAX: Final = 64 * 1024
MOST: Final = credits_of(MICROS_MAX)
"""Credits that one change moves at most, as people are told."""


class LedgerService(LedgerServiceServicer):
    """Serves llmx.v1.LedgerService."""

    def __init__(self, authenticate: Authenticate, view: LedgerView | None) -> None:
        """Serve what `view` shows; None where no ledger is kept."""
        self._authenticate = authenticate
        self._shown = view

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the methods for a server, which look at a request's size before its content."""
        return handlers_of(self, messages, REQUEST_BYTES_MAX, _answered)

    async def _operator(self, context: Context) -> tuple[Identity, LedgerView]:
        identity = await operator(self._authenticate, context)
        return identity, await self._view(context)

    async def _view(self, context: Context) -> LedgerView:
        if self._shown is None:
            await end(
                context, CANNOT, "this gateway keeps no ledger; its operator sets market.store"
            )
        return self._shown

    async def GetStatement(
        self, request: messages.GetStatementRequest, context: Context
    ) -> messages.GetStatementResponse:
        """See ledger_service.proto."""
        identity = await self._authenticate(context)
        agent = request.agent_id or identity.agent_id
        if agent != identity.agent_id:
            await self._operator(context)
        view = await self._view(context)
        await _check_agent(context, agent)
        size = request.lines_max or LINES
        reason = f"lines_max={size}: must be at most {LINES_MAX}"
        await check(context, size <= LINES_MAX, INVALID, reason)
        account, lines, more = await view.statement(identity.tenant, agent, size)
        budget = await view.budget(identity.tenant, agent)
        return messages.GetStatementResponse(
            account=account, lines=lines, has_more=more, budget=budget
        )

    async def GetLedger(
        self, request: messages.GetLedgerRequest, context: Context
    ) -> messages.GetLedgerResponse:
        """See ledger_service.proto."""
        identity, view = await self._operator(context)
        since = request.since.ToNanoseconds() / 1e9
        totals, accounts, costs = await view.ledger(identity.tenant, since)
        return messages.GetLedgerResponse(totals=totals, accounts=accounts, costs=costs)

    async def GiveCredit(
        self, request: messages.GiveCreditRequest, context: Context
    ) -> messages.GiveCreditResponse:
        """See ledger_service.proto."""
        identity, view = await self._operator(context)
        await _check_agent(context, request.agent_id)
        await _check_key(context, request.key)
        micros = request.micros
        reason = f"{credits_of(micros)} credits: give up to {MOST}, or below zero to take them out"
        await check(context, micros != 0 and abs(micros) <= MICROS_MAX, INVALID, reason)
        refused = await view.give(identity.tenant, request.agent_id, micros, request.key)
        await _check_done(context, refused)
        account = await view.account(identity.tenant, request.agent_id)
        return messages.GiveCreditResponse(account=account)

    async def RefundCredit(
        self, request: messages.RefundCreditRequest, context: Context
    ) -> messages.RefundCreditResponse:
        """See ledger_service.proto."""
        identity, view = await self._operator(context)
        await _check_key(context, request.key)
        reason = "hold_id: name a hold of a statement, and 0 credits or more"
        named = 0 < len(request.hold_id) <= NAME_LENGTH_MAX
        await check(context, named and request.micros >= 0, INVALID, reason)
        paid = await view.refund(identity.tenant, request.hold_id, request.micros, request.key)
        if isinstance(paid, Refused):
            await _check_done(context, paid)
            raise AssertionError("a refusal ends the call")
        account = await view.account(identity.tenant, paid)
        return messages.RefundCreditResponse(account=account)

    async def SetBudget(
        self, request: messages.SetBudgetRequest, context: Context
    ) -> messages.SetBudgetResponse:
        """See ledger_service.proto."""
        identity, view = await self._operator(context)
        budget = request.budget
        await _check_name(context, budget.name)
        reason = f"{credits_of(budget.micros)} credits: must be 0 to {MOST}, in a window above 0"
        endless = not budget.HasField("window") or budget.window.ToNanoseconds() > 0
        await check(context, 0 <= budget.micros <= MICROS_MAX and endless, INVALID, reason)
        await _check_done(context, await view.set_budget(identity.tenant, budget))
        stands = await view.budget(identity.tenant, budget.name)
        return messages.SetBudgetResponse(budget=stands)

    async def ListResources(
        self, request: messages.ListResourcesRequest, context: Context
    ) -> messages.ListResourcesResponse:
        """See ledger_service.proto."""
        identity, view = await self._operator(context)
        found = await view.resources(identity.tenant, request.prefix[:NAME_LENGTH_MAX])
        return messages.ListResourcesResponse(resources=found)

    async def SetResource(
        self, request: messages.SetResourceRequest, context: Context
    ) -> messages.SetResourceResponse:
        """See ledger_service.proto."""
        identity, view = await self._operator(context)
        resource = request.resource
        await _check_name(context, resource.name)
        reason = f"units={resource.units}: must be at most {UNITS_MAX}"
        await check(context, resource.units <= UNITS_MAX, INVALID, reason)
        reason = f"reserve={resource.reserve:g}: must be a part of the units, 0 to 1"
        await check(context, 0 <= resource.reserve <= 1, INVALID, reason)
        await _check_done(context, await view.set_resource(identity.tenant, resource))
        stands = await view.resource(identity.tenant, resource.name)
        return messages.SetResourceResponse(resource=stands)


def _answered(method: Method) -> Method:
    """Return the method with what goes wrong around it told in a status."""

    async def answered(request: Any, context: Context) -> Any:
        try:
            return await method(request, context)
        except StoreError as error:
            reason = f"the ledger cannot be reached: {error}; ask again later"
            await end(context, grpc.StatusCode.UNAVAILABLE, reason)
        except JournalCrowded as error:
            reason = f"OVERLOADED: {error}; ask again in a moment"
            await end(context, grpc.StatusCode.RESOURCE_EXHAUSTED, reason)

    return answered


async def _check_agent(context: Context, agent: str) -> None:
    is_one = agent.startswith(AGENT) and len(AGENT) < len(agent) <= NAME_LENGTH_MAX
    await check(context, is_one, INVALID, "agent_id: name an agent, agent://alice for example")


async def _check_name(context: Context, name: str) -> None:
    is_one = 0 < len(name) <= NAME_LENGTH_MAX and "|" not in name
    await check(context, is_one, INVALID, f"name: 1 to {NAME_LENGTH_MAX} characters, no |")


async def _check_key(context: Context, key: str) -> None:
    reason = f"key: at most {KEY_LENGTH_MAX} characters"
    await check(context, len(key) <= KEY_LENGTH_MAX, INVALID, reason)


async def _check_done(context: Context, refused: Refused | None) -> None:
    if refused is not None:
        await end(context, CANNOT, f"{refused.code}: {refused.detail}")
