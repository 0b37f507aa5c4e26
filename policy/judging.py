"""Whether a commit can be, and what it writes: the one function that every store asks.

`judge` reads facts and returns what to write beside the answer. It never waits: a fact that is not
at hand raises `Unread`, the store reads it and asks again. What it found must hold still when it
is written, so a store compares all of `reads`, those of a refusal too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec.structs import replace

from policy import archive, credit, resources
from policy.credit import Purser
from policy.facts import Draft, Fact, Look, call_key, entry_key, registered_key, resource_key
from policy.ledger import Entry
from policy.reserve import Reserve
from policy.resources import Booking, Registered, Resource
from policy.store import (
    CHANGES_MAX,
    CHUNK_MICROS,
    KEY_CHARACTERS_MAX,
    Burn,
    Capture,
    CarryForward,
    Change,
    Commit,
    Committed,
    Decide,
    Decision,
    GiveBack,
    HoldCredit,
    Lock,
    Mint,
    Refund,
    Refused,
    Release,
    Reopen,
    SetBudget,
    SetResource,
    ShowLock,
    Unlock,
)


class Writer(msgspec.Struct, frozen=True, gc=False):
    """Who commits."""

    gateway_id: str
    place: str = ""
    """Where it keeps credit that it has taken along; "" when it is alone and needs none."""
    chunk_micros: int = CHUNK_MICROS


class Judgement(msgspec.Struct, frozen=True):
    """What becomes of a commit, if what it read holds still."""

    answer: Committed | Refused
    reads: frozenset[str]
    writes: Mapping[str, Fact | None]


def judge(commit: Commit, writer: Writer, look: Look, number: int = 0) -> Judgement:
    """Judge a commit by the facts that `look` finds; raises Unread for one that it has not.

    `number` is its place among those that are written with it at once.
    """
    draft = Draft(look)
    answer = _answer(draft, commit, writer, number)
    writes = {} if isinstance(answer, Refused) or not answer.is_first else draft.writes
    return Judgement(answer, frozenset(draft.reads), writes)


def _answer(draft: Draft, commit: Commit, writer: Writer, number: int) -> Committed | Refused:
    if not 1 <= len(commit.key) <= KEY_CHARACTERS_MAX or len(commit.changes) > CHANGES_MAX:
        limits = f"1 to {KEY_CHARACTERS_MAX} characters of key, at most {CHANGES_MAX} changes"
        return Refused("INVALID", commit.key[:KEY_CHARACTERS_MAX], limits)
    key = entry_key(commit.key)
    first = draft.get(key, Entry)
    if first is not None:
        return Committed(first, is_first=False)
    for change in commit.changes:
        refused = _change(draft, change, commit, writer)
        if refused is not None:
            return refused
    entry = Entry(
        key=commit.key,
        at=commit.at if draft.carried_until is None else draft.carried_until,
        gateway_id=writer.gateway_id,
        postings=tuple(draft.postings),
        spent=tuple(draft.spent),
        locks=draft.locks,
        units=draft.units,
        is_void=not commit.changes,
        is_carried=draft.carried_until is not None,
        number=number,
    )
    assert sum(posting.micros for posting in entry.postings) == 0, "credit is moved, not made"
    draft.put(key, entry)
    return Committed(entry)


def _change(draft: Draft, change: Change, commit: Commit, writer: Writer) -> Refused | None:
    purser = Purser(draft, writer.place, writer.chunk_micros, commit.at)
    match change:
        case CarryForward():
            archive.carry_forward(draft, change)
            return None
        case Decide():
            return _decide(draft, change, commit, writer)
        case Reopen():
            return _reopen(draft, change)
        case Lock():
            return _lock(draft, change, commit.at)
        case Unlock():
            _unlock(draft, change, commit.at)
            return None
        case ShowLock():
            return _show_lock(draft, change, commit.at)
        case SetResource():
            return _set_resource(draft, change, commit.at)
        case HoldCredit():
            return credit.hold(purser, change)
        case Capture():
            return credit.capture(purser, change)
        case Release():
            credit.release(purser, change)
            return None
        case Refund():
            return credit.refund(purser, change)
        case Mint():
            return credit.mint(purser, change)
        case Burn():
            return credit.burn(purser, change)
        case GiveBack():
            credit.give_back(purser, change)
            return None
        case SetBudget():
            return credit.set_budget(purser, change)
        case _:
            assert_never(change)


def _decide(draft: Draft, change: Decide, commit: Commit, writer: Writer) -> Refused | None:
    key = call_key(change.call)
    stands = draft.get(key, Decision)
    if stands is not None and not stands.is_open:
        return Refused("ALREADY_DECIDED", change.call, "the call has an award", decision=stands)
    draft.put(
        key,
        Decision(change.call, change.negotiation_id, writer.gateway_id, change.outcome, commit.at),
    )
    return None


def _reopen(draft: Draft, change: Reopen) -> Refused | None:
    key = call_key(change.call)
    stands = draft.get(key, Decision)
    if stands is None or stands.is_open:
        return None
    if stands.negotiation_id != change.negotiation_id:
        return Refused(
            "ALREADY_DECIDED", change.call, "another negotiation's award stands", decision=stands
        )
    draft.put(key, replace(stands, is_open=True))
    return None


def _lock(draft: Draft, change: Lock, at: float) -> Refused | None:
    if refused := _objection(change, at):
        return refused
    key = resource_key(change.resource)
    resource = draft.get(key, Resource)
    if resource is None or not resource.units:
        return Refused("RESOURCE_UNKNOWN", change.resource, "it is not registered", change.agent)
    there = resource.booking(change.lock_id)
    if there is not None and not there.is_over(at):
        return Refused("LOCK_EXISTS", change.lock_id, "a lock has this id", change.agent)
    soft = resource.booking(change.instead_of) if change.instead_of else None
    wanted = Booking(
        change.lock_id,
        (),
        change.starts_at,
        change.ends_at,
        change.agent,
        change.negotiation_id,
        soft_until=change.soft_until,
    )
    if soft is not None and soft.soft_until is not None and not soft.is_over(at):
        is_same = (soft.starts_at, soft.ends_at, soft.agent, len(soft.units)) == (
            change.starts_at,
            change.ends_at,
            change.agent,
            change.units,
        )
        changed = (
            resources.hardened(resource, soft, change.lock_id, at)
            if is_same
            else resources.booked(
                resources.freed(resource, soft.lock_id, at),
                wanted,
                change.units,
                at,
                is_system=change.is_system,
            )
        )
    else:
        changed = resources.booked(resource, wanted, change.units, at, is_system=change.is_system)
    if changed is None:
        kept = Reserve(resource.units, 0.0 if change.is_system else resource.reserve).kept
        rest = f", beside {kept} for the system class" if kept else ""
        span = f"from {change.starts_at} to {change.ends_at}"
        detail = f"{change.units} units are not free {span}{rest}"
        return Refused("RESOURCE_GONE", change.resource, detail, change.agent)
    draft.put(key, changed)
    booking = changed.bookings[-1]
    draft.locks[booking.lock_id] = booking.fencing
    draft.units[booking.lock_id] = booking.units
    return None


def _objection(change: Lock, at: float) -> Refused | None:
    seconds = change.ends_at - change.starts_at
    if not (change.units >= 1 and 0 < seconds <= resources.SECONDS_MAX):
        return Refused("INVALID", change.lock_id, "at least a unit, for up to a year", change.agent)
    if change.ends_at <= at or (change.soft_until is not None and change.soft_until <= at):
        return Refused("INVALID", change.lock_id, "it would be over already", change.agent)
    if change.instead_of and change.soft_until is not None:
        return Refused(
            "INVALID", change.lock_id, "only a lock takes the place of another", change.agent
        )
    return None


def _unlock(draft: Draft, change: Unlock, at: float) -> None:
    key = resource_key(change.resource)
    resource = draft.get(key, Resource)
    if resource is not None and resource.booking(change.lock_id) is not None:
        draft.put(key, resources.freed(resource, change.lock_id, at))


def _show_lock(draft: Draft, change: ShowLock, at: float) -> Refused | None:
    resource = draft.get(resource_key(change.resource), Resource)
    if resource is not None and resources.is_held(resource, change.lock_id, change.fencing, at):
        return None
    return Refused("LOCK_STALE", change.lock_id, f"no lock stands with number {change.fencing}")


def _set_resource(draft: Draft, change: SetResource, at: float) -> Refused | None:
    if not 0 <= change.units <= resources.UNITS_MAX or not change.name:
        limits = f"a name, and 0 to {resources.UNITS_MAX} units"
        return Refused("INVALID", change.name, limits)
    if change.reserve is not None and not 0 <= change.reserve <= 1:
        return Refused("INVALID", change.name, "a reserve is a part of the units, 0 to 1")
    key = resource_key(change.name)
    there = draft.get(key, Resource) or Resource(change.name, 0)
    changed = replace(
        there,
        units=change.units,
        labels=change.labels,
        opens_at=change.opens_at,
        closes_at=change.closes_at,
        reserve=there.reserve if change.reserve is None else change.reserve,
    )
    misfits = [
        booking.lock_id
        for booking in there.bookings
        if not booking.is_over(at)
        and not (
            booking.units[-1] < change.units and changed.is_open(booking.starts_at, booking.ends_at)
        )
    ]
    if misfits:
        detail = f"{len(misfits)} bookings do not fit any more, {misfits[0]} first"
        return Refused("RESOURCE_BUSY", change.name, detail)
    draft.put(key, changed)
    told = registered_key(change.name)
    draft.get(told, Registered)
    draft.put(told, Registered(change.name, change.units))
    return None
