"""Monotonic concession: two parties table deals at once, and give way until they meet.

    OPEN --the deals meet--> COMMITTED
      +--> NO_AWARD: nobody conceded (conflict), a party ended it, rounds, time or a turn ran out
      +--> CANCELLED: the initiator took its call back

In each step both table a deal; nobody is shown anything before both have. They agree when one is
offered what it asks for itself. Otherwise each stands still or concedes, which is to offer the
other party more than before. Who has to concede is the `concession` of the call:

    either   one of the two; when neither does, that is the conflict deal, and the end
    both     both, in every step
    zeuthen  the one with the lower risk, see `concessions`; only that one is asked

Believe while reading:

- No deal is worse for the other party than the last one of the same party. What deals are worth
  is what the call declares, never what a party says of itself.
- A deal stands until the end; to accept the deal of the other is to table the same.
- Every step but the last brings a concession, so a finite set of deals ends it; a call bounds
  the steps anyway.

Source: J. S. Rosenschein and G. Zlotkin, Rules of Encounter (1994), chapter 3.
"""

from __future__ import annotations

from msgspec.structs import replace

from policy import bargain_moves
from policy.bargain_endings import Script, Step, agree, give_up, last_said
from policy.bargain_moves import Moves, leave
from policy.bargain_states import State
from policy.bargain_turns import hear, turn_ends, turn_of
from policy.bargaining import Terms, objection
from policy.call import Call
from policy.concessions import agreed, next_to_concede, shortfall
from policy.deals import Deal, deal_of, said_round
from policy.effects import Effect, Relay
from policy.events import AcceptReceived, CounterReceived, Event, OfferReceived
from policy.issues import fault
from policy.refusals import refuse
from policy.states import Phase

__all__ = ["State", "objection", "open_call", "step"]


def open_call(call: Call, now: float) -> tuple[State, list[Effect]]:
    """Return a new bargain; the call is one that `objection` does not object to."""
    terms = Terms.of(call)
    both = (terms.initiator, terms.responder)
    state = State(terms, Phase.OPEN, terms.deadline, both, 1, now)
    state = replace(state, due=turn_ends(state, now))
    return state, [Relay(terms.responder, turn_of(state, terms.responder))]


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """Apply one event and return the next state with the effects it caused."""
    return bargain_moves.step(MOVES, state, event, now)


def _offer(state: State, event: OfferReceived | CounterReceived, now: float) -> Step:
    """Table what a party offers, if it may be tabled."""
    deal = deal_of(event, state.round)
    if deal is None:
        return state, refuse(event, "TERMS_INVALID", "nothing is offered", "name terms, or a value")
    refused = _unfit(state, event, deal, now) or _unfair(state, event, deal)
    if refused:
        return state, refused
    return _table(hear(state, event), deal, now)


def _unfit(
    state: State, event: OfferReceived | CounterReceived, deal: Deal, now: float
) -> list[Effect]:
    """Return the answer to a deal that cannot be tabled in this step."""
    terms = state.terms
    if said_round(event) not in (None, state.round):
        reason = "the deal is for another step"
        return refuse(event, "WRONG_STATE", reason, f"use round {state.round}")
    wrong = fault(terms.call.issues, deal.terms)
    if wrong is not None:
        return refuse(event, "TERMS_INVALID", wrong.reason, wrong.remedy)
    if deal.conditions or (deal.valid_from is not None and now < deal.valid_from):
        reason = "a deal may be met at once, so it has no conditions and is good from now on"
        return refuse(event, "TERMS_INVALID", reason, "leave out conditions and valid_from")
    if deal.valid_until is not None and deal.valid_until < terms.deadline:
        reason = "a deal stands until the end, and this one ends before"
        return refuse(event, "OFFER_EXPIRED", reason, "let it be valid until the deadline")
    if None in (terms.worth(terms.initiator, deal), terms.worth(terms.responder, deal)):
        reason = "nobody can tell what the deal is worth"
        remedy = "say its value, and every term that the call's utilities read"
        return refuse(event, "TERMS_INVALID", reason, remedy)
    return []


