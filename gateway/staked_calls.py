"""Where negotiations meet the ledger: whose call it is, and when something is asked for.

The effects of a step are carried out in their order, and those of a durable negotiation once the
disk has them; what an award holds is read off the state at once, because that moves on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.causes import Cause
from gateway.commits import Owner
from gateway.journal import Story
from gateway.members import TAG_LENGTH, Members, Tenant
from gateway.settlement import Settlement
from policy.effects import Effect
from policy.events import Event
from policy.shard import Shard


def owner_of(tenant: Tenant) -> Owner:
    """Return whose calls those of a tenant are, and who of it is of the system class."""

    def is_system(agent: str) -> bool:
        member = tenant.everyone.get(agent)
        return member is not None and member.is_system

    return Owner(tenant.name, tenant.tag, is_system)


class StakedCalls:
    """The negotiations of one gateway whose awards hold something."""

    def __init__(self, settlement: Settlement, members: Members) -> None:
        """Have them settled."""
        self.settlement = settlement
        self._members = members

    def carried_out(
        self, shard: Shard[Cause], negotiation_id: str, effect: Effect
    ) -> Callable[[], None]:
        """Return what carries an effect out, to be called in its turn."""
        state = shard.table.state(negotiation_id)
        tenant = self._members.tenant_by_tag.get(negotiation_id[-TAG_LENGTH:])
        assert state is not None and tenant is not None, "the step was one of its negotiation"
        owner = owner_of(tenant)
        job = self.settlement.asked(shard, state.terms.call, owner, effect)
        return lambda: self.settlement.then(negotiation_id, job)

    def recall(
        self, shard: Shard[Cause], story: Story, steps: Sequence[tuple[Event, list[Effect]]]
    ) -> None:
        """Take up what awards hold of a negotiation that was decided before, or elsewhere."""
        tenant = self._members.tenant(story.opening.tenant)
        call = story.opening.call
        self.settlement.recall(shard, call, owner_of(tenant), steps)
