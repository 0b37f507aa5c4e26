"""What an agent may say of itself, and what is refused."""

from __future__ import annotations

import pytest

from gateway.allowances import AllowanceLimits
from gateway.consents import ConsentGrant
from gateway.members import Member, MemberGroup, MemberLimits, Members
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
from llmx.v1.agent_pb2 import Group
from llmx.v1.consent_pb2 import Consent

LIMITS = RegistrationLimits(
    capabilities_max=3, topics_max=3, consents_max=2, group_members_max=3, groups_max=2
)
MEMBER_LIMITS = MemberLimits(10, AllowanceLimits(10, 10), 10, 1000, 10, 1, 8, 60, 100)


@pytest.fixture
def members() -> Members:
    return Members(MEMBER_LIMITS, now=0.0)


@pytest.fixture
def bob(members: Members) -> Member:
    return joined(members, "agent://bob")


def joined(members: Members, agent_id: str, tenant: str = "acme") -> Member:
    member = members.join(tenant, agent_id, 0.0)
    assert member is not None
    return member


def code(answer: object) -> str:
    return answer.code if isinstance(answer, Fault) else "done"


def test_capabilities_replace_those_before(bob: Member) -> None:
    assert set_capabilities(bob, ["propose", "propose", "gpu@1"], LIMITS) is None
    assert set_capabilities(bob, ["cpu"], LIMITS) is None
    assert bob.capabilities == {"cpu"}


@pytest.mark.parametrize("wanted", [list("abcd"), ["has space"], [""], ["x" * 129]])
def test_capabilities_that_are_too_many_or_no_names_change_nothing(
    bob: Member, wanted: list[str]
) -> None:
    set_capabilities(bob, ["propose"], LIMITS)
    assert code(set_capabilities(bob, wanted, LIMITS)) == "MALFORMED_ENVELOPE"
    assert bob.capabilities == {"propose"}


def test_a_topic_may_be_named_with_or_without_its_scheme(bob: Member) -> None:
    assert set_topics(bob, ["topic://gpu", "gpu", "cpu"], LIMITS) is None
    assert bob.topics == {"gpu", "cpu"}
    assert bob.tenant.topics.keys() == {"gpu", "cpu"}


@pytest.mark.parametrize("wanted", [list("abcd"), ["*"], ["topic://"], ["agent://bob"]])
def test_topics_that_are_too_many_or_no_names_change_nothing(
    bob: Member, wanted: list[str]
) -> None:
    set_topics(bob, ["gpu"], LIMITS)
    assert code(set_topics(bob, wanted, LIMITS)) == "INVALID_ADDRESS"
    assert bob.topics == {"gpu"} == bob.tenant.topics.keys()


def test_a_grant_is_kept_as_it_was_given_and_told_as_it_is_kept(bob: Member) -> None:
    consent = Consent(consent_id="c1", grantee="agent://alice", topics=["topic://gpu"])
    consent.fields.append("/terms/price")
    consent.expires_at.FromJsonString("2026-01-02T03:04:05.100Z")
    given = grant(bob, consent, LIMITS)
    assert isinstance(given, ConsentGrant)
    assert bob.consents == {"c1": given}
    assert given.expires_at == 1767323045.1
    told = consent_of(given)
    assert told.expires_at.ToJsonString() == "2026-01-02T03:04:05.100Z"
    assert list(told.topics) == ["gpu"] and list(told.fields) == ["/terms/price"]


def test_a_grant_without_expiry_stands_until_it_is_revoked(bob: Member) -> None:
    given = grant(bob, Consent(grantee="*"), LIMITS)
    assert isinstance(given, ConsentGrant) and given.expires_at is None
    assert not consent_of(given).HasField("expires_at")
    assert bob.allows("agent://alice", None, 1e12)


def test_grants_without_an_id_get_different_ones(bob: Member) -> None:
    grant(bob, Consent(grantee="*"), LIMITS)
    grant(bob, Consent(grantee="*"), LIMITS)
    assert len(bob.consents) == 2


def test_a_known_id_replaces_the_grant_even_at_the_bound(bob: Member) -> None:
    for consent_id in ("c1", "c2"):
        grant(bob, Consent(consent_id=consent_id, grantee="*"), LIMITS)
    third = grant(bob, Consent(consent_id="c3", grantee="*"), LIMITS)
    assert code(third) == "OVERLOADED"
    grant(bob, Consent(consent_id="c2", grantee="agent://alice"), LIMITS)
    assert bob.consents.keys() == {"c1", "c2"}
    assert bob.consents["c2"].grantee == "agent://alice"


