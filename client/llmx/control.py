"""What an agent arranges beside its stream: consent, groups, topics, schemas, policies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from llmx.channel import Tls, open_channel
from llmx.errors import control_error
from llmx.route import addresses_of
from llmx.shared_limits import SharedLimits
from llmx.tokens import Tokens
from llmx.v1 import control_service_pb2 as wire
from llmx.v1.agent_pb2 import Agent, Group
from llmx.v1.consent_pb2 import Consent
from llmx.v1.control_service_pb2_grpc import ControlServiceStub
from llmx.v1.ledger_service_pb2 import GetStatementRequest, GetStatementResponse
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceStub
from llmx.v1.market_pb2 import Standing
from llmx.v1.market_service_pb2 import GetStandingRequest, GetStandingResponse
from llmx.v1.market_service_pb2_grpc import MarketServiceStub
from llmx.v1.policy_pb2 import AcceptanceProfile

CALL_SECONDS = 10.0

T = TypeVar("T")


class Control:
    """The control service, as the agent that the token names.

    Every method raises ControlError for a request that is not acceptable, and SessionError
    for a token that is not, or for a gateway that does not answer.
    """

    def __init__(
        self, gateway: str, tokens: Tokens, tls: Tls = None, timeout: float = CALL_SECONDS
    ) -> None:
        """Talk to `gateway`, the first of several; a call takes at most `timeout` seconds."""
        self._gateway = addresses_of(gateway)[0]
        self._tokens = tokens
        self._tls = tls
        self._timeout = timeout
        self._channel: grpc.aio.Channel | None = None
        self._channel_to = ""
        self.limits = SharedLimits(self._call)
        """Tokens of rate limits that the agents of the tenant share."""

    def move(self, gateway: str) -> None:
        """Talk to this gateway from the next call on."""
        self._gateway = gateway

    async def close(self) -> None:
        """Close the connection; a later call opens another one."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def list_agents(self, topic: str = "") -> Sequence[Agent]:
        """Return the agents of the tenant, or those that listen to a topic."""
        return (
            await self._call(
                wire.ListAgentsResponse, "ListAgents", wire.ListAgentsRequest(topic=topic)
            )
        ).agents

    async def statement(self, lines_max: int = 100) -> GetStatementResponse:
        """Return the agent's own account, what has changed it lately, and its budget.

        Raises ControlError FAILED_PRECONDITION where the gateway keeps no ledger.
        """
        request = GetStatementRequest(lines_max=lines_max)
        return await self._call(GetStatementResponse, "GetStatement", request, LedgerServiceStub)

    async def standing(self) -> Standing:
        """Return how the agent stands: its awards, its rating, and what noise costs it."""
        request = GetStandingRequest()
        answer = await self._call(GetStandingResponse, "GetStanding", request, MarketServiceStub)
        return answer.standing

    async def subscribe(self, *topics: str) -> Agent:
        """Listen to more topics; returns the agent as the gateway knows it now."""
        return (
            await self._call(
                wire.SubscribeResponse, "Subscribe", wire.SubscribeRequest(topics=topics)
            )
        ).agent

    async def unsubscribe(self, *topics: str) -> Agent:
        """Listen to fewer topics; returns the agent as the gateway knows it now."""
        return (
            await self._call(
                wire.UnsubscribeResponse, "Unsubscribe", wire.UnsubscribeRequest(topics=topics)
            )
        ).agent

    async def put_group(self, name: str, members: Iterable[str]) -> Group:
        """Make or replace a group; no members deletes it."""
        group = Group(group_id=name, members=members)
        return (
            await self._call(wire.PutGroupResponse, "PutGroup", wire.PutGroupRequest(group=group))
        ).group

    async def grant_consent(
        self,
        grantee: str,
        *,
        topics: Iterable[str] = (),
        fields: Iterable[str] = (),
        lasts: float | None = None,
        consent_id: str = "",
    ) -> Consent:
        """Allow `grantee` ("*": everybody of the tenant) to send to this agent.

        `lasts` is in seconds, None is until revoked. `fields` are JSON pointers to the
        sensitive fields that the agent may be shown.
        """
        consent = Consent(consent_id=consent_id, grantee=grantee, topics=topics, fields=fields)
        if lasts is not None:
            consent.expires_at.FromDatetime(datetime.now(UTC) + timedelta(seconds=lasts))
        request = wire.GrantConsentRequest(consent=consent)
        return (await self._call(wire.GrantConsentResponse, "GrantConsent", request)).consent

    async def revoke_consent(self, consent_id: str) -> None:
        """Take a grant back; an unknown one changes nothing."""
        await self._call(
            wire.RevokeConsentResponse,
            "RevokeConsent",
            wire.RevokeConsentRequest(consent_id=consent_id),
        )

    async def list_consents(self) -> Sequence[Consent]:
        """Return the grants that this agent has given."""
        return (
            await self._call(wire.ListConsentsResponse, "ListConsents", wire.ListConsentsRequest())
        ).consents

    async def register_schema(self, schema: Mapping[str, Any] | str | bytes) -> str:
        """Make a JSON Schema known to the tenant and return the "$id" to name in payloads."""
        if isinstance(schema, Mapping):
            schema = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        text = schema.encode() if isinstance(schema, str) else schema
        request = wire.RegisterSchemaRequest(schema=text)
        return (await self._call(wire.RegisterSchemaResponse, "RegisterSchema", request)).schema_id

    async def get_schema(self, schema_id: str) -> dict[str, Any]:
        """Return a schema by its "$id" or the name of its file."""
        answer = await self._call(
            wire.GetSchemaResponse, "GetSchema", wire.GetSchemaRequest(schema_id=schema_id)
        )
        schema: dict[str, Any] = json.loads(answer.schema)
        return schema

    async def list_schemas(self) -> Sequence[str]:
        """Return the ids of the schemas that payloads can name."""
        return (
            await self._call(wire.ListSchemasResponse, "ListSchemas", wire.ListSchemasRequest())
        ).schema_ids

    async def list_policies(self) -> wire.ListPoliciesResponse:
        """Return the acceptance profiles, and which one calls get that name none."""
        return await self._call(
            wire.ListPoliciesResponse, "ListPolicies", wire.ListPoliciesRequest()
        )

    async def put_policy(self, profile: AcceptanceProfile) -> AcceptanceProfile:
        """Add or change a profile; needs the role "operator". Open negotiations keep theirs."""
        return (
            await self._call(
                wire.PutPolicyResponse, "PutPolicy", wire.PutPolicyRequest(profile=profile)
            )
        ).profile

    async def set_default_policy(self, name: str) -> None:
        """Choose what calls get that name no policy; needs the role "operator"."""
        await self._call(
            wire.SetDefaultPolicyResponse,
            "SetDefaultPolicy",
            wire.SetDefaultPolicyRequest(name=name),
        )

    async def delete_policy(self, name: str) -> None:
        """Delete a profile that was put at run time; needs the role "operator"."""
        await self._call(
            wire.DeletePolicyResponse, "DeletePolicy", wire.DeletePolicyRequest(name=name)
        )

    async def _call(
        self, kind: type[T], name: str, request: Message, stub: type[Any] = ControlServiceStub
    ) -> T:
        try:
            token = await self._tokens.fetch()
            if self._channel is not None and self._channel_to != self._gateway:
                await self.close()
            if self._channel is None:
                self._channel = open_channel(self._gateway, self._tls)
                self._channel_to = self._gateway
            method = getattr(stub(self._channel), name)
            metadata = (("authorization", f"Bearer {token}"),)
            answer = await method(request, metadata=metadata, timeout=self._timeout)
        except grpc.RpcError as error:
            raise control_error(error) from error
        assert isinstance(answer, kind), "the stub parses what its service declares"
        return answer
