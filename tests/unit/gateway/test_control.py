"""What agents and operators arrange beside the stream, call by call."""

from __future__ import annotations

from typing import Any

import grpc
import orjson
import pytest

from llmx.v1 import control_service_pb2 as messages
from llmx.v1.agent_pb2 import Agent, Group
from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act
from llmx.v1.policy_pb2 import AcceptanceProfile
from tests.support.fake_streams import Aborted, FakeStream, Served, played
from tests.support.gateway_parts import NOW, SCHEMAS, envelope, received

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED
UNKNOWN = grpc.StatusCode.NOT_FOUND
LEASE = "https://acme.example/lease.json"


class Caller:
    """An agent that calls the control service."""

    def __init__(self, served: Served, name: str, **claims: Any) -> None:
        self._served = served
        self._token = served.token(name, **claims)

    async def call(self, rpc: str, **fields: Any) -> Any:
        request = getattr(messages, f"{rpc}Request")(**fields)
        answer = await getattr(self._served.control, rpc)(request, FakeStream(self._token))
        assert type(answer).__name__ == f"{rpc}Response"
        return answer

    async def refused(self, rpc: str, **fields: Any) -> grpc.StatusCode:
        """Call in vain; returns the status."""
        with pytest.raises(Aborted) as ended:
            await self.call(rpc, **fields)
        assert ended.value.details
        return ended.value.code


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def bob(served: Served) -> Caller:
    return Caller(served, "bob")


def every_rpc() -> list[str]:
    return sorted(messages.DESCRIPTOR.services_by_name["ControlService"].methods_by_name)


@pytest.mark.parametrize("rpc", every_rpc())
@played
async def test_every_call_needs_a_token(served: Served, rpc: str) -> None:
    stranger = Caller(served, "bob", issuer="somebody else")
    assert await stranger.refused(rpc) is grpc.StatusCode.UNAUTHENTICATED
    assert served.members.count == 0


@played
async def test_an_agent_says_what_it_can_do_and_a_repeat_replaces_that(bob: Caller) -> None:
    given = {"capabilities": ["propose", "h100"], "topics": ["topic://gpu", "cpu"]}
    told = (await bob.call("RegisterAgent", **given)).agent
    assert told == Agent(
        agent_id="agent://bob", capabilities=["h100", "propose"], topics=["cpu", "gpu"]
    )
    told = (await bob.call("RegisterAgent", topics=["gpu"])).agent
    assert told == Agent(agent_id="agent://bob", topics=["gpu"])
    assert await bob.refused("RegisterAgent", capabilities=["a b"]) is INVALID
    assert await bob.refused("RegisterAgent", topics=["a", "b", "c"]) is INVALID


@played
async def test_agents_are_listed_by_address_and_topic_within_their_tenant(
    served: Served, bob: Caller
) -> None:
    served.join("zoe"), served.join("alice", "umbrella")
    await bob.call("Subscribe", topics=["gpu"])
    for topic, names in (("", ["bob", "zoe"]), ("topic://gpu", ["bob"]), ("cpu", [])):
        agents = (await bob.call("ListAgents", topic=topic)).agents
        assert [one.agent_id for one in agents] == [f"agent://{name}" for name in names]
    agents = (await bob.call("ListAgents")).agents
    assert [one.connected for one in agents] == [False, True]


@played
async def test_topics_are_added_and_taken_away(bob: Caller) -> None:
    await bob.call("Subscribe", topics=["topic://gpu"])
    assert list((await bob.call("Subscribe", topics=["cpu"])).agent.topics) == ["cpu", "gpu"]
    assert await bob.refused("Subscribe", topics=["one-more"]) is INVALID
    assert await bob.refused("Subscribe", topics=["*"]) is INVALID
    left = await bob.call("Unsubscribe", topics=["topic://cpu", "never-heard-of"])
    assert list(left.agent.topics) == ["gpu"]


