"""What must be true of all gateways together, once all has healed and all is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.simulation.directory_side import TENANT, Side, Soul, Violation


def check_agreement(living: Mapping[str, Side], souls: Iterable[Soul]) -> None:
    """Raise unless every gateway knows where every agent is, exactly, and all know the same."""
    souls = list(souls)
    for side in living.values():
        for soul in souls:
            _check_soul(living, side, soul)
        _check_homes(living, side)
    if living:
        _check_commons(list(living.values()))


def _check_homes(living: Mapping[str, Side], side: Side) -> None:
    for home in side.directory.homes():
        other = living.get(home.gateway_id)
        if other is None:
            raise Violation(f"{side} knows {home.gateway_id}, which is gone")
        told = other.announcer.digest(side.region)
        if side.directory.digest_of(other.name) != told or not home.is_complete:
            raise Violation(f"{side} has not heard all of {other}: {home}")
    if len(side.directory.homes()) != len(living) - 1:
        raise Violation(f"{side} does not know all: {side.directory}")


def _check_soul(living: Mapping[str, Side], side: Side, soul: Soul) -> None:
    own = side.announcer.entry(TENANT, soul.agent_id)
    other = side.directory.entry(TENANT, soul.agent_id)
    if (own is not None) != (soul.home == side.name):
        raise Violation(f"{side} tells of {own}, and the truth is {soul}")
    if soul.home is None or soul.home == side.name:
        if other is not None:
            raise Violation(f"{side} knows {other}, and the truth is {soul}")
        return
    topics = soul.topics
    if living[soul.home].region != side.region:
        topics = frozenset(topic for topic in topics if not topic.startswith("local/"))
    truth = (soul.home, topics, soul.is_away)
    if other is None or (other.home, other.topics, other.is_away) != truth:
        raise Violation(f"{side} knows {other}, and the truth is {soul}")


def _check_commons(sides: list[Side]) -> None:
    for side in sides:
        commons, first = side.commons, sides[0].commons
        if set(commons.groups()) != set(first.groups()):
            raise Violation(f"{side} and {sides[0]} differ in groups")
        if set(commons.schemas()) != set(first.schemas()):
            raise Violation(f"{side} and {sides[0]} differ in schemas")
        schemas = {one.schema for one in commons.schemas()}
        if not schemas.issuperset(schema for one in sides for schema in one.registered):
            raise Violation(f"{side} has lost schemas")
        for put in (group for one in sides for group in one.put):
            known = commons._groups.get((TENANT, put.group_id))
            if known is None or known.rank < put.rank:
                raise Violation(f"{side} has lost {put}, and has {known}")