def _unfair(state: State, event: Event, deal: Deal) -> list[Effect]:
    """Return the answer to a deal that gives the other party less than it must."""
    terms, earlier = state.terms, state.deals.get(deal.sender)
    if earlier is None:
        return []
    other = terms.other(deal.sender)
    gain, asked = terms.gain(other, earlier, deal), state.deals[other]
    may_stand = terms.rules.concession != "both"
    meets = gain > 0 and terms.gain(other, asked, deal) >= 0
    if (gain == 0 and may_stand) or meets or terms.is_concession(gain):
        return []
    reason, remedy = shortfall(terms, earlier, deal, terms.rules.step_min)
    still = "repeat your last, " if may_stand else ""
    more = "" if may_stand or terms.rules.step_min else " and better than your last"
    return refuse(event, "MUST_CONCEDE", reason, f"{remedy}{more}, {still}accept, or end")


def _accept(state: State, event: AcceptReceived, now: float) -> Step:
    """Table the deal of the other party."""
    deal = state.deals.get(state.terms.other(event.sender))
    if deal is None:
        reason, remedy = "nothing is shown yet", "table a deal of your own"
        return state, refuse(event, "UNKNOWN_OFFER", reason, remedy)
    if event.offer_id != deal.offer_id:
        remedy = f"answer {deal.offer_id}"
        return state, refuse(event, "STALE_OFFER", "this offer does not stand", remedy)
    same = replace(deal, offer_id=event.msg_id, sender=event.sender, round=state.round)
    return _table(hear(state, event), same, now)


def _table(state: State, deal: Deal, now: float) -> Step:
    """Keep a deal until everybody who is to move has tabled one."""
    state = replace(
        state,
        sealed={**state.sealed, deal.sender: deal},
        to_move=tuple(agent for agent in state.to_move if agent != deal.sender),
        offers=state.offers + 1,
    )
    return (state, []) if state.to_move else _resolve(state, now)


def _resolve(state: State, now: float) -> Step:
    """End a step: the deals meet, or nobody conceded, or it goes on."""
    terms, script = state.terms, Script(state)
    before, deals = state.deals, {**state.deals, **state.sealed}
    x, y = deals[terms.initiator], deals[terms.responder]
    deal, coin = agreed(terms, x, y, state.round)
    state = replace(state, deals=deals, sealed={})
    if deal is not None:
        return agree(state, deal, now, script, coin)
    if before and not any(
        terms.gain(terms.other(agent), before[agent], deals[agent]) > 0 for agent in deals
    ):
        return give_up(state, "conflict", now, script)
    if state.round >= terms.rules.max_rounds:
        return give_up(state, "rounds", now, script)
    to_move, coin = next_to_concede(terms, x, y, state.round)
    ended = state.round
    state = replace(state, to_move=to_move, round=ended + 1, since=now)
    state = replace(state, due=turn_ends(state, now))
    result: dict[str, object] = {
        "step": ended,
        "deals": {"initiator": x.body(), "responder": y.body()},
        "to_move": list(to_move),
    }
    if coin is not None:
        result["coin"] = {"seed": coin.seed, "heads": coin.heads}
    for agent in (terms.initiator, terms.responder):
        body = {"result": result, "done": False}
        script.inform(agent, last_said(state, agent), body, turn_of(state, agent))
    return replace(state, told=script.told), script.effects


def _time_up(state: State, now: float) -> Step:
    """Go on without what did not come in time: the silent stand still, where they may."""
    rules = state.terms.rules
    if now >= state.terms.deadline:
        return give_up(state, "deadline", now, Script(state))
    if rules.on_timeout == "end" or rules.concession == "both" or not state.deals:
        return give_up(state, "turn_timeout", now, Script(state))
    still = {agent: replace(state.deals[agent], round=state.round) for agent in state.to_move}
    return _resolve(replace(state, sealed={**state.sealed, **still}, to_move=()), now)


MOVES = Moves(_offer, _accept, leave, _time_up)
