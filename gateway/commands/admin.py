"""Talks to the admin services of a cluster, for `llmx ctl`.

A cluster is found through any gateway of it that answers; what each gateway knows only of
itself is asked of all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration

from gateway.commands.trouble import FAILED, CommandError, explained
from llmx.channel import Tls, open_channel
from llmx.errors import ControlError, LlmxError, Unreachable, control_error
from llmx.route import addresses_of
from llmx.tokens import Tokens, TokenSource
from llmx.v1 import admin_service_pb2 as wire
from llmx.v1.admin_service_pb2_grpc import AdminServiceStub
from llmx.v1.cluster_pb2 import (
    ClusterLink,
    ClusterMember,
    Drain,
    LocatedAgent,
    NegotiationDetail,
    NegotiationSummary,
)

CALL_SECONDS = 5.0
PAGE_SIZE = 1_000
MEMBERS_MAX = 10_000

T = TypeVar("T")
Row = TypeVar("Row")


class Admin:
    """The admin service of one gateway. Raises LlmxError for whatever goes wrong."""

    def __init__(self, address: str, tokens: Tokens, tls: Tls = None) -> None:
        """Talk to the gateway at `address`; `close` ends that."""
        self.address = address
        self._tokens = tokens
        self._channel = open_channel(address, tls)
        self._stub = AdminServiceStub(self._channel)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def members(self) -> wire.ListMembersResponse:
        """Return the cluster with all its members."""
        told = wire.ListMembersResponse()
        token = None
        while token != "" and len(told.members) < MEMBERS_MAX:
            request = wire.ListMembersRequest(page_size=PAGE_SIZE, page_token=token or "")
            page = await self._call(wire.ListMembersResponse, "ListMembers", request)
            told.MergeFrom(page)
            told.next_page_token = token = page.next_page_token
        return told

    async def links(self, limit: int) -> tuple[list[ClusterLink], bool]:
        """Return the links of this gateway, and whether there are more than `limit`."""
        return await self._pages(
            wire.ListLinksResponse, "ListLinks", wire.ListLinksRequest(), "links", limit
        )

    async def agents(self, limit: int, gateway_id: str) -> tuple[list[LocatedAgent], bool]:
        """Return agents of the tenant, those of one home or all."""
        request = wire.LocateAgentsRequest(gateway_id=gateway_id)
        return await self._pages(
            wire.LocateAgentsResponse, "LocateAgents", request, "agents", limit
        )

    async def negotiations(self, limit: int) -> tuple[list[NegotiationSummary], bool]:
        """Return negotiations of the tenant that this gateway decides."""
        kind, request = wire.ListNegotiationsResponse, wire.ListNegotiationsRequest()
        return await self._pages(kind, "ListNegotiations", request, "negotiations", limit)

    async def show(self, negotiation_id: str) -> NegotiationDetail | None:
        """Return one negotiation, None when this gateway does not decide it."""
        request = wire.ShowNegotiationRequest(negotiation_id=negotiation_id)
        try:
            answer = await self._call(wire.ShowNegotiationResponse, "ShowNegotiation", request)
        except ControlError as error:
            if error.status == "NOT_FOUND":
                return None
            raise
        return answer.negotiation

    async def drain(self, gateway_id: str, rate: float, seconds: float) -> AsyncIterator[Drain]:
        """Empty the gateway, and yield how far it is until it is, or until it has given up."""
        deadline = Duration()
        deadline.FromNanoseconds(round(seconds * 1e9))
        request = wire.DrainRequest(
            gateway_id=gateway_id, agents_per_second=rate, deadline=deadline
        )
        try:
            async for response in self._stub.Drain(request, metadata=await self._metadata()):
                yield response.drain
        except grpc.RpcError as error:
            raise control_error(error) from error

    async def abort_drain(self, gateway_id: str) -> Drain:
        """Take a drain back."""
        request = wire.AbortDrainRequest(gateway_id=gateway_id)
        return (await self._call(wire.AbortDrainResponse, "AbortDrain", request)).drain

    async def _pages(
        self, kind: type[Any], name: str, request: Any, rows: str, limit: int
    ) -> tuple[list[Any], bool]:
        found: list[Any] = []
        while len(found) < limit:
            request.page_size = min(limit - len(found), PAGE_SIZE)
            page = await self._call(kind, name, request)
            found += getattr(page, rows)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found, False
        return found, True

    async def _call(self, kind: type[T], name: str, request: Any) -> T:
        method = getattr(self._stub, name)
        try:
            answer = await method(request, metadata=await self._metadata(), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise _translated(error) from error
        assert isinstance(answer, kind), "the stub parses what its service declares"
        return answer

    async def _metadata(self) -> tuple[tuple[str, str]]:
        return (("authorization", f"Bearer {await self._tokens.fetch()}"),)


def _translated(error: grpc.RpcError) -> LlmxError:
    late = grpc.StatusCode.DEADLINE_EXCEEDED
    if isinstance(error, grpc.aio.AioRpcError) and error.code() is late:
        return Unreachable(f"no answer within {CALL_SECONDS:g} s")
    return control_error(error)


@dataclass(slots=True)
class Reached:
    """A cluster, found through one of its gateways."""

    admin: Admin
    """That gateway's service."""
    told: wire.ListMembersResponse
    tokens: Tokens
    tls: Tls
    trouble: list[str] = field(default_factory=list)
    """What could not be asked, a sentence for each gateway."""

    @property
    def is_alone(self) -> bool:
        """Is there no other gateway?"""
        return len(self.told.members) < 2

    def member(self, gateway_id: str) -> ClusterMember:
        """Return a member by its id. Raises CommandError."""
        for member in self.told.members:
            if member.gateway_id == gateway_id:
                return member
        known = ", ".join(member.gateway_id for member in self.told.members)
        raise CommandError(f"there is no gateway {gateway_id}", f"there are {known}", FAILED)

    @asynccontextmanager
    async def at(self, member: ClusterMember) -> AsyncIterator[Admin]:
        """Talk to a member. Raises CommandError."""
        if member.gateway_id == self.told.cluster.gateway_id:
            yield self.admin
            return
        admin = Admin(member.agents_address, self.tokens, self.tls)
        try:
            yield admin
        finally:
            await admin.close()

    async def of(self, member: ClusterMember, ask: Callable[[Admin], Awaitable[T]]) -> T | None:
        """Ask a member; None when it does not answer, which is named in `trouble` then."""
        try:
            async with self.at(member) as admin:
                return await ask(admin)
        except LlmxError as error:
            reason = error.detail if isinstance(error, Unreachable) else str(error)
            self.trouble.append(
                f"what gateway {member.gateway_id} at {member.agents_address} knows is "
                f"missing: {reason or 'it does not answer'}"
            )
            return None

    async def of_all(
        self, ask: Callable[[Admin], Awaitable[tuple[Sequence[Row], bool]]]
    ) -> tuple[list[Row], bool]:
        """Ask every member for rows, all at once; tell whether one of them has more."""
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self.of(member, ask)) for member in self.told.members]
        answers = [answer for task in asked if (answer := task.result()) is not None]
        rows = [row for found, _ in answers for row in found]
        return rows, any(more for _, more in answers)


