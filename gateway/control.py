"""The control service: what agents and operators arrange beside the stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message

from gateway.auth import Identity
from gateway.clock import Clock
from gateway.members import Member, MemberGroup, Members, Tenant
from gateway.negotiations import Negotiations
from gateway.outbox import Parcel
from gateway.policies import Policies, proto_of
from gateway.refusals import Fault
from gateway.registration import (
    RegistrationLimits,
    agent_of,
    consent_of,
    grant,
    put_group,
    set_capabilities,
    set_topics,
)
from gateway.router import Router
from gateway.session import Context
from gateway.validation import Validation
from llmx.v1 import control_service_pb2 as messages
from llmx.v1.agent_pb2 import Group
from llmx.v1.control_service_pb2_grpc import ControlServiceServicer

AGENTS_LISTED_MAX = 10_000
OPERATOR = "operator"

REQUEST_BYTES_MAX = 256 * 1024

STATUS_OF = {
    "RATE_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QUOTA_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_LARGE": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "OVERLOADED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "NOT_A_PARTY": grpc.StatusCode.PERMISSION_DENIED,
    "UNKNOWN_SCHEMA": grpc.StatusCode.NOT_FOUND,
}

Authenticate = Callable[[Context], Awaitable[Identity]]
"""Returns who calls, or ends the call."""


async def abort(context: Context, fault: Fault) -> NoReturn:
    """End a call with what was wrong and what would have been right."""
    status = STATUS_OF.get(fault.code, grpc.StatusCode.INVALID_ARGUMENT)
    await context.abort(status, f"{fault.code}: {fault.reason}; {fault.remedy}")
    raise AssertionError("abort raises")


def _parser(kind: type[Message]) -> Callable[[bytes], Message | None]:
    def parse(raw: bytes) -> Message | None:
        return kind.FromString(raw) if len(raw) <= REQUEST_BYTES_MAX else None

    return parse


def _sized(method: Callable[[Any, Context], Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `method`, refusing what was too large to be parsed."""

    async def sized(request: Any, context: Context) -> Any:
        if request is None:
            remedy = f"send at most {REQUEST_BYTES_MAX} bytes"
            await abort(context, Fault("TOO_LARGE", "the request is too large", remedy))
        return await method(request, context)

    return sized


