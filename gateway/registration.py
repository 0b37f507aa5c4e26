"""What an agent says of itself, checked: capabilities, topics, consents, groups."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from gateway.consents import ConsentGrant
from gateway.members import (
    AGENT_ADDRESS,
    CAPABILITY,
    NAME,
    Member,
    MemberGroup,
    Recipient,
)
from gateway.refusals import Fault
from llmx.v1.agent_pb2 import Agent, Group
from llmx.v1.consent_pb2 import Consent

CONSENT_FIELDS_MAX = 64
CONSENT_FIELD_CHARACTERS_MAX = 256
CONSENT_ID_CHARACTERS_MAX = 128


@dataclass(frozen=True, slots=True)
class RegistrationLimits:
    """How much one agent may register."""

    capabilities_max: int
    topics_max: int
    consents_max: int
    group_members_max: int
    groups_max: int


def set_capabilities(
    member: Member, capabilities: Collection[str], limits: RegistrationLimits
) -> Fault | None:
    """Make `capabilities` all that the member can do."""
    # Counted before anything is built of them, repeats included.
    wanted = frozenset(capabilities) if len(capabilities) <= limits.capabilities_max else None
    if wanted is None or not all(map(CAPABILITY.fullmatch, wanted)):
        return Fault(
            "MALFORMED_ENVELOPE",
            "the capabilities are too many, or not all names",
            f"register at most {limits.capabilities_max}, of A-Z a-z 0-9 . _ ~ @ : / -",
        )
    member.capabilities = wanted
    return None


def set_topics(member: Member, topics: Collection[str], limits: RegistrationLimits) -> Fault | None:
    """Make `topics` all that the member listens to."""
    wanted = None
    if len(topics) <= limits.topics_max:
        wanted = frozenset(topic.removeprefix("topic://") for topic in topics)
    if wanted is None or not all(map(NAME.fullmatch, wanted)):
        return Fault(
            "INVALID_ADDRESS",
            "the topics are too many, or not all names",
            f"listen to at most {limits.topics_max}, of A-Z a-z 0-9 . _ ~ - and /",
        )
    member.tenant.listen(member, wanted)
    return None


def grant(member: Member, consent: Consent, limits: RegistrationLimits) -> ConsentGrant | Fault:
    """Let the member allow somebody to send to it; a known id replaces the grant."""
    if consent.grantee != "*" and not AGENT_ADDRESS.fullmatch(consent.grantee):
        return Fault(
            "INVALID_ADDRESS",
            "the grantee is not an agent",
            "name agent://NAME, or * for every agent of the tenant",
        )
    topics = frozenset(topic.removeprefix("topic://") for topic in consent.topics)
    if (
        len(topics) > limits.topics_max
        or not all(map(NAME.fullmatch, topics))
        or len(consent.fields) > CONSENT_FIELDS_MAX
        or any(len(field) > CONSENT_FIELD_CHARACTERS_MAX for field in consent.fields)
        or len(consent.consent_id) > CONSENT_ID_CHARACTERS_MAX
    ):
        return Fault(
            "MALFORMED_ENVELOPE",
            "the grant names too much, or topics that are no names",
            f"name at most {limits.topics_max} topics and {CONSENT_FIELDS_MAX} fields",
        )
    try:
        expires_at = consent.expires_at.ToMilliseconds() / 1e3
    except ValueError:
        return Fault(
            "MALFORMED_ENVELOPE",
            "expires_at is no time of the years 1 to 9999",
            "give a valid google.protobuf.Timestamp, or none",
        )
    consent_id = consent.consent_id or secrets.token_hex(8)
    if len(member.consents) >= limits.consents_max and consent_id not in member.consents:
        return Fault(
            "OVERLOADED",
            f"an agent has at most {limits.consents_max} grants",
            "revoke one, or grant to *",
        )
    given = ConsentGrant(
        consent_id=consent_id,
        grantee=consent.grantee,
        topics=topics,
        fields=frozenset(consent.fields),
        expires_at=expires_at if consent.HasField("expires_at") else None,
    )
    member.consents[consent_id] = given
    return given


def put_group(member: Member, group: Group, limits: RegistrationLimits) -> MemberGroup | Fault:
    """Make, replace or (without members) delete a group that the member owns."""
    name = group.group_id.removeprefix("group://")
    groups = member.tenant.groups
    known = groups.get(name)
    if not NAME.fullmatch(name) or not all(map(AGENT_ADDRESS.fullmatch, group.members)):
        return Fault(
            "INVALID_ADDRESS", "the group or a member is no address", "use names and agent://NAME"
        )
    if known is not None and known.owner != member.agent_id:
        return Fault("NOT_A_PARTY", "the group belongs to another agent", "choose another name")
    if len(group.members) > limits.group_members_max or (
        known is None and len(groups) >= limits.groups_max
    ):
        return Fault(
            "OVERLOADED",
            "the group has too many members, or the tenant too many groups",
            f"use at most {limits.group_members_max} members and {limits.groups_max} groups",
        )
    made = MemberGroup(name, member.agent_id, tuple(dict.fromkeys(group.members)))
    if made.members:
        groups[name] = made
    else:
        groups.pop(name, None)
    return made


def agent_of(member: Recipient) -> Agent:
    """Return a member as the control service tells it."""
    return Agent(
        agent_id=member.agent_id,
        capabilities=sorted(member.capabilities),
        topics=sorted(member.topics),
        connected=member.stream is not None and not member.is_away,
    )


def consent_of(given: ConsentGrant) -> Consent:
    """Return a grant as the control service tells it."""
    consent = Consent(
        consent_id=given.consent_id,
        grantee=given.grantee,
        topics=sorted(given.topics),
        fields=sorted(given.fields),
    )
    if given.expires_at is not None:
        consent.expires_at.FromMilliseconds(round(given.expires_at * 1e3))
    return consent