@played
async def test_a_group_belongs_to_the_agent_that_made_it(served: Served, bob: Caller) -> None:
    night = Group(group_id="group://night", members=["agent://a", "agent://b"])
    made = (await bob.call("PutGroup", group=night)).group
    assert (made.group_id, made.owner) == ("night", "agent://bob")
    assert list(made.members) == ["agent://a", "agent://b"]
    assert await Caller(served, "eve").refused("PutGroup", group=night) is DENIED
    assert await bob.refused("PutGroup", group=Group(group_id="a b")) is INVALID
    night.members.append("agent://c")
    assert await bob.refused("PutGroup", group=night) is FULL
    assert not (await bob.call("PutGroup", group=Group(group_id="night"))).group.members
    assert not served.member("bob").tenant.groups


@played
async def test_consent_is_given_listed_and_taken_back(served: Served, bob: Caller) -> None:
    wanted = Consent(consent_id="one", grantee="agent://alice", topics=["gpu"], fields=["/price"])
    wanted.expires_at.FromSeconds(int(NOW) + 60)
    assert (await bob.call("GrantConsent", consent=wanted)).consent == wanted
    named = (await bob.call("GrantConsent", consent=Consent(grantee="*"))).consent
    assert named.consent_id and named.grantee == "*"
    assert list((await bob.call("ListConsents")).consents) == [wanted, named]
    assert await bob.refused("GrantConsent", consent=Consent(grantee="eve")) is INVALID
    assert await bob.refused("GrantConsent", consent=Consent(grantee="*")) is FULL
    await bob.call("RevokeConsent", consent_id="one")
    await bob.call("RevokeConsent", consent_id="one")
    assert list((await bob.call("ListConsents")).consents) == [named]
    assert not (await Caller(served, "eve").call("ListConsents")).consents


@played
async def test_what_was_under_way_by_a_consent_is_withheld_and_its_senders_hear_of_it(
    served: Served, bob: Caller
) -> None:
    alice, carol, member = served.join("alice"), served.join("carol"), served.join("bob")
    await bob.call("GrantConsent", consent=Consent(consent_id="c", grantee="agent://carol"))
    for name, sender in (("alice", alice), ("carol", carol), ("bob", member)):
        served.admit(sender, envelope(name, Act.ACT_MESSAGE, "agent://bob", msg_id=f"of-{name}"))
    call = envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="call", body={"reply_within": 60})
    served.admit(alice, call)
    received(member)
    member.outbox.confirm(["call"], NOW)  # so it is the negotiation that must hear
    await bob.call("RevokeConsent", consent_id="all")
    served.run()
    member.outbox.resume()
    assert [one.msg_id for one in received(member)] == ["of-carol", "of-bob"]
    failure, outcome = received(alice)
    told = orjson.loads(failure.payload)
    assert (told["failed_msg_id"], told["reason"]) == ("of-alice", "consent_revoked")
    assert outcome.act == Act.ACT_INFORM and served.metrics.finished == {"no_award": 1}
    assert received(carol) == []


@played
async def test_a_consent_that_another_one_covers_withholds_nothing(
    served: Served, bob: Caller
) -> None:
    alice, member = served.join("alice"), served.join("bob")
    await bob.call("GrantConsent", consent=Consent(consent_id="a", grantee="agent://alice"))
    served.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    await bob.call("RevokeConsent", consent_id="a")
    assert len(member.outbox) == 1 and received(alice) == []


@played
async def test_schemas_that_ship_are_listed_and_read(bob: Caller) -> None:
    known = (await bob.call("ListSchemas")).schema_ids
    assert f"{SCHEMAS}Negotiation.json" in known and list(known) == sorted(known)
    text = (await bob.call("GetSchema", schema_id="Negotiation.json")).schema
    assert orjson.loads(text)["$id"] == f"{SCHEMAS}Negotiation.json"
    assert await bob.refused("GetSchema", schema_id=LEASE) is UNKNOWN