@pytest.mark.parametrize(
    ("consent", "expected"),
    [
        (Consent(), "INVALID_ADDRESS"),
        (Consent(grantee="alice"), "INVALID_ADDRESS"),
        (Consent(grantee="agent://*"), "INVALID_ADDRESS"),
        (Consent(grantee="*", topics=list("abcd")), "MALFORMED_ENVELOPE"),
        (Consent(grantee="*", topics=["no name"]), "MALFORMED_ENVELOPE"),
        (Consent(grantee="*", fields=["/a"] * 65), "MALFORMED_ENVELOPE"),
        (Consent(grantee="*", consent_id="c" * 129), "MALFORMED_ENVELOPE"),
    ],
)
def test_a_grant_that_cannot_be_meant_is_refused(
    bob: Member, consent: Consent, expected: str
) -> None:
    assert code(grant(bob, consent, LIMITS)) == expected
    assert bob.consents == {}


@pytest.mark.parametrize(("seconds", "nanos"), [(10**17, 0), (-(10**17), 0), (0, -1), (0, 10**9)])
def test_a_grant_until_no_possible_time_is_refused(bob: Member, seconds: int, nanos: int) -> None:
    consent = Consent(grantee="*")
    consent.expires_at.seconds, consent.expires_at.nanos = seconds, nanos
    assert code(grant(bob, consent, LIMITS)) == "MALFORMED_ENVELOPE"


def test_a_grant_until_the_end_of_the_calendar_can_be_told_again(bob: Member) -> None:
    consent = Consent(grantee="*")
    consent.expires_at.FromJsonString("9999-12-31T23:59:59.999999999Z")
    given = grant(bob, consent, LIMITS)
    assert isinstance(given, ConsentGrant)
    assert consent_of(given).expires_at.ToJsonString().startswith("9999-12-31")


def test_a_group_names_each_agent_once_in_the_order_given(bob: Member) -> None:
    members = ["agent://c", "agent://a", "agent://c"]
    made = put_group(bob, Group(group_id="group://night", members=members), LIMITS)
    assert made == MemberGroup("night", "agent://bob", ("agent://c", "agent://a"))
    assert bob.tenant.groups == {"night": made}


def test_only_its_owner_changes_or_deletes_a_group(members: Members, bob: Member) -> None:
    eve = joined(members, "agent://eve")
    put_group(bob, Group(group_id="night", members=["agent://a"]), LIMITS)
    for wanted in (["agent://eve"], []):
        assert (
            code(put_group(eve, Group(group_id="night", members=wanted), LIMITS)) == "NOT_A_PARTY"
        )
    assert bob.tenant.groups["night"].members == ("agent://a",)
    put_group(bob, Group(group_id="night"), LIMITS)
    assert bob.tenant.groups == {}


def test_tenants_may_have_groups_of_the_same_name(members: Members, bob: Member) -> None:
    other = joined(members, "agent://eve", "umbrella")
    put_group(bob, Group(group_id="night", members=["agent://a"]), LIMITS)
    assert code(put_group(other, Group(group_id="night", members=["agent://b"]), LIMITS)) == "done"
    assert bob.tenant.groups["night"].members == ("agent://a",)


def test_groups_are_bounded_in_number_and_size(bob: Member) -> None:
    many = [f"agent://{n}" for n in range(4)]
    assert code(put_group(bob, Group(group_id="g", members=many), LIMITS)) == "OVERLOADED"
    for name in ("g1", "g2"):
        assert code(put_group(bob, Group(group_id=name, members=many[:3]), LIMITS)) == "done"
    assert code(put_group(bob, Group(group_id="g3", members=many[:1]), LIMITS)) == "OVERLOADED"
    assert code(put_group(bob, Group(group_id="g2", members=many[:1]), LIMITS)) == "done"


@pytest.mark.parametrize(
    "group",
    [
        Group(group_id="", members=["agent://a"]),
        Group(group_id="group://", members=["agent://a"]),
        Group(group_id="a b", members=["agent://a"]),
        Group(group_id="night", members=["topic://gpu"]),
        Group(group_id="night", members=["group://other"]),
    ],
)
def test_a_group_is_a_name_for_agents(bob: Member, group: Group) -> None:
    assert code(put_group(bob, group, LIMITS)) == "INVALID_ADDRESS"


def test_an_agent_is_told_with_what_it_registered_and_whether_it_is_here(bob: Member) -> None:
    set_capabilities(bob, ["b", "a"], LIMITS)
    set_topics(bob, ["gpu"], LIMITS)
    agent = agent_of(bob)
    assert agent.agent_id == "agent://bob" and not agent.connected
    assert list(agent.capabilities) == ["a", "b"] and list(agent.topics) == ["gpu"]
