"""What is arranged beside the stream, against a small control service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

import llmx
from llmx.tokens import Tokens
from llmx.v1 import control_service_pb2 as wire
from llmx.v1.agent_pb2 import Agent
from llmx.v1.control_service_pb2_grpc import (
    ControlServiceServicer,
    add_ControlServiceServicer_to_server,
)
from llmx.v1.policy_pb2 import AcceptanceProfile


class TinyControl(ControlServiceServicer):
    """Keeps what it is told, for one agent."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.consents: dict[str, Any] = {}
        self.schemas: dict[str, bytes] = {}
        self.profiles: dict[str, AcceptanceProfile] = {}
        self.default = ""
        self.tokens: set[str] = set()

    async def ListAgents(self, request: Any, context: Any) -> Any:
        self.tokens.add(dict(context.invocation_metadata())["authorization"])
        return wire.ListAgentsResponse(agents=[Agent(agent_id="agent://bob", topics=self.topics)])

    async def Subscribe(self, request: Any, context: Any) -> Any:
        self.topics += request.topics
        return wire.SubscribeResponse(agent=Agent(topics=self.topics))

    async def Unsubscribe(self, request: Any, context: Any) -> Any:
        self.topics = [topic for topic in self.topics if topic not in request.topics]
        return wire.UnsubscribeResponse(agent=Agent(topics=self.topics))

    async def PutGroup(self, request: Any, context: Any) -> Any:
        return wire.PutGroupResponse(group=request.group)

    async def GrantConsent(self, request: Any, context: Any) -> Any:
        request.consent.consent_id = request.consent.consent_id or f"c{len(self.consents)}"
        self.consents[request.consent.consent_id] = request.consent
        return wire.GrantConsentResponse(consent=request.consent)

    async def RevokeConsent(self, request: Any, context: Any) -> Any:
        self.consents.pop(request.consent_id, None)
        return wire.RevokeConsentResponse()

    async def ListConsents(self, request: Any, context: Any) -> Any:
        return wire.ListConsentsResponse(consents=self.consents.values())

    async def RegisterSchema(self, request: Any, context: Any) -> Any:
        schema_id = json.loads(request.schema).get("$id")
        if schema_id is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, 'a schema needs an "$id"')
        self.schemas[schema_id] = request.schema
        return wire.RegisterSchemaResponse(schema_id=schema_id)

    async def GetSchema(self, request: Any, context: Any) -> Any:
        return wire.GetSchemaResponse(schema=self.schemas[request.schema_id])

    async def ListSchemas(self, request: Any, context: Any) -> Any:
        return wire.ListSchemasResponse(schema_ids=sorted(self.schemas))

    async def ListPolicies(self, request: Any, context: Any) -> Any:
        profiles = self.profiles.values()
        return wire.ListPoliciesResponse(profiles=profiles, default_name=self.default)

    async def PutPolicy(self, request: Any, context: Any) -> Any:
        self.profiles[request.profile.name] = request.profile
        return wire.PutPolicyResponse(profile=request.profile)

    async def SetDefaultPolicy(self, request: Any, context: Any) -> Any:
        if request.name not in self.profiles:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "operators only")
        self.default = request.name
        return wire.SetDefaultPolicyResponse()


@asynccontextmanager
async def control(service: TinyControl) -> AsyncIterator[llmx.Control]:
    server = grpc.aio.server()
    add_ControlServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = llmx.Control(f"127.0.0.1:{port}", Tokens("secret"))
    try:
        yield client
    finally:
        await client.close()
        await server.stop(0)


async def test_topics_and_agents_are_known_and_the_token_goes_along():
    service = TinyControl()
    async with control(service) as client:
        assert list((await client.subscribe("gpu", "cpu")).topics) == ["gpu", "cpu"]
        assert list((await client.unsubscribe("cpu")).topics) == ["gpu"]
        assert [agent.agent_id for agent in await client.list_agents()] == ["agent://bob"]
    assert service.tokens == {"Bearer secret"}


async def test_consent_is_given_and_taken_back():
    async with control(TinyControl()) as client:
        consent = await client.grant_consent("agent://alice", topics=["gpu"], lasts=60)
        assert consent.consent_id and consent.HasField("expires_at")
        assert [grant.grantee for grant in await client.list_consents()] == ["agent://alice"]
        await client.revoke_consent(consent.consent_id)
        assert not await client.list_consents()


async def test_groups_schemas_and_policies_are_put_and_read():
    async with control(TinyControl()) as client:
        group = await client.put_group("night", ["agent://bob"])
        assert list(group.members) == ["agent://bob"]
        schema_id = await client.register_schema({"$id": "urn:x", "type": "object"})
        assert await client.get_schema(schema_id) == {"$id": "urn:x", "type": "object"}
        assert list(await client.list_schemas()) == ["urn:x"]
        await client.put_policy(AcceptanceProfile(name="acme/fast"))
        await client.set_default_policy("acme/fast")
        policies = await client.list_policies()
        assert policies.default_name == "acme/fast" and len(policies.profiles) == 1


async def test_a_mistake_is_told_with_its_sentence():
    async with control(TinyControl()) as client:
        with pytest.raises(llmx.ControlError, match="needs an") as error:
            await client.register_schema("{}")
        assert error.value.status == "INVALID_ARGUMENT"
        with pytest.raises(llmx.NotAllowed, match="operators only"):
            await client.set_default_policy("nonsense")


async def test_a_control_service_that_is_not_there_is_unreachable():
    client = llmx.Control("127.0.0.1:1", Tokens("t"), timeout=2)
    with pytest.raises(llmx.Unreachable):
        await client.list_agents()
    await client.close()


async def test_after_a_move_the_other_gateway_is_asked() -> None:
    one, two = TinyControl(), TinyControl()
    async with control(one) as client, control(two) as other:
        await client.subscribe("here")
        client.move(other._gateway)
        await client.subscribe("there")
    assert (one.topics, two.topics) == (["here"], ["there"])
