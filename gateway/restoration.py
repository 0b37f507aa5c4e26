"""What a gateway takes up from its store before it serves.

In this order: who there was, which ids were admitted, what waits for whom, which negotiations were
open. Everybody counts as having left just now, so agents have their grace to come back before
anything is concluded from their absence.
"""

from __future__ import annotations

import structlog

from gateway.durable_negotiations import DurableNegotiations
from gateway.journal import stories
from gateway.mailbox import Mailbox
from gateway.members import NOBODY_YET, Members
from gateway.roster import Roster
from gateway.store import Store

ADMITTED = "SELECT key, opened FROM admitted WHERE key > ? ORDER BY key LIMIT ?"
ROWS_MAX = 1_000

log = structlog.get_logger("llmx.restoration")


async def restore(
    store: Store,
    roster: Roster,
    mailbox: Mailbox,
    members: Members,
    negotiations: DurableNegotiations,
    now: float,
) -> None:
    """Take up all of it; logs what there was, and what found no place."""
    homeless = await roster.restore(members, now)
    await _restore_ids(store, members, now)
    for owner in await mailbox.restore():
        member = members.find(owner)
        if member is None:
            tenant_name, agent_id, _ = owner.rsplit("|", 2)
            member = members.join(tenant_name, agent_id, now)
            if member is not None:
                member.generation = NOBODY_YET  # its home may be another gateway
        if member is None:
            homeless += 1
        else:
            member.is_boxed = True
    lost = [
        story.opening.call.negotiation_id
        for story in await stories(store)
        if not negotiations.restore(story, now)
    ]
    for negotiation_id in lost:
        log.error("a durable negotiation could not be restored", negotiation_id=negotiation_id)
    if homeless:
        log.error("agents of the store found no place, see limits.agents_max", count=homeless)
    log.info(
        "restored",
        agents=members.count,
        messages=len(mailbox.index),
        negotiations=len(negotiations),
    )


async def _restore_ids(store: Store, members: Members, now: float) -> None:
    last = ""
    while True:
        rows = await store.read(ADMITTED, (last, ROWS_MAX))
        for key, opened in rows:
            last = key
            members.duplicates.remember(key, opened, now)
            members.once.remember(key, opened, now)
        if len(rows) < ROWS_MAX:
            return
