"""What agents allow others to send to them, and to see."""

from __future__ import annotations

from gateway.consents import ConsentGrant
from gateway.members import Member
from tests.support.gateway_parts import Parts


def allowing(*grants: ConsentGrant) -> Member:
    member = Parts().join("bob", consent=False)
    member.consents = {grant.consent_id: grant for grant in grants}
    return member


def hears(member: Member, sender: str, topic: str | None = None, now: float = 0.0) -> bool:
    return member.allows(f"agent://{sender}", topic, now)


def test_an_agent_hears_nobody_until_it_consents() -> None:
    assert not hears(allowing(), "alice")
    assert not hears(allowing(), "alice", "gpu")


def test_a_grant_names_one_agent() -> None:
    bob = allowing(ConsentGrant("1", "agent://alice"))
    assert hears(bob, "alice")
    assert not hears(bob, "alice2")
    assert not hears(bob, "Alice")


def test_a_grant_to_everybody_covers_every_agent() -> None:
    bob = allowing(ConsentGrant("1", "*"))
    assert hears(bob, "alice") and hears(bob, "eve", "gpu")


def test_a_grant_without_topics_covers_direct_messages_and_every_topic() -> None:
    bob = allowing(ConsentGrant("1", "agent://alice"))
    assert hears(bob, "alice", None) and hears(bob, "alice", "gpu")


def test_a_grant_for_topics_does_not_cover_direct_messages() -> None:
    bob = allowing(ConsentGrant("1", "agent://alice", topics=frozenset({"gpu"})))
    assert hears(bob, "alice", "gpu")
    assert not hears(bob, "alice", "cpu")
    assert not hears(bob, "alice", None)


def test_a_grant_ends_at_its_expiry_and_not_before() -> None:
    bob = allowing(ConsentGrant("1", "*", expires_at=10.0))
    assert hears(bob, "alice", now=9.999)
    assert not hears(bob, "alice", now=10.0)


def test_another_grant_counts_when_one_has_expired_or_was_revoked() -> None:
    bob = allowing(
        ConsentGrant("1", "*", expires_at=10.0),
        ConsentGrant("2", "agent://alice"),
    )
    assert hears(bob, "alice", now=20.0) and not hears(bob, "eve", now=20.0)
    del bob.consents["2"]
    assert hears(bob, "alice", now=5.0) and not hears(bob, "alice", now=20.0)


def test_to_subscribe_is_to_consent_to_that_topic_only() -> None:
    bob = allowing()
    bob.tenant.listen(bob, ["gpu"])
    assert hears(bob, "alice", "gpu")
    assert not hears(bob, "alice", "cpu") and not hears(bob, "alice", None)


def test_sensitive_fields_are_seen_only_through_grants_that_cover_the_sender_now() -> None:
    bob = allowing(
        ConsentGrant("1", "agent://alice", fields=frozenset({"/terms/price"})),
        ConsentGrant("2", "*", topics=frozenset({"gpu"}), fields=frozenset({"/text"})),
        ConsentGrant("3", "agent://alice", fields=frozenset({"*"}), expires_at=5.0),
        ConsentGrant("4", "*"),
    )
    assert bob.visible_fields("agent://alice", None, 1.0) == {"/terms/price", "*"}
    assert bob.visible_fields("agent://alice", "gpu", 5.0) == {"/terms/price", "/text"}
    assert bob.visible_fields("agent://eve", None, 1.0) == frozenset()
