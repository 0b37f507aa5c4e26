"""What effects about stakes are in the store, and what its answers are to the engine.

Pure: from an effect to a `Commit`, and from an answer to an event. In the store the names of
agents, resources and budgets begin with the tenant, so tenants share nothing there. What is written
for a negotiation has keys that begin with its id, so asking twice is asking once:

    settle:<id>/<number>    an award: the call decided, units locked, credit held or paid
    hold:<stake>            a soft hold
    paid:<stake>            held credit captured
    back:<stake>            held credit and units given back
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from federation.award_log import Entry, call_key
from policy import store
from policy.call import Call
from policy.effects import Capture, Effect, Settle
from policy.events import HoldRefused, NotSettled, Settled
from policy.stakes import Stake
from policy.store import Change, Commit, Committed, Decision, Refused

GONE = frozenset(("RESOURCE_GONE", "RESOURCE_UNKNOWN", "LOCK_EXISTS"))
SHORT = frozenset(("BUDGET_EXHAUSTED", "BUDGET_UNKNOWN", "CREDIT_SHORT", "HOLD_EXISTS"))
PROJECT = "project:"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def _nobody(agent: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose call it is, as the store names it."""

    tenant: str
    tag: str
    """Of the tenant, at the end of its negotiations' ids."""
    is_system: Callable[[str], bool] = _nobody
    """Tells whether an agent of the tenant is of the system class."""

    def named(self, name: str) -> str:
        """Return an agent, a resource or a budget of the tenant as the store names it."""
        return f"{self.tenant}|{name}"

    def key_of(self, call: Call) -> str:
        """Return what names a call, whichever gateway it came to."""
        return call_key(self.tag, call.initiator, call.msg_id)


def plain(name: str) -> str:
    """Return a name of the store without its tenant."""
    return name.partition("|")[2]


def settle_key(negotiation_id: str, number: int) -> str:
    """Return the key of the commit that writes an award."""
    return f"settle:{negotiation_id}/{number}"


def number_of(key: str) -> int:
    """Return the number of the time of asking that a stake is of; 0 for a soft hold."""
    number = key.split("/", 2)[1]
    return int(number) if number.isdecimal() else 0


def settling(
    settle: Settle,
    call: Call,
    owner: Owner,
    at: float,
    award: Entry | None,
    budgets: frozenset[str],
    paid: frozenset[str],
) -> Commit:
    """Return what writes an award.

    `award` is what becomes known as the award of the call, if nothing can come between; `budgets`
    are those of payers that there are; `paid` the keys of stakes that are paid at once.
    """
    changes: list[Change] = []
    if award is not None:
        key = owner.key_of(call)
        changes.append(store.Decide(key, call.negotiation_id, _encode(award)))
    for stake in settle.stakes:
        changes += _locks(stake, call.negotiation_id, owner)
        if stake.micros:
            changes.append(_credit(stake, call.negotiation_id, owner, budgets))
        if stake.micros and stake.key in paid:
            changes.append(store.Capture(stake.key, stake.micros))
    return Commit(settle_key(call.negotiation_id, settle.number), at, tuple(changes))


def _locks(stake: Stake, negotiation_id: str, owner: Owner) -> list[Change]:
    return [
        store.Lock(
            lock_id(stake, place),
            owner.named(lock.resource),
            lock.units,
            lock.starts_at,
            lock.ends_at,
            agent=owner.named(stake.holder),
            negotiation_id=negotiation_id,
            instead_of=f"{stake.instead_of}/{place}" if stake.instead_of else "",
            is_system=owner.is_system(stake.holder),
        )
        for place, lock in enumerate(stake.locks)
    ]


def lock_id(stake: Stake, place: int) -> str:
    """Return what the store names one lock of a stake by."""
    return f"{stake.key}/{place}"


def _credit(
    stake: Stake, negotiation_id: str, owner: Owner, budgets: frozenset[str]
) -> store.HoldCredit:
    own, *project = budgets_of(stake, owner)
    counted = [own, *project] if own in budgets else project
    return store.HoldCredit(
        stake.key,
        owner.named(stake.payer),
        stake.micros,
        stake.ends_at,
        negotiation_id=negotiation_id,
        resource=stake.locks[0].resource if stake.locks else "",
        project=stake.project,
        budgets=tuple(counted),
    )


def budgets_of(stake: Stake, owner: Owner) -> list[str]:
    """Return the budgets that a stake counts in: the payer's, if it has one, and the project's."""
    if not stake.payer:
        return []
    named = [owner.named(stake.payer)]
    return [*named, owner.named(PROJECT + stake.project)] if stake.project else named


