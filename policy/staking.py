"""What the awards of a contract net hold: asked for, paid, given back.

The branches of `closing` and `contract_net` call these where a call has stakes, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from policy.call import Call
from policy.effects import Effect, Hold, Release, Settle
from policy.events import OfferReceived
from policy.settling import (
    NOTHING_SETTLED,
    Settlement,
    ask,
    capture,
    hold_key_of,
    key_of,
    next_number,
    release,
    stake_for,
)
from policy.stakes import ESCROW_SLACK_SECONDS, SPANS_MAX, Stakes, stake_of
from policy.states import Award, Course, Phase, State

HOLD_SECONDS_MAX = 3_600.0
"""How long an offer holds units at most."""


def ask_store(
    state: State, course: Course, made: tuple[Award, ...], stakes: Stakes, now: float
) -> tuple[Settlement, Settle]:
    """Return what asks the store to write awards before anybody hears of them."""
    call = state.terms.call
    settlement = course.settlement or NOTHING_SETTLED
    number = next_number(settlement, call.round)
    offers = {offer.sender: offer for offer, _, _ in course.ranking}
    ends_at = now + stakes.within + _longest(call)
    wanted = []
    for place, award in enumerate(made, 1):
        offer = offers[award.agent]
        stake = stake_of(
            stakes,
            key_of(call.negotiation_id, number, place),
            initiator=call.initiator,
            agent=award.agent,
            offer_id=award.offer_id,
            price=award.price,
            wishes=offer.fields.get("terms"),
            buys=call.direction == "allocate",
            now=now,
            ends_at=ends_at,
            instead_of=hold_key_of(call.negotiation_id, call.round, award.agent)
            if offer.hold
            else "",
        )
        wanted.append(stake)
    return ask(settlement, number, wanted, now, stakes.within)


def _longest(call: Call) -> float:
    """Return how long an award may take to its end once it is written."""
    confirming = SPANS_MAX * call.confirm_within if call.acceptance.confirm else 0.0
    return confirming + (call.report_within or 0.0) + ESCROW_SLACK_SECONDS


def hold_units(
    state: State, offer: OfferReceived, stakes: Stakes, now: float, decided_by: float | None = None
) -> Hold:
    """Return what holds the call's units for an offer while it is valid.

    `decided_by` is when it is decided at the latest, None where that is said by the call.
    """
    call = state.terms.call
    decided_by = state.terms.deadline + call.decide_within if decided_by is None else decided_by
    until = decided_by + stakes.within
    until = until if offer.valid_until is None else min(until, offer.valid_until)
    stake = stake_of(
        stakes,
        hold_key_of(call.negotiation_id, call.round, offer.sender),
        initiator=call.initiator,
        agent=offer.sender,
        offer_id=offer.msg_id,
        price=0.0,
        wishes=offer.fields.get("terms"),
        buys=call.direction == "allocate",
        now=now,
        ends_at=min(until, now + HOLD_SECONDS_MAX),
    )
    return Hold(replace(stake, payer="", project=""))


def let_go(
    course: Course, reason: str, effects: list[Effect], agents: Collection[str] | None = None
) -> Course:
    """Give back what the awards of these agents hold, or all of it and what is asked for."""
    assert course.settlement is not None, "the call has stakes"
    settlement, released = release(course.settlement, reason, agents)
    effects += released
    settling = course.settling if agents is not None else ()
    return replace(course, settlement=settlement, settling=settling)


def pay(course: Course, agent: str, effects: list[Effect]) -> Course:
    """Pay for the work of a winner that has reported success, and free its units."""
    assert course.settlement is not None, "the call has stakes"
    settlement, captured = capture(course.settlement, unlock=True, agents=(agent,))
    effects += captured
    return replace(course, settlement=settlement)


def last_word(
    state: State, settlement: Settlement | None, phase: Phase, effects: list[Effect]
) -> Settlement | None:
    """Pay or give back what is held now that the outcome is known, unless a report is awaited."""
    call = state.terms.call
    soft = tuple(
        hold_key_of(call.negotiation_id, call.round, offer.sender)
        for offer in state.offers
        if offer.hold and stake_for(settlement, offer.sender) is None
    )
    if soft:
        effects.append(Release(soft, phase.value))
    if settlement is None:
        return None
    ended: list[Effect] = []
    if phase is not Phase.COMMITTED:
        settlement, ended = release(settlement, phase.value)
    elif call.report_within is None:
        settlement, ended = capture(settlement, unlock=False)
    effects += ended
    return settlement