@asynccontextmanager
async def reached(gateways: str, token: TokenSource, tls: Tls = None) -> AsyncIterator[Reached]:
    """Find a cluster through the first of `gateways` that answers. Raises CommandError."""
    tokens = Tokens(token)
    failure: CommandError | None = None
    for address in addresses_of(gateways):
        try:
            admin = Admin(address, tokens, tls)
        except OSError as error:
            reason = f"{tls}: {error.strerror or error}"
            raise CommandError(reason, "name a PEM file of root certificates") from None
        try:
            told = await admin.members()
        except LlmxError as error:
            await admin.close()
            failure = failure or _failure(error, gateways, address)
            if isinstance(error, Unreachable):
                continue
            raise _failure(error, address, address) from None
        try:
            yield Reached(admin, told, tokens, tls)
        except LlmxError as error:
            raise _failure(error, address, address) from None
        finally:
            await admin.close()
        return
    assert failure is not None, "there is at least one address"
    raise failure


def _failure(error: LlmxError, gateways: str, address: str) -> CommandError:
    if isinstance(error, ControlError) and error.status == "UNIMPLEMENTED":
        return CommandError(
            f"the gateway at {address} has no admin service",
            "it is older than this command, or no gateway of LLM-X",
            FAILED,
        )
    if isinstance(error, ControlError) and error.status in SAID_IN_FULL:
        return CommandError(error.detail, code=FAILED)
    return explained(error, gateways)


SAID_IN_FULL = ("FAILED_PRECONDITION", "INVALID_ARGUMENT")
