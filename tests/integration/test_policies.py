"""Acceptance profiles are read, added and switched while negotiations go on."""

from __future__ import annotations

import grpc
import pytest

from llmx.v1.control_service_pb2 import (
    ListPoliciesRequest,
    ListPoliciesResponse,
    PutPolicyRequest,
    SetDefaultPolicyRequest,
)
from llmx.v1.envelope_pb2 import Act
from llmx.v1.policy_pb2 import AcceptanceProfile, Quorum
from tests.support.raw_agent import Crowd, RawAgent


class House:
    """A tenant of its own, so that its default is nobody else's."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.tenant = f"t-{crowd.tag}"

    async def open(self, name: str, *roles: str, **hello: object) -> RawAgent:
        claims = {"tenant": self.tenant, "roles": roles}
        return await self.crowd.open(name, claims=claims, **hello)


async def listed(agent: RawAgent) -> ListPoliciesResponse:
    return await agent.control.ListPolicies(ListPoliciesRequest(), metadata=agent.metadata)


async def put(agent: RawAgent, profile: AcceptanceProfile) -> AcceptanceProfile:
    request = PutPolicyRequest(profile=profile)
    answer = await agent.control.PutPolicy(request, metadata=agent.metadata)
    return answer.profile


async def set_default(agent: RawAgent, name: str) -> None:
    request = SetDefaultPolicyRequest(name=name)
    await agent.control.SetDefaultPolicy(request, metadata=agent.metadata)


@pytest.fixture
def house(crowd: Crowd) -> House:
    return House(crowd)


async def test_the_profiles_that_ship_are_listed_with_the_default(house: House) -> None:
    alice = await house.open("alice")
    answer = await listed(alice)
    profiles = {profile.name: profile for profile in answer.profiles}
    assert answer.default_name == "flow/high"
    assert {"low", "medium", "high", "proto/low", "paper-replay/high"} <= profiles.keys()
    assert profiles["flow/high"].quorum.all
    assert profiles["flow/medium"].quorum.fraction == 0.5
    assert profiles["proto/medium"].confirm


async def test_an_operator_switches_the_default_and_open_negotiations_keep_theirs(
    house: House,
) -> None:
    topic = house.crowd.topic()
    alice, operator = await house.open("alice"), await house.open("root", "operator")
    bob, carol = await house.open("bob", topics=[topic]), await house.open("carol", topics=[topic])
    before = await alice.call_for(topic)
    assert before.policy == "flow/high@1"
    await set_default(operator, "low")
    assert (await listed(alice)).default_name in ("low", "flow/low")
    after = await alice.call_for(topic)
    assert after.policy == "flow/low@1"
    for opened in (before, after):
        await bob.offer(opened.negotiation_id, 20)
    assert (await alice.outcome(after.negotiation_id))["offers"] == 1
    await carol.offer(before.negotiation_id, 10)
    outcome = await alice.outcome(before.negotiation_id)
    assert (outcome["offers"], outcome["policy"]) == (2, "flow/high@1")


async def test_a_change_of_a_profile_is_a_new_revision_for_new_calls_only(house: House) -> None:
    topic = house.crowd.topic()
    alice, operator = await house.open("alice"), await house.open("root", "operator")
    bob, _ = await house.open("bob", topics=[topic]), await house.open("carol", topics=[topic])
    profile = AcceptanceProfile(name="acme/quick", quorum=Quorum(all=True))
    assert (await put(operator, profile)).revision == 1
    before = await alice.call_for(topic, policy="acme/quick")
    profile.quorum.count = 1
    assert (await put(operator, profile)).revision == 2
    after = await alice.call_for(topic, policy="acme/quick")
    assert (before.policy, after.policy) == ("acme/quick@1", "acme/quick@2")
    for opened in (before, after):
        await bob.offer(opened.negotiation_id, 20)
    await bob.message(Act.ACT_ACCEPT, after.negotiation_id)
    await bob.is_served()
    assert not [one for one in bob.messages if one.act == Act.ACT_ACCEPT]


async def test_an_agent_that_is_no_operator_changes_nothing(house: House) -> None:
    alice = await house.open("alice", "reader")
    for change in (
        set_default(alice, "low"),
        put(alice, AcceptanceProfile(name="acme/mine", quorum=Quorum(count=1))),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await change
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "operator" in (caught.value.details() or "")
    answer = await listed(alice)
    assert answer.default_name == "flow/high"
    assert "acme/mine" not in {profile.name for profile in answer.profiles}


async def test_profiles_of_a_tenant_are_its_own(house: House) -> None:
    operator, stranger = await house.open("root", "operator"), await house.crowd.open("stranger")
    await put(operator, AcceptanceProfile(name="acme/quick", quorum=Quorum(count=1)))
    await set_default(operator, "acme/quick")
    answer = await listed(stranger)
    assert answer.default_name == "flow/high"
    assert "acme/quick" not in {profile.name for profile in answer.profiles}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "1 to 64"),
        ({"name": "x" * 65}, "1 to 64"),
        ({"select": "prettiest"}, "vickrey"),
        ({"on_expiry": "decide_if"}, "min_offers"),
        ({"quorum": Quorum(fraction=1.5)}, "fraction"),
        ({"quorum": Quorum(fraction=float("nan"))}, "fraction"),
        ({"quorum": Quorum(count=2_000_000)}, "100000"),
        ({"late": "perhaps"}, "record"),
    ],
)
async def test_a_profile_that_cannot_be_used_is_told_why(
    house: House, fields: dict[str, object], words: str
) -> None:
    operator = await house.open("root", "operator")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await put(operator, AcceptanceProfile(**({"name": "acme/x"} | fields)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = caught.value.details() or ""
    assert details.startswith("POLICY_INVALID")
    assert words in details
    await operator.is_served()


async def test_a_default_that_nobody_knows_is_refused_with_those_that_are_known(
    house: House,
) -> None:
    operator = await house.open("root", "operator")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await set_default(operator, "flow/magic")
    assert "flow/medium" in (caught.value.details() or "")
