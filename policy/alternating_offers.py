"""Alternating offers: two parties propose in turn until one accepts.

    OPEN --accept--> COMMITTED
      +--> NO_AWARD: a party ended it, or the rounds, the time, or a turn ran out
      +--> CANCELLED: the initiator took its call back

A round is one turn of one party. In its turn a party does one thing: it accepts the proposal
that stands, proposes something else, or ends. There is no document of this name among FIPA's
protocols; the acts are FIPA's (SC00037J), the order is ours. Believe while reading:

- Only the party that is to move is heard; whatever else comes leaves the very same state object.
- A proposal stands until it is answered. One whose validity is over stands too, cannot be
  accepted, and its receiver is still to move.
- Who proposes in the last round proposes what nobody can accept: that ends it.
- Time is judged by `now` alone, as in `contract_net`.
- The deal is what stood in the proposal; both parties hear the same outcome, once.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from policy import bargain_moves
from policy.bargain_endings import Script, Step, agree, give_up, last_said
from policy.bargain_moves import Moves, leave
from policy.bargain_states import State
from policy.bargain_turns import hear, turn_ends, turn_of
from policy.bargaining import Terms, objection
from policy.call import Call
from policy.concessions import shortfall
from policy.deals import Deal, answered_id, broken_condition, deal_of, said_round
from policy.effects import Effect, Relay
from policy.events import AcceptReceived, CounterReceived, Event, OfferReceived, RejectReceived
from policy.issues import fault
from policy.refusals import refuse
from policy.states import Phase

__all__ = ["State", "objection", "open_call", "step"]


def open_call(call: Call, now: float) -> tuple[State, list[Effect]]:
    """Return a new bargain; the call is one that `objection` does not object to."""
    terms = Terms.of(call)
    first = terms.initiator if terms.rules.first == "initiator" else terms.responder
    state = State(terms, Phase.OPEN, terms.deadline, (first,), 1, now)
    opening = terms.rules.opening
    if opening is not None:
        deal = _opening_deal(call, dict(opening), now)
        state = _tabled(state, deal, now)
    else:
        state = replace(state, due=turn_ends(state, now))
    return state, [Relay(terms.responder, turn_of(state, terms.responder))]


def _opening_deal(call: Call, said: dict[str, Any], now: float) -> Deal:
    value, valid_for = said.get("value"), said.get("valid_for")
    terms = said.get("terms") or {"value": value}
    until = None if valid_for is None else now + valid_for
    return Deal(call.msg_id, call.initiator, terms, value, 1, None, until)


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """Apply one event and return the next state with the effects it caused."""
    return bargain_moves.step(MOVES, state, event, now)


def _propose(state: State, event: OfferReceived | CounterReceived, now: float) -> Step:
    deal = deal_of(event, state.round)
    refused = _stale(state, event, answered_id(event)) or _unfit(state, event, deal, now)
    if refused or deal is None:
        return state, refused
    state = hear(state, event)
    if state.round >= state.terms.rules.max_rounds:
        return give_up(state, "rounds", now, Script(state))
    state = _tabled(state, deal, now)
    other = state.terms.other(event.sender)
    return state, [Relay(other, turn_of(state, other))]


def _tabled(state: State, deal: Deal, now: float) -> State:
    """Let a proposal stand, and the other party move."""
    return replace(
        state,
        due=turn_ends(state, now),
        to_move=(state.terms.other(deal.sender),),
        round=state.round + 1,
        since=now,
        deals={**state.deals, deal.sender: deal},
        standing=deal,
        offers=state.offers + 1,
    )


def _stale(state: State, event: Event, offer_id: str) -> list[Effect]:
    """Return the answer to an act that answers something else than what stands."""
    standing = state.standing.offer_id if state.standing else state.terms.call.msg_id
    if offer_id in ("", standing):
        return []
    return refuse(event, "STALE_OFFER", "this offer does not stand", f"answer {standing}")


def _unfit(
    state: State, event: OfferReceived | CounterReceived, deal: Deal | None, now: float
) -> list[Effect]:
    """Return the answer to a proposal that cannot be made now."""
    round_ = said_round(event)
    if round_ not in (None, state.round):
        reason = "the proposal is for another round"
        return refuse(event, "WRONG_STATE", reason, f"use round {state.round}")
    if deal is None:
        return refuse(event, "TERMS_INVALID", "nothing is proposed", "name terms, or a value")
    wrong = fault(state.terms.call.issues, deal.terms)
    if wrong is not None:
        return refuse(event, "TERMS_INVALID", wrong.reason, wrong.remedy)
    if deal.valid_until is not None and deal.valid_until < now:
        return refuse(event, "OFFER_EXPIRED", "the proposal has ended before it came")
    return _unfair(state, event, deal) if state.terms.rules.must_concede else []


def _unfair(state: State, event: Event, deal: Deal) -> list[Effect]:
    """Return the answer to a proposal that is worse for the other party than the last one."""
    terms = state.terms
    other = terms.other(deal.sender)
    if terms.worth(other, deal) is None:
        reason = "nobody can tell what the proposal is worth to the other party"
        return refuse(event, "TERMS_INVALID", reason, "say its value")
    earlier = state.deals.get(deal.sender)
    if earlier is None:
        return []
    gain, least = terms.gain(other, earlier, deal), terms.rules.step_min
    if terms.is_concession(gain) or (gain == 0 and not least):
        return []
    reason, remedy = shortfall(terms, earlier, deal, least)
    return refuse(event, "MUST_CONCEDE", reason, f"{remedy}, accept, or end")


def _accept(state: State, event: AcceptReceived, now: float) -> Step:
    deal = state.standing
    if deal is None:
        return state, refuse(event, "UNKNOWN_OFFER", "nothing is proposed yet", "propose something")
    refused = _stale(state, event, event.offer_id)
    if refused:
        return state, refused
    if deal.valid_until is not None and deal.valid_until < now:
        remedy = "propose the same, or something else"
        return state, refuse(event, "OFFER_EXPIRED", "the offer's validity has ended", remedy)
    if deal.valid_from is not None and now < deal.valid_from:
        reason, remedy = "the offer's validity has not begun", "accept later, or propose"
        return state, refuse(event, "WRONG_STATE", reason, remedy)
    broken = broken_condition(deal, state.round)
    if broken:
        reason, remedy = "a condition of the offer does not hold", f"it says {broken}"
        return state, refuse(event, "TERMS_INVALID", reason, remedy)
    script = Script(state, Relay(deal.sender))
    return agree(hear(state, event), deal, now, script)


def _leave(state: State, event: Event, reason: str, now: float) -> Step:
    """End on the word of the party that is to move, if it rejects what stands."""
    refused = _stale(state, event, event.offer_id if isinstance(event, RejectReceived) else "")
    return (state, refused) if refused else leave(state, event, reason, now)


def _time_up(state: State, now: float) -> Step:
    """Go on without what did not come in time."""
    rules, (mover,) = state.terms.rules, state.to_move
    if now >= state.terms.deadline:
        return give_up(state, "deadline", now, Script(state))
    own = state.deals.get(mover)
    if rules.on_timeout == "end" or own is None:
        return give_up(state, "turn_timeout", now, Script(state))
    if state.round >= rules.max_rounds:
        return give_up(state, "rounds", now, Script(state))
    state = _tabled(state, replace(own, round=state.round), now)
    script = Script(state)
    other = state.terms.other(mover)
    for agent in (mover, other):
        body = {
            "result": {"repeated": own.body(), "by": mover, "round": own.round},
            "done": False,
            "reason": "turn_timeout",
        }
        script.inform(agent, last_said(state, agent), body, turn_of(state, agent))
    return replace(state, told=script.told), script.effects


MOVES = Moves(_propose, _accept, _leave, _time_up)
