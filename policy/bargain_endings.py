"""How a bargain ends: once, and both parties hear the same.

The last message to each is an inform with the outcome, see Outcome.json. What was agreed stands
in it byte for byte: the terms of the proposal, and the SHA-256 of their canonical JSON.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from policy.bargain_states import Ending, Settling, State
from policy.coin import Toss
from policy.deals import Deal, terms_sha256
from policy.effects import Effect, Finish, Relay, Tell, Turn
from policy.fairness import fair_shares
from policy.settling import NOTHING_SETTLED, ask, key_of, refusal, stake_for
from policy.stakes import ESCROW_SLACK_SECONDS, Stakes, stake_of, told
from policy.states import Phase

Step = tuple[State, list[Effect]]


class Script:
    """What a step says, in order, with the numbers of its messages."""

    __slots__ = ("_negotiation_id", "effects", "told")

    def __init__(self, state: State, *effects: Effect) -> None:
        self._negotiation_id = state.terms.call.negotiation_id
        self.told = state.told
        self.effects: list[Effect] = list(effects)

    def inform(
        self, recipient: str, in_reply_to: str, body: Mapping[str, object], turn: Turn | None = None
    ) -> None:
        """Add a message of the exchange's own."""
        self.told += 1
        msg_id = f"{self._negotiation_id}:{self.told}"
        self.effects.append(Tell(recipient, "inform", msg_id, in_reply_to, body, turn))


def last_said(state: State, agent: str) -> str:
    """Return the msg_id that a message to this party answers: its last act, or the call."""
    return state.last.get(agent, state.terms.call.msg_id)


def agree(state: State, deal: Deal, now: float, script: Script, toss: Toss | None = None) -> Step:
    """End with a deal, once what it holds is written.

    `toss` is the coin that chose between two, if one did.
    """
    stakes = state.terms.call.stakes
    if stakes is not None and state.settling is None:
        return _settle(state, deal, stakes, now, script, toss)
    coin = {} if toss is None else {"coin": {"seed": toss.seed, "heads": toss.heads}}
    return _end(state, Ending("agreement", "agreement", deal), Phase.COMMITTED, now, script, coin)


def _settle(
    state: State, deal: Deal, stakes: Stakes, now: float, script: Script, toss: Toss | None
) -> Step:
    """Ask the store to write what a deal holds; `bargain_settling` goes on."""
    terms, call = state.terms, state.terms.call
    stake = stake_of(
        stakes,
        key_of(call.negotiation_id, 1, 1),
        initiator=terms.initiator,
        agent=terms.responder,
        offer_id=deal.offer_id,
        price=_price(deal),
        wishes=deal.terms,
        buys=call.direction == "allocate",
        now=now,
        ends_at=now + stakes.within + ESCROW_SLACK_SECONDS,
    )
    settlement, effect = ask(NOTHING_SETTLED, 1, [stake], now, stakes.within)
    # What accepts the deal is not passed on: nobody hears of it before it is written.
    unheard = [one for one in script.effects if not isinstance(one, Relay)]
    settling = Settling(deal, toss, settlement)
    due = settlement.answer_by
    state = replace(state, phase=Phase.SETTLING, due=due, to_move=(), settling=settling)
    return replace(state, told=script.told), [*unheard, effect]


def _price(deal: Deal) -> float:
    """Return what a deal costs: its value, or the price among its terms, or nothing."""
    price = deal.terms.get("price", 0.0) if deal.value is None else deal.value
    return float(price) if isinstance(price, int | float) else 0.0


def give_up(state: State, by: str, now: float, script: Script, reason: str = "") -> Step:
    """End without a deal; `by` is one of the words of `Ending`."""
    return _end(state, Ending(by, reason or by), Phase.NO_AWARD, now, script, {})


def cancel(state: State, reason: str, now: float, script: Script) -> Step:
    """End on the initiator's word."""
    return _end(state, Ending("end", reason or "cancelled"), Phase.CANCELLED, now, script, {})


def _end(
    state: State,
    ending: Ending,
    phase: Phase,
    now: float,
    script: Script,
    coin: Mapping[str, object],
) -> Step:
    terms = state.terms
    body = _outcome(state, ending, phase, now, coin)
    for agent in (terms.initiator, terms.responder):
        script.inform(agent, last_said(state, agent), {"outcome": body})
    script.effects.append(Finish(body))
    ended = replace(
        state,
        phase=phase,
        due=now + terms.call.linger,
        to_move=(),
        standing=None,
        sealed={},
        told=script.told,
        ending=ending,
    )
    return ended, script.effects


def _outcome(
    state: State, ending: Ending, phase: Phase, now: float, coin: Mapping[str, object]
) -> dict[str, object]:
    """Return what both parties are told; times are on the gateway's clock."""
    terms, deal = state.terms, ending.deal
    call = terms.call
    body: dict[str, object] = {
        "negotiation_id": call.negotiation_id,
        "state": phase.value,
        "reason": ending.reason,
        "ended_by": ending.by,
        "policy": call.acceptance.label,
        "round": max(1, state.round),
        "eligible": 1,
        "offers": state.offers,
        "winners": [],
        "opened_at": call.opened_at,
        "closed_at": now,
        "decided_at": now,
    }
    if phase is Phase.NO_AWARD and state.settling is not None:
        body |= refusal(state.settling.settlement, ending.reason)
    if deal is not None:
        body["agreement"] = {**_agreement(state, deal, now), **coin}
        winner: dict[str, object] = {"agent": terms.responder, "offer_id": deal.offer_id}
        if deal.value is not None:
            winner |= {"value": deal.value, "price": deal.value}
        settled = None if state.settling is None else state.settling.settlement
        stake = stake_for(settled, terms.responder)
        body["winners"] = [{**winner, "rank": 1, **({} if stake is None else told(stake))}]
    won = {} if deal is None else {terms.responder: deal.value or 0.0}
    return {**body, **fair_shares(call.fairness, call.eligible, won)}


def _agreement(state: State, deal: Deal, now: float) -> dict[str, object]:
    agreement: dict[str, object] = {
        "offer_id": deal.offer_id,
        "by": deal.sender,
        "terms": deal.terms,
        "terms_sha256": terms_sha256(deal.terms),
        "round": deal.round,
    }
    if deal.value is not None:
        agreement["value"] = deal.value
    discount = state.terms.rules.discount
    if discount is not None:
        elapsed = now - state.terms.call.opened_at
        left = discount.weights(deal.round, elapsed)
        agreement["discount"] = {"kind": discount.kind, **left}
    return agreement
