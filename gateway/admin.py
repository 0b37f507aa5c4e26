"""The admin service: what operators see of a cluster, and how they empty a gateway.

The service checks who asks and what, and pages; what there is to see, and the work of a drain,
is the business of an `AdminView`, which answers from memory.

An operator of a tenant sees what is the tenant's, and the gateways. To act upon a gateway, which
serves all tenants, takes an operator of the exchange.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

import grpc

from gateway.auth import Identity
from gateway.methods import CANNOT, INVALID, Authenticate, check, end, handlers_of, operator
from gateway.session import Context
from llmx.v1 import admin_service_pb2 as messages
from llmx.v1.admin_service_pb2_grpc import AdminServiceServicer
from llmx.v1.cluster_pb2 import (
    Cluster,
    ClusterLink,
    ClusterMember,
    Drain,
    DrainState,
    LocatedAgent,
    NegotiationDetail,
    NegotiationSummary,
)

EXCHANGE_OPERATOR: Final = "exchange-operator"
"""The role of those who may act upon gateways; they may see what any operator sees."""
PAGE_SIZE: Final = 100
PAGE_SIZE_MAX: Final = 1_000
WORD_LENGTH_MAX: Final = 1_024
"""Of page tokens and ids in requests."""
REQUEST_BYTES_MAX: Final = 64 * 1024

RATE: Final = 500.0
RATE_MAX: Final = 100_000.0
DEADLINE_SECONDS: Final = 600.0
DEADLINE_SECONDS_MAX: Final = 86_400.0
LOOK_SECONDS: Final = 0.5
"""How often a drain that is watched is looked at."""

T = TypeVar("T")


class AdminView(Protocol):
    """What a gateway knows and can do for its operators. Nothing in it waits or fails."""

    def cluster(self) -> Cluster:
        """Return the cluster, with how this gateway learns of others."""

    def members(self) -> Iterable[ClusterMember]:
        """Return every gateway that is known, the own one included."""

    def links(self) -> Iterable[ClusterLink]:
        """Return the links between this gateway and others."""

    def agents(
        self, tenant: str, limit: int, after: str = "", gateway_id: str = ""
    ) -> Iterable[LocatedAgent]:
        """Return agents of a tenant by address: the first `limit` that sort behind `after`.

        With `gateway_id` only those whose home it is.
        """

    def negotiations(
        self, tenant: str, limit: int, after: str = ""
    ) -> Iterable[NegotiationSummary]:
        """Return negotiations that this gateway decides, by id: the first that sort behind."""

    def show(self, tenant: str, negotiation_id: str) -> NegotiationDetail | None:
        """Return one of them; None when this gateway has none of this id and tenant."""

    def drain(self, rate: float, deadline: float) -> None:
        """Begin to empty this gateway: `rate` agents a second, given up after `deadline` seconds.

        When that has begun already it goes on, with these.
        """

    def abort_drain(self) -> bool:
        """Let agents in again; False when nothing is drained, or the process is stopping."""

    def drained(self) -> Drain | None:
        """Return how far the drain is that was begun last, None when there was none."""


class AdminService(AdminServiceServicer):
    """Serves llmx.v1.AdminService."""

    def __init__(
        self,
        authenticate: Authenticate,
        view: AdminView,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Serve what `view` knows; `pause` waits between two looks at a drain."""
        self._authenticate = authenticate
        self._view = view
        self._pause = pause

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the methods for a server, which look at a request's size before its content."""
        return handlers_of(self, messages, REQUEST_BYTES_MAX)

    async def _operator(self, context: Context) -> Identity:
        return await operator(self._authenticate, context, EXCHANGE_OPERATOR)

    async def _exchange_operator(self, context: Context) -> None:
        identity = await self._authenticate(context)
        await check(
            context,
            EXCHANGE_OPERATOR in identity.roles,
            grpc.StatusCode.PERMISSION_DENIED,
            f"{identity.agent_id} is no operator of the exchange, and a gateway serves all "
            f'tenants: this needs the role "{EXCHANGE_OPERATOR}" in the token; '
            f"for development: llmx token AGENT --role {EXCHANGE_OPERATOR}",
        )

    # ------------------------------------------------------------------ looking

    async def ListMembers(
        self, request: messages.ListMembersRequest, context: Context
    ) -> messages.ListMembersResponse:
        """See admin_service.proto."""
        await self._operator(context)
        size = await _page_size(request, context)
        members = sorted(self._view.members(), key=_id_of_member)
        page, token = _page(
            (one for one in members if one.gateway_id > request.page_token), size, _id_of_member
        )
        drain = self._view.drained()
        return messages.ListMembersResponse(
            cluster=self._view.cluster(), members=page, next_page_token=token, drain=drain
        )

    async def ListLinks(
        self, request: messages.ListLinksRequest, context: Context
    ) -> messages.ListLinksResponse:
        """See admin_service.proto."""
        await self._operator(context)
        size = await _page_size(request, context)
        links = sorted(self._view.links(), key=_id_of_link)
        page, token = _page(
            (link for link in links if link.peer_id > request.page_token), size, _id_of_link
        )
        return messages.ListLinksResponse(links=page, next_page_token=token)

    async def LocateAgents(
        self, request: messages.LocateAgentsRequest, context: Context
    ) -> messages.LocateAgentsResponse:
        """See admin_service.proto."""
        tenant = (await self._operator(context)).tenant
        size = await _page_size(request, context)
        await _check_word(context, "gateway_id", request.gateway_id)
        found = self._view.agents(tenant, size + 1, request.page_token, request.gateway_id)
        page, token = _page(found, size, lambda located: located.agent.agent_id)
        return messages.LocateAgentsResponse(agents=page, next_page_token=token)

    async def ListNegotiations(
        self, request: messages.ListNegotiationsRequest, context: Context
    ) -> messages.ListNegotiationsResponse:
        """See admin_service.proto."""
        tenant = (await self._operator(context)).tenant
        size = await _page_size(request, context)
        found = self._view.negotiations(tenant, size + 1, request.page_token)
        page, token = _page(found, size, lambda summary: summary.negotiation_id)
        return messages.ListNegotiationsResponse(negotiations=page, next_page_token=token)

    async def ShowNegotiation(
        self, request: messages.ShowNegotiationRequest, context: Context
    ) -> messages.ShowNegotiationResponse:
        """See admin_service.proto."""
        tenant = (await self._operator(context)).tenant
        wanted = request.negotiation_id
        await _check_word(context, "negotiation_id", wanted)
        await check(context, bool(wanted), INVALID, "negotiation_id is empty; name one")
        detail = self._view.show(tenant, wanted)
        if detail is None:
            here = self._view.cluster().gateway_id
            await end(
                context,
                grpc.StatusCode.NOT_FOUND,
                f"gateway {here} decides no negotiation of this id, or no longer; "
                "ask the gateway that its id begins with, or the one that has taken it over",
            )
        return messages.ShowNegotiationResponse(negotiation=detail)

    # ------------------------------------------------------------------ draining

    async def Drain(
        self, request: messages.DrainRequest, context: Context
    ) -> AsyncIterator[messages.DrainResponse]:
        """See admin_service.proto."""
        await self._exchange_operator(context)
        await self._check_meant(context, request.gateway_id)
        rate = request.agents_per_second or RATE
        deadline = DEADLINE_SECONDS
        if request.HasField("deadline"):
            deadline = request.deadline.seconds + request.deadline.nanos / 1e9
        for name, value, least, most in (
            ("agents_per_second", rate, 1.0, RATE_MAX),
            ("deadline", deadline, 0.001, DEADLINE_SECONDS_MAX),
        ):
            await check(
                context,
                math.isfinite(value) and least <= value <= most,
                INVALID,
                f"{name}={value:g}: must be {least:g} to {most:,.0f}",
            )
        here = self._view.cluster().gateway_id
        others = [one for one in self._view.members() if one.gateway_id != here]
        await check(
            context,
            bool(others),
            CANNOT,
            f"there is no gateway beside {here} that agents could move to; "
            "start another one first, or stop this one with SIGTERM",
        )
        self._view.drain(rate, deadline)
        told: Drain | None = None
        while (drain := self._view.drained()) is not None:
            if drain != told:
                yield messages.DrainResponse(drain=drain)
                told = drain
            if drain.state != DrainState.DRAIN_STATE_MOVING:
                return
            await self._pause(LOOK_SECONDS)

    async def AbortDrain(
        self, request: messages.AbortDrainRequest, context: Context
    ) -> messages.AbortDrainResponse:
        """See admin_service.proto."""
        await self._exchange_operator(context)
        await self._check_meant(context, request.gateway_id)
        await check(
            context,
            self._view.abort_drain(),
            CANNOT,
            f"gateway {request.gateway_id} is not draining, or its process is stopping already; "
            "there is nothing to take back",
        )
        return messages.AbortDrainResponse(drain=self._view.drained())

    async def _check_meant(self, context: Context, gateway_id: str) -> None:
        """End the call unless it names this gateway."""
        here = self._view.cluster().gateway_id
        await _check_word(context, "gateway_id", gateway_id)
        named = gateway_id or "no gateway"
        await check(
            context,
            gateway_id == here,
            CANNOT if gateway_id else INVALID,
            f"this is gateway {here}, and {named} is meant; ListMembers has the addresses of all",
        )


def _id_of_member(member: ClusterMember) -> str:
    return member.gateway_id


def _id_of_link(link: ClusterLink) -> str:
    return link.peer_id


def _page(found: Iterable[T], size: int, key: Callable[[T], str]) -> tuple[Sequence[T], str]:
    """Return the first `size` of what was found, and where the next page begins, if one does."""
    page = list(islice(found, size + 1))
    more = len(page) > size
    page = page[:size]
    return page, key(page[-1]) if more else ""


async def _page_size(request: Any, context: Context) -> int:
    """Return how many entries are wanted, of a request that is as it should be."""
    await _check_word(context, "page_token", request.page_token)
    size: int = request.page_size or PAGE_SIZE
    reason = f"page_size={size}: must be at most {PAGE_SIZE_MAX}; ask for further pages"
    await check(context, size <= PAGE_SIZE_MAX, INVALID, reason)
    return size


async def _check_word(context: Context, name: str, word: str) -> None:
    reason = f"{name} is too long; it has at most {WORD_LENGTH_MAX} characters"
    await check(context, len(word) <= WORD_LENGTH_MAX, INVALID, reason)