class ControlService(ControlServiceServicer):
    """Serves llmx.v1.ControlService."""

    def __init__(
        self,
        authenticate: Authenticate,
        members: Members,
        limits: RegistrationLimits,
        policies: Policies,
        validation: Validation,
        negotiations: Negotiations,
        router: Router,
        now: Clock,
    ) -> None:
        """Serve what the rest of the gateway knows."""
        self._authenticate = authenticate
        self._members = members
        self._limits = limits
        self._policies = policies
        self._validation = validation
        self._negotiations = negotiations
        self._router = router
        self._now = now
        self.announce_group: Callable[[Tenant, MemberGroup], None] = lambda tenant, group: None
        self.announce_schema: Callable[[str, bytes], None] = lambda tenant, schema: None
        """Tell other gateways what was put here."""

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the methods for a server, which look at a request's size before its content."""
        service = messages.DESCRIPTOR.services_by_name["ControlService"]
        return {
            method.name: grpc.unary_unary_rpc_method_handler(
                _sized(getattr(self, method.name)),
                request_deserializer=_parser(getattr(messages, method.input_type.name)),
                response_serializer=getattr(messages, method.output_type.name).SerializeToString,
            )
            for method in service.methods
        }

    async def _member(self, context: Context) -> Member:
        identity = await self._authenticate(context)
        now = self._now()
        member = self._members.join(identity.tenant, identity.agent_id, now)
        if member is None:
            await abort(context, Fault("OVERLOADED", "the gateway is full", "try another one"))
        over = member.allowance.take(now, 0, identity.system)  # the same as a message's
        if over is not None:
            await abort(context, over)
        return member

    async def _operator(self, context: Context) -> Identity:
        identity = await self._authenticate(context)
        if OPERATOR not in identity.roles:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                'this needs the role "operator" in the token; '
                "for development: llmx token AGENT --role operator",
            )
        return identity

    async def RegisterAgent(
        self, request: messages.RegisterAgentRequest, context: Context
    ) -> messages.RegisterAgentResponse:
        """See control_service.proto."""
        member = await self._member(context)
        fault = set_capabilities(member, request.capabilities, self._limits) or set_topics(
            member, request.topics, self._limits
        )
        if fault is not None:
            await abort(context, fault)
        self._members.changed(member)
        return messages.RegisterAgentResponse(agent=agent_of(member))

    async def ListAgents(
        self, request: messages.ListAgentsRequest, context: Context
    ) -> messages.ListAgentsResponse:
        """See control_service.proto."""
        tenant = (await self._member(context)).tenant
        topic = request.topic.removeprefix("topic://")
        found = tenant.topics.get(topic, {}) if topic else tenant.everyone
        listed = [found[address] for address in sorted(found)[:AGENTS_LISTED_MAX]]
        return messages.ListAgentsResponse(agents=map(agent_of, listed))

    async def Subscribe(
        self, request: messages.SubscribeRequest, context: Context
    ) -> messages.SubscribeResponse:
        """See control_service.proto."""
        member = await self._member(context)
        await self._listen(context, member, member.topics | _names(request.topics))
        return messages.SubscribeResponse(agent=agent_of(member))

    async def Unsubscribe(
        self, request: messages.UnsubscribeRequest, context: Context
    ) -> messages.UnsubscribeResponse:
        """See control_service.proto."""
        member = await self._member(context)
        await self._listen(context, member, member.topics - _names(request.topics))
        return messages.UnsubscribeResponse(agent=agent_of(member))

    async def _listen(self, context: Context, member: Member, topics: frozenset[str]) -> None:
        fault = set_topics(member, topics, self._limits)
        if fault is not None:
            await abort(context, fault)
        self._members.changed(member)

    async def PutGroup(
        self, request: messages.PutGroupRequest, context: Context
    ) -> messages.PutGroupResponse:
        """See control_service.proto."""
        member = await self._member(context)
        made = put_group(member, request.group, self._limits)
        if isinstance(made, Fault):
            await abort(context, made)
        self.announce_group(member.tenant, made)
        return messages.PutGroupResponse(
            group=Group(group_id=made.group_id, members=made.members, owner=made.owner)
        )

    async def GrantConsent(
        self, request: messages.GrantConsentRequest, context: Context
    ) -> messages.GrantConsentResponse:
        """See control_service.proto."""
        member = await self._member(context)
        given = grant(member, request.consent, self._limits)
        if isinstance(given, Fault):
            await abort(context, given)
        self._members.changed(member)
        return messages.GrantConsentResponse(consent=consent_of(given))

    async def RevokeConsent(
        self, request: messages.RevokeConsentRequest, context: Context
    ) -> messages.RevokeConsentResponse:
        """See control_service.proto."""
        member = await self._member(context)
        revoked = member.consents.pop(request.consent_id, None)
        if revoked is not None:
            now = self._now()

            def is_unwanted(parcel: Parcel) -> bool:
                return (
                    parcel.heard_on is not None
                    and parcel.sender != member.agent_id
                    and revoked.grantee in ("*", parcel.sender)
                    and not member.allows(parcel.sender, parcel.heard_on or None, now)
                )

            self._members.changed(member)
            withheld = member.outbox.withhold(is_unwanted)
            withheld += self._router.mailbox.withhold(member.key, is_unwanted)
            self._router.undelivered(member, withheld, "consent_revoked")
            self._negotiations.revoked(member)
        return messages.RevokeConsentResponse()

    async def ListConsents(
        self, request: messages.ListConsentsRequest, context: Context
    ) -> messages.ListConsentsResponse:
        """See control_service.proto."""
        member = await self._member(context)
        return messages.ListConsentsResponse(consents=map(consent_of, member.consents.values()))

    async def RegisterSchema(
        self, request: messages.RegisterSchemaRequest, context: Context
    ) -> messages.RegisterSchemaResponse:
        """See control_service.proto."""
        member = await self._member(context)
        schema_id = await self._validation.register(member.tenant.name, request.schema)
        if isinstance(schema_id, Fault):
            await abort(context, schema_id)
        self.announce_schema(member.tenant.name, request.schema)
        return messages.RegisterSchemaResponse(schema_id=schema_id)

    async def GetSchema(
        self, request: messages.GetSchemaRequest, context: Context
    ) -> messages.GetSchemaResponse:
        """See control_service.proto."""
        member = await self._member(context)
        text = self._validation.text_of(member.tenant.name, request.schema_id)
        if text is None:
            fault = Fault(
                "UNKNOWN_SCHEMA", "no schema has this id", "ListSchemas names those there are"
            )
            await abort(context, fault)
        return messages.GetSchemaResponse(schema=text)

    async def ListSchemas(
        self, request: messages.ListSchemasRequest, context: Context
    ) -> messages.ListSchemasResponse:
        """See control_service.proto."""
        member = await self._member(context)
        return messages.ListSchemasResponse(schema_ids=self._validation.ids(member.tenant.name))

    async def ListPolicies(
        self, request: messages.ListPoliciesRequest, context: Context
    ) -> messages.ListPoliciesResponse:
        """See control_service.proto."""
        tenant = (await self._authenticate(context)).tenant
        return messages.ListPoliciesResponse(
            profiles=[
                proto_of(profile, name)
                for name, profile in sorted(self._policies.of(tenant).items())
            ],
            default_name=self._policies.default_name(tenant),
        )

    async def PutPolicy(
        self, request: messages.PutPolicyRequest, context: Context
    ) -> messages.PutPolicyResponse:
        """See control_service.proto."""
        tenant = (await self._operator(context)).tenant
        made = self._policies.put(tenant, request.profile)
        if isinstance(made, Fault):
            await abort(context, made)
        return messages.PutPolicyResponse(profile=made)

    async def SetDefaultPolicy(
        self, request: messages.SetDefaultPolicyRequest, context: Context
    ) -> messages.SetDefaultPolicyResponse:
        """See control_service.proto."""
        tenant = (await self._operator(context)).tenant
        fault = self._policies.set_default(tenant, request.name)
        if fault is not None:
            await abort(context, fault)
        return messages.SetDefaultPolicyResponse()


def _names(topics: Iterable[str]) -> frozenset[str]:
    return frozenset(topic.removeprefix("topic://") for topic in topics)
