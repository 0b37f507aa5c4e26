"""The changes of a commit that move credit, on a draft: what `judging` does for each of them.

Credit is taken from the writer's own purse first. When that is short, it takes a chunk along from
the treasury, and when there is too little, what is available at other places. Shares of a
budget are leased in the same order. So the usual award reads and writes what nobody else does.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from policy import budgets, ledger
from policy.budgets import Grant, Share
from policy.facts import (
    Draft,
    Unread,
    entry_key,
    grant_key,
    hold_key,
    purse_key,
    refunded_key,
    share_key,
)
from policy.ledger import MICROS_MAX, PLACES_MAX, Entry, Hold, Purse, Refunded, Spent, credits_of
from policy.store import (
    Burn,
    Capture,
    GiveBack,
    HoldCredit,
    Mint,
    Refund,
    Refused,
    Release,
    SetBudget,
)

LEAST = credits_of(1)


@dataclass(frozen=True, slots=True)
class Purser:
    """Who moves credit: where, in which chunks, and when."""

    draft: Draft
    place: str
    chunk_micros: int
    at: float


def mint(purser: Purser, change: Mint) -> Refused | None:
    """Give credit to the treasury of an agent."""
    purse = purser.draft.purse(change.agent, "")
    if not 0 < change.micros <= MICROS_MAX - purse.available - purse.held:
        return Refused(
            "INVALID",
            change.agent,
            f"a purse takes up to {credits_of(MICROS_MAX)} credits",
            change.agent,
        )
    _move(purser, ledger.minted(purse, change.micros))
    return None


def burn(purser: Purser, change: Burn) -> Refused | None:
    """Take credit out, wherever it lies."""
    if change.micros <= 0:
        return Refused("INVALID", change.agent, f"at least {LEAST} credits", change.agent)
    purse = _funded(purser, change.agent, change.micros)
    if isinstance(purse, Refused):
        return purse
    _move(purser, ledger.burned(purse, change.micros))
    return None


def hold(purser: Purser, change: HoldCredit) -> Refused | None:
    """Promise credit, and count it in its budgets."""
    draft, key = purser.draft, hold_key(change.hold_id)
    if change.micros <= 0 or change.expires_at <= purser.at:
        return Refused(
            "INVALID", change.hold_id, f"at least {LEAST} credits, and not over yet", change.agent
        )
    if draft.get(key, Hold) is not None:
        return Refused("HOLD_EXISTS", change.hold_id, "a hold has this id", change.agent)
    windows: dict[str, int] = {}
    for name in change.budgets:
        window = _use(purser, name, change)
        if isinstance(window, Refused):
            return window
        windows[name] = window
    purse = _funded(purser, change.agent, change.micros)
    if isinstance(purse, Refused):
        return purse
    _move(purser, ledger.held(purse, change.micros))
    made = Hold(
        change.hold_id,
        change.agent,
        change.micros,
        purser.place,
        change.expires_at,
        change.negotiation_id,
        change.resource,
        change.project,
        windows,
    )
    draft.put(key, made)
    return None


def capture(purser: Purser, change: Capture) -> Refused | None:
    """Pay of a hold, which ends it."""
    draft, key = purser.draft, hold_key(change.hold_id)
    held = draft.get(key, Hold)
    if held is None or held.expires_at <= purser.at:
        return Refused("HOLD_ENDED", change.hold_id, "it has ended, or never was")
    if not 0 <= change.micros <= held.micros:
        detail = f"{credits_of(held.micros)} credits are held"
        return Refused("CAPTURE_TOO_LARGE", change.hold_id, detail, held.agent)
    _move(purser, ledger.captured(_purse_of(purser, held), held, change.micros))
    draft.spent.append(_spent(held, change.micros))
    _use_less(purser, held, held.micros - change.micros)
    draft.take_off(key)
    return None


def release(purser: Purser, change: Release) -> None:
    """Give all of a hold back, which ends it; one that has ended stays so."""
    draft, key = purser.draft, hold_key(change.hold_id)
    held = draft.get(key, Hold)
    if held is None or (change.only_expired and held.expires_at > purser.at):
        return
    _move(purser, ledger.released(_purse_of(purser, held), held))
    _use_less(purser, held, held.micros)
    draft.take_off(key)


def refund(purser: Purser, change: Refund) -> Refused | None:
    """Give back what was paid, up to all of it, to where the agent's treasury is."""
    draft = purser.draft
    entry = draft.get(entry_key(change.captured_by), Entry)
    paid = next(
        (
            spent
            for spent in (() if entry is None else entry.spent)
            if spent.hold_id == change.hold_id and spent.micros > 0
        ),
        None,
    )
    key = refunded_key(change.hold_id)
    before = draft.get(key, Refunded) or Refunded(0)
    if paid is None or not 0 < change.micros <= paid.micros - before.micros:
        rest = 0 if paid is None else paid.micros - before.micros
        detail = f"{credits_of(rest)} credits are left of what was paid"
        return Refused("REFUND_TOO_LARGE", change.hold_id, detail)
    _move(purser, ledger.refunded(draft.purse(paid.agent, ""), change.micros))
    draft.spent.append(replace(paid, micros=-change.micros))
    draft.put(key, Refunded(before.micros + change.micros))
    return None


def give_back(purser: Purser, change: GiveBack) -> None:
    """Carry what is available at a place to the treasury."""
    place = change.place or purser.place
    purse = purser.draft.purse(change.agent, place)
    if place and purse.available:
        _carry(purser, purse, purser.draft.purse(change.agent, ""), purse.available)