def softly(stake: Stake, owner: Owner, negotiation_id: str, at: float) -> Commit:
    """Return what holds the units of an offer."""
    changes = tuple(
        msgspec.structs.replace(lock, soft_until=stake.ends_at)
        for lock in _locks(stake, negotiation_id, owner)
    )
    return Commit(f"hold:{stake.key}", at, changes)


def capturing(stake: Stake, owner: Owner, at: float, *, unlock: bool) -> Commit:
    """Return what pays a stake."""
    changes: list[Change] = [store.Capture(stake.key, stake.micros)] if stake.micros else []
    if unlock:
        changes += _unlocks(stake, owner)
    return Commit(f"paid:{stake.key}", at, tuple(changes))


def returning(
    stake: Stake, owner: Owner, at: float, *, paid_by: str, reopened: Call | None
) -> Commit:
    """Return what gives a stake back.

    `paid_by` is the key of the commit that has paid it already, "" if none has; `reopened` the
    call that has no award then.
    """
    changes = _unlocks(stake, owner)
    if stake.micros and paid_by:
        changes.append(store.Refund(paid_by, stake.key, stake.micros))
    elif stake.micros:
        changes.append(store.Release(stake.key))
    if reopened is not None:
        changes.append(store.Reopen(owner.key_of(reopened), reopened.negotiation_id))
    return Commit(f"back:{stake.key}", at, tuple(changes))


def _unlocks(stake: Stake, owner: Owner) -> list[Change]:
    return [
        store.Unlock(owner.named(lock.resource), lock_id(stake, place))
        for place, lock in enumerate(stake.locks)
    ]


def voiding(negotiation_id: str, number: int, at: float) -> Commit:
    """Return what calls an award off whose fate is unknown."""
    return Commit(settle_key(negotiation_id, number), at)


def event_of(
    settle: Settle, answer: Committed | Refused, owner: Owner
) -> Settled | NotSettled | None:
    """Return what the engine hears; None when the award was called off and nobody waits."""
    if isinstance(answer, Refused):
        return _not_settled(settle, answer, owner)
    if answer.entry.is_void:
        return None
    fences = answer.entry.locks
    locks = {
        stake.key: tuple(
            msgspec.structs.replace(lock, fence=fences.get(lock_id(stake, place), 0))
            for place, lock in enumerate(stake.locks)
        )
        for stake in settle.stakes
    }
    return Settled(number=settle.number, locks=locks)


def _not_settled(settle: Settle, refused: Refused, owner: Owner) -> NotSettled:
    number = settle.number
    if refused.code == "ALREADY_DECIDED":
        return NotSettled(number=number, reason="SUPERSEDED")
    detail = f"{refused.code}: {plain(refused.subject) or refused.subject}"
    if refused.code in GONE:
        agents = _failing(settle.stakes, refused, owner, is_credit=False)
        return NotSettled(number=number, reason="RESOURCE_GONE", agents=agents, detail=detail)
    if refused.code in SHORT:
        return NotSettled(
            number=number,
            reason="BUDGET_EXHAUSTED",
            agents=_failing(settle.stakes, refused, owner, is_credit=True),
            retry_at=refused.resets_at,
            detail=detail,
        )
    return NotSettled(number=number, reason="STORE_UNAVAILABLE", detail=detail)


def _failing(
    stakes: Sequence[Stake], refused: Refused, owner: Owner, *, is_credit: bool
) -> tuple[str, ...]:
    """Return who cannot have its award: of several that could be meant, the one ranked last."""
    for stake in reversed(stakes):
        resources = {owner.named(lock.resource) for lock in stake.locks}
        payers = {owner.named(stake.payer), *budgets_of(stake, owner), stake.key}
        if refused.subject in (payers if is_credit else resources):
            return (stake.agent,)
    return (stakes[-1].agent,)


def hold_event_of(stake: Stake, answer: Committed | Refused) -> HoldRefused | None:
    """Return what the engine hears of a soft hold; nothing when there is nothing to say."""
    if isinstance(answer, Committed):
        return None
    return HoldRefused(agent=stake.agent, offer_id=stake.offer_id, reason="RESOURCE_GONE")


def award_of(decision: Decision) -> Entry:
    """Return the award that stands, as it was written."""
    return _decode(decision.outcome)


def paid_at_once(effects: Sequence[Effect]) -> frozenset[str]:
    """Return the stakes that are paid with the award, because nothing is awaited."""
    paid = [one.keys for one in effects if isinstance(one, Capture) and not one.unlock]
    return frozenset(key for keys in paid for key in keys)