@pytest.mark.slow
@played
async def test_a_schema_is_registered_for_its_tenant_only(served: Served, bob: Caller) -> None:
    text = orjson.dumps({"$id": LEASE, "type": "object"})
    async with served.validation:
        assert (await bob.call("RegisterSchema", schema=text)).schema_id == LEASE
        assert (await bob.call("GetSchema", schema_id=LEASE)).schema == text
        assert LEASE in (await bob.call("ListSchemas")).schema_ids
        other = Caller(served, "bob", tenant="umbrella")
        assert await other.refused("GetSchema", schema_id=LEASE) is UNKNOWN
        assert await bob.refused("RegisterSchema", schema=b"{") is INVALID


@played
async def test_everybody_may_read_the_policies_and_operators_change_them(
    served: Served, bob: Caller
) -> None:
    listed = await bob.call("ListPolicies")
    names = [profile.name for profile in listed.profiles]
    assert listed.default_name == "flow/high" and "flow/low" in names and names == sorted(names)
    profile = AcceptanceProfile(name="quick", select="first", counts="valid")
    assert await bob.refused("PutPolicy", profile=profile) is DENIED
    assert await bob.refused("SetDefaultPolicy", name="flow/low") is DENIED
    operator = Caller(served, "root", roles=["operator"])
    assert (await operator.call("PutPolicy", profile=profile)).profile.revision == 1
    assert (await operator.call("PutPolicy", profile=profile)).profile.revision == 2
    await operator.call("SetDefaultPolicy", name="quick")
    assert (await bob.call("ListPolicies")).default_name == "quick"
    elsewhere = await Caller(served, "bob", tenant="umbrella").call("ListPolicies")
    assert elsewhere.default_name == "flow/high"
    wrong = AcceptanceProfile(name="quick", select="dearest")
    assert await operator.refused("PutPolicy", profile=wrong) is INVALID
    assert await operator.refused("SetDefaultPolicy", name="unheard-of") is INVALID
    assert await bob.refused("DeletePolicy", name="quick") is DENIED
    assert await operator.refused("DeletePolicy", name="quick") is INVALID, "it is the default"
    await operator.call("SetDefaultPolicy", name="flow/low")
    await operator.call("DeletePolicy", name="quick")
    assert "quick" not in {one.name for one in (await bob.call("ListPolicies")).profiles}


@played
async def test_a_gateway_that_is_full_says_so(served: Served, bob: Caller) -> None:
    for number in range(1000):
        served.members.join("acme", f"agent://a{number}", NOW)
    assert await bob.refused("ListAgents") is FULL


@played
async def test_a_request_is_sized_before_it_is_read(served: Served) -> None:
    """Or a list of millions would be read on the loop that serves everybody."""
    handler = served.control.handlers()["RegisterAgent"]
    small = messages.RegisterAgentRequest(capabilities=["propose"])
    assert handler.request_deserializer(small.SerializeToString()) == small
    large = messages.RegisterAgentRequest(capabilities=["x" * 100] * 3_000)
    assert handler.request_deserializer(large.SerializeToString()) is None
    with pytest.raises(Aborted) as ended:
        await handler.unary_unary(None, FakeStream(served.token("bob")))
    assert ended.value.code is FULL
    assert served.members.count == 0


@played
async def test_control_calls_cost_what_messages_cost(served: Served, bob: Caller) -> None:
    member = served.members.join("acme", "agent://bob", NOW)
    assert member is not None
    while member.allowance.take(NOW, 0) is None:
        pass
    assert await bob.refused("ListAgents") is FULL


@pytest.mark.parametrize("characters", [256, 257])
@played
async def test_the_fields_of_a_grant_are_bounded(bob: Caller, characters: int) -> None:
    consent = Consent(grantee="*", fields=["/" + "x" * (characters - 1)])
    if characters > 256:
        assert await bob.refused("GrantConsent", consent=consent) is INVALID
    else:
        assert (await bob.call("GrantConsent", consent=consent)).consent.fields == consent.fields
