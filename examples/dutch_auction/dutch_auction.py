"""A Dutch auction: the price falls with the clock, and the first who says yes has it.

    OPEN --an offer at the price of the moment--> COMMITTED
      +--> NO_AWARD at the deadline; CANCELLED by the initiator

A protocol of somebody's own: this module, and one line of the settings,

    engine.protocols = "dutch_auction:PROTOCOL"

Who sells calls with `protocol: "dutch-auction"` and says in `options` at which price the clock
starts, by how much it falls every so many seconds, and where it stops. Everybody can compute the
price, so nothing has to be sent while it falls. Of two offers the one that comes first wins, at
the price of the moment in which the gateway received it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from policy import call as calls
from policy.call import Call, Terms
from policy.effects import Effect, Finish, Refuse, Relay, Tell
from policy.events import CancelReceived, DeadlinePassed, Event, OfferReceived, ThinkingReceived
from policy.protocols import Protocol
from policy.states import ENDED, Phase, View


class Clock(msgspec.Struct, frozen=True, gc=False):
    """How the price falls; what a call says in `options`."""

    start: float
    floor: float
    step: float
    """By how much it falls, more than 0."""
    every: float
    """After how many seconds, more than 0."""

    def price(self, elapsed: float) -> float:
        """Return the price so many seconds after the opening."""
        return max(self.floor, self.start - self.step * math.floor(elapsed / self.every))


class State(msgspec.Struct, frozen=True, gc=False):
    """Where one auction stands."""

    terms: Terms
    clock: Clock
    phase: Phase
    due: float
    winner: OfferReceived | None = None
    price: float = 0.0
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Tell whether it is over; `due` then says when to forget it."""
        return self.phase is Phase.COMMITTED or self.phase in ENDED

    def view(self) -> View:
        """Return what an operator is shown."""
        winner = self.winner
        parties = dict.fromkeys(self.terms.call.eligible, "called")
        if winner is None:
            return View(0, 0, parties, {}, reason=self.reason)
        parties[winner.sender] = "won"
        return View(1, 1, parties, {winner.sender: self.price}, "quorum", self.reason)


def objection(call: Call) -> Refuse | None:
    """Return why an auction cannot be opened, as the answer to its initiator, or None."""
    if clock_of(call.options) is None:
        return Refuse(
            call.initiator,
            call.msg_id,
            "OPTIONS_INVALID",
            "the options do not say how the price falls",
            "give start, floor below it, and step and every above 0, all as numbers",
        )
    return calls.objection(call)


def clock_of(options: Mapping[str, object]) -> Clock | None:
    """Return how the price falls, or None where the options do not say it."""
    try:
        clock = msgspec.convert(options, Clock)
    except msgspec.ValidationError:
        return None
    falls = clock.start > clock.floor and clock.step > 0 and clock.every > 0
    return clock if falls else None


def open_call(call: Call, now: float) -> tuple[State, list[Effect]]:
    """Return a new auction; the call is one that `objection` does not object to."""
    clock = clock_of(call.options)
    assert clock is not None, "`objection` objects to it"
    return State(Terms.of(call), clock, Phase.OPEN, call.closes_at), []


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """Apply one event and return the next state with the effects it caused."""
    terms = state.terms
    if state.winner is not None and event.msg_id == state.winner.msg_id:
        return state, []  # the winner says it again
    if state.phase is Phase.OPEN and now > state.due:
        return _ended(state, Phase.NO_AWARD, "no_offers", now)
    match event:
        case OfferReceived() if event.sender not in terms.eligible:
            return state, _refuse(event, "NOT_A_PARTY", "the call was not sent to you")
        case OfferReceived() if state.phase is not Phase.OPEN:
            return state, _refuse(event, "LATE", "it is over", "be faster next time")
        case OfferReceived():
            return _offer(state, event, now)
        case CancelReceived() if event.sender == terms.initiator and state.phase is Phase.OPEN:
            return _ended(state, Phase.CANCELLED, event.reason or "cancelled", now)
        case DeadlinePassed() if state.phase is Phase.OPEN and now >= state.due:
            return _ended(state, Phase.NO_AWARD, "no_offers", now)
        case ThinkingReceived():
            return state, _refuse(event, "WRONG_STATE", "the clock does not wait")
        case _:
            return state, []


def _offer(state: State, event: OfferReceived, now: float) -> tuple[State, list[Effect]]:
    price = state.clock.price(now - state.terms.call.opened_at)
    if event.value < price:
        remedy = f"offer {price:g}, or wait until the clock shows less"
        return state, _refuse(event, "WRONG_STATE", f"the clock shows {price:g}", remedy)
    return _ended(replace(state, winner=event, price=price), Phase.COMMITTED, "first", now)


def _refuse(event: Event, code: str, reason: str, remedy: str = "see the call") -> list[Effect]:
    return [Refuse(event.sender, event.msg_id, code, reason, remedy)]


def _ended(state: State, phase: Phase, reason: str, now: float) -> tuple[State, list[Effect]]:
    """End it, and tell everybody: others may still wait for a lower price."""
    call, winner = state.terms.call, state.winner
    told: list[tuple[str, str, str, Mapping[str, object]]] = []
    effects: list[Effect] = []
    if winner is not None:
        accepted = {"offer_id": winner.msg_id, "decision": "accepted", "price": state.price}
        told.append((winner.sender, "accept", winner.msg_id, {**accepted, "award": {"rank": 1}}))
        effects.append(Relay(call.initiator))
    losers = [agent for agent in call.eligible if winner is None or agent != winner.sender]
    told += [(agent, "cancel", call.msg_id, {"reason": reason}) for agent in losers]
    outcome = _outcome(state, phase, reason, now)
    told.append((call.initiator, "inform", call.msg_id, {"outcome": outcome}))
    effects += [
        Tell(agent, act, f"{call.negotiation_id}:{number}", in_reply_to, body)
        for number, (agent, act, in_reply_to, body) in enumerate(told, 1)
    ]
    effects.append(Finish(outcome))
    return replace(state, phase=phase, due=now + call.linger, reason=reason), effects


def _outcome(state: State, phase: Phase, reason: str, now: float) -> dict[str, object]:
    call, winner = state.terms.call, state.winner
    won: list[dict[str, object]] = []
    if winner is not None:
        offer = {"agent": winner.sender, "offer_id": winner.msg_id, "value": winner.value}
        won.append({**offer, "price": state.price, "rank": 1})
    return {
        "negotiation_id": call.negotiation_id,
        "state": phase.value,
        "reason": reason,
        "policy": call.acceptance.label,
        "round": 1,
        "eligible": state.terms.size,
        "offers": len(won),
        "winners": won,
        "opened_at": call.opened_at,
        "closed_at": now,
        "decided_at": now,
    }


PROTOCOL = Protocol("dutch-auction", open_call, step, objection, "options")
