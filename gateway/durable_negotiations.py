"""Negotiations of a gateway with a store: durable ones are on disk before anybody hears of them.

A step of a durable negotiation is carried out on a tape; the others are carried out at once, as
without a store. A gateway that starts again plays the journals into its tables: the same events
at the same times lead to the same states, and what they asked for is in the mailboxes already.
"""

from __future__ import annotations

import structlog

from gateway.causes import Cause
from gateway.durability import Durability, Tape
from gateway.journal import Opening, Story
from gateway.negotiations import Negotiations
from policy.call import Call
from policy.effects import Effect
from policy.events import Event
from policy.shard import Shard

log = structlog.get_logger("llmx.negotiations")


class DurableNegotiations(Negotiations):
    """All shards of one gateway that has a store."""

    durability: Durability

    def perform(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Cause | None,
    ) -> None:
        owed = None if cause is None else cause.owed
        if owed is None and negotiation_id not in self.durability.journal:
            super().perform(shard, negotiation_id, event, effects, cause)
            return

        def step(tape: Tape) -> None:
            router, self._router = self._router, tape
            try:
                Negotiations.perform(self, shard, negotiation_id, event, effects, cause)
            finally:
                self._router = router

        opening = None
        if isinstance(event, Call) and cause is not None:
            opening = Opening(cause.sender.tenant.name, event, shard.at, cause.topics)
        state = shard.table.state(negotiation_id)
        self.durability.record(step, negotiation_id, shard.at, event, state, opening, owed)

    def restore(self, story: Story, now: float) -> bool:
        """Go on with a durable negotiation of an earlier gateway; False when that cannot be."""
        opening = story.opening
        call, tenant = opening.call, self._members.tenant(opening.tenant)
        shard = self.shard_of(call.negotiation_id, tenant)
        initiator = self._members.join(opening.tenant, call.initiator, now)
        if shard is None or initiator is None:
            return False
        if not self.take_up(shard, story, initiator, now):
            return False
        self.durability.journal.resume(story, shard.table.state(call.negotiation_id))
        return True