def set_budget(purser: Purser, change: SetBudget) -> Refused | None:
    """Grant so much a window; what gateways have leased and not used is taken back first."""
    if not 0 <= change.micros <= MICROS_MAX or not (
        change.seconds is None or 1.0 <= change.seconds <= budgets.SECONDS_MAX
    ):
        detail = f"0 to {credits_of(MICROS_MAX)} credits, in windows of 1 second to a year"
        return Refused("INVALID", change.name, detail)
    draft, key = purser.draft, grant_key(change.name)
    grant = draft.get(key, Grant) or Grant(change.name, 0, change.seconds)
    if grant.seconds != change.seconds:
        detail = f"its windows last {grant.seconds}; make another one for windows of another length"
        return Refused("INVALID", change.name, detail)
    for place in grant.leased:
        grant = _taken_back(purser, grant, place, MICROS_MAX)
    draft.put(key, replace(grant, micros=change.micros))
    return None


def _move(purser: Purser, moved: ledger.Moved) -> None:
    purse, postings = moved
    purser.draft.put_purse(purse)
    purser.draft.postings += postings


def _carry(purser: Purser, source: Purse, target: Purse, micros: int) -> Purse:
    """Carry credit from one place to another and return the purse there."""
    source, target, postings = ledger.carried(source, target, micros)
    purser.draft.put_purse(source)
    purser.draft.put_purse(target)
    purser.draft.postings += postings
    return target


def _purse_of(purser: Purser, held: Hold) -> Purse:
    """Return the purse that a hold is in."""
    purse = purser.draft.purse(held.agent, held.place)
    if purse.held < held.micros:
        raise Unread(hold_key(held.hold_id), purse_key(held.agent, held.place))
    return purse


def _spent(held: Hold, micros: int) -> Spent:
    return Spent(held.hold_id, held.agent, micros, held.negotiation_id, held.resource, held.project)


def _funded(purser: Purser, agent: str, micros: int) -> Purse | Refused:
    """Return the writer's purse with at least so much in it, or why there cannot be."""
    draft, place = purser.draft, purser.place
    purse = draft.purse(agent, place)
    if purse.available < micros:
        treasury = draft.purse(agent, "")
        if place:
            short = micros - purse.available
            chunk = max(short, min(purser.chunk_micros, treasury.available // 2))
            purse = _carry(purser, treasury, purse, min(chunk, treasury.available))
        places = _collected(purser, purse, treasury.places, micros)
        if place and len(places) >= PLACES_MAX:
            return Refused("INVALID", agent, f"it has credit at {PLACES_MAX} places", agent)
        places += (place,) if place else ()
        if places != treasury.places:
            draft.put_purse(replace(draft.purse(agent, ""), places=places))
        purse = draft.purse(agent, place)
    if purse.available < micros:
        there = credits_of(purse.available)
        detail = f"{credits_of(micros)} credits are wanted, {there} available"
        return Refused("CREDIT_SHORT", agent, detail, agent)
    return purse


def _collected(
    purser: Purser, purse: Purse, places: tuple[str, ...], micros: int
) -> tuple[str, ...]:
    """Carry to a purse what it lacks from other places; return those that still have something."""
    left = []
    for other in places:
        if other == purse.place:
            continue
        if purse.available < micros:
            there = purser.draft.purse(purse.agent, other)
            more = min(micros - purse.available, there.available)
            purse = _carry(purser, there, purse, more)
            if not (there.held or there.available - more):
                continue
        left.append(other)
    return tuple(left)


def _use(purser: Purser, name: str, change: HoldCredit) -> int | Refused:
    """Count a hold in a budget; return the window, or why it does not fit in."""
    draft, place = purser.draft, purser.place
    key = share_key(name, place)
    share = draft.get(key, Share)
    if (
        share is not None
        and share.used + change.micros <= share.leased
        and not share.is_over(purser.at)
    ):
        draft.put(key, replace(share, used=share.used + change.micros))
        return share.window
    grant = draft.get(grant_key(name), Grant)
    if grant is None:
        return Refused("BUDGET_UNKNOWN", name, "there is no such budget", change.agent)
    window = max(grant.window, grant.window_at(purser.at))
    grant = budgets.at_window(grant, window)
    share = (share or Share(-1)).at_window(window, grant.seconds)
    short = share.used + change.micros - share.leased
    grant, share = budgets.leased(grant, share, place, short, purser.chunk_micros)
    for other in tuple(grant.leased)[:PLACES_MAX]:
        short = share.used + change.micros - share.leased
        if short > 0 and other != place:
            grant = _taken_back(purser, grant, other, short)
            grant, share = budgets.leased(grant, share, place, short, 0)
    if share.used + change.micros > share.leased:
        left = share.leased - share.used
        return Refused(
            "BUDGET_EXHAUSTED",
            name,
            f"{credits_of(change.micros)} credits are wanted, {credits_of(left)} left",
            change.agent,
            grant.resets_at(window),
        )
    draft.put(grant_key(name), grant)
    draft.put(key, replace(share, used=share.used + change.micros))
    return window


def _use_less(purser: Purser, held: Hold, micros: int) -> None:
    """Take off what was not paid, in the windows that the hold counts in, if they last."""
    for name, window in held.budgets.items():
        key = share_key(name, held.place)
        share = purser.draft.get(key, Share)
        if micros and share is not None and share.window == window:
            purser.draft.put(key, replace(share, used=share.used - micros))


def _taken_back(purser: Purser, grant: Grant, place: str, micros: int) -> Grant:
    """Take what a place has leased and not used, up to `micros`."""
    key = share_key(grant.name, place)
    share = purser.draft.get(key, Share)
    if share is None or share.window != grant.window:
        return grant
    grant, share = budgets.handed_back(grant, share, place, micros)
    purser.draft.put(key, share)
    return grant
