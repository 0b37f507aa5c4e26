"""The control service: what agents and operators arrange beside the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc

from gateway.auth import Identity
from gateway.clock import Clock
from gateway.live_policies import LivePolicies
from gateway.members import Member, MemberGroup, Members, Tenant
from gateway.methods import Authenticate, abort, handlers_of, operator
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
REQUEST_BYTES_MAX = 256 * 1024


class ControlService(ControlServiceServicer):
    """Serves llmx.v1.ControlService."""

    def __init__(
        self,
        authenticate: Authenticate,
        members: Members,
        limits: RegistrationLimits,
        policies: Policies,
        live_policies: LivePolicies,
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
        self._live_policies = live_policies
        self._validation = validation
        self._negotiations = negotiations
        self._router = router
        self._now = now
        self.announce_group: Callable[[Tenant, MemberGroup], None] = lambda tenant, group: None
        self.announce_schema: Callable[[str, bytes], None] = lambda tenant, schema: None
        """Tell other gateways what was put here."""

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the methods for a server, which look at a request's size before its content."""
        return handlers_of(self, messages, REQUEST_BYTES_MAX)

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
        return await operator(self._authenticate, context)

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
        made = await self._live_policies.put(tenant, request.profile)
        if isinstance(made, Fault):
            await abort(context, made)
        return messages.PutPolicyResponse(profile=made)

    async def SetDefaultPolicy(
        self, request: messages.SetDefaultPolicyRequest, context: Context
    ) -> messages.SetDefaultPolicyResponse:
        """See control_service.proto."""
        tenant = (await self._operator(context)).tenant
        fault = await self._live_policies.set_default(tenant, request.name)
        if fault is not None:
            await abort(context, fault)
        return messages.SetDefaultPolicyResponse()

    async def DeletePolicy(
        self, request: messages.DeletePolicyRequest, context: Context
    ) -> messages.DeletePolicyResponse:
        """See control_service.proto."""
        tenant = (await self._operator(context)).tenant
        fault = await self._live_policies.delete(tenant, request.name)
        if fault is not None:
            await abort(context, fault)
        return messages.DeletePolicyResponse()


def _names(topics: Iterable[str]) -> frozenset[str]:
    return frozenset(topic.removeprefix("topic://") for topic in topics)
