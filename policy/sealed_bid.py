"""Sealed bids: nobody sees a bid before the close; the winner pays its own, or the best that lost.

    OPEN --close--> decided as in the contract net                              (bids)
    OPEN --close--> CLOSED --revealed, or time is up--> as in the contract net  (commitments)

Where the call asks for commitments, a bidder first sends the hash of its bid and of a nonce that
only it knows. After the close it is asked to reveal both within `reveal_within` seconds. Not even
the exchange knows a bid while bids are taken, and nobody can change one after. Believe while
reading:

- A state is a round of a contract net, sealed, with what was committed and revealed. While
  commitments are taken, they stand in the round as offers of no value, and it only counts them.
- Of equal bids the one that was committed first wins, whenever it was revealed.
- A bid that is revealed otherwise than it was committed does not count, and may be revealed
  again, rightly. What is not revealed in time is a refusal.
- A bid that is revealed may hold the units that it wants, as an offer does; when they are taken
  it is rejected, and counts as one that was not revealed.
- Nothing that is revealed is shown to anybody before all bids are open.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from policy import call as calls
from policy import contract_net
from policy.asking import with_turns
from policy.auction import opens, rank
from policy.call import Call, Terms
from policy.closing import Script, course_of, judge, no_award, shortage
from policy.effects import Effect, Refuse, Release, Turn
from policy.events import (
    AgentGone,
    CancelReceived,
    CommitmentReceived,
    DeadlinePassed,
    Event,
    HoldRefused,
    NotUnderstoodReceived,
    OfferReceived,
    RefusalReceived,
    ThinkingReceived,
)
from policy.issues import fault
from policy.offers import why_unfit
from policy.refusals import answer, refuse
from policy.rounds import TIME_UP, Around
from policy.settling import hold_key_of
from policy.staking import hold_units
from policy.states import Course, Phase, View

__all__ = ["HEARD", "Sealing", "State", "objection", "open_call", "step"]

REVEAL_SECONDS_DEFAULT = 10.0

# Which events mean something in which phase. Closed is a negotiation while bids are revealed.
HEARD = {
    **contract_net.HEARD,
    Phase.OPEN: (*contract_net.HEARD[Phase.OPEN], CommitmentReceived),
    Phase.CLOSED: (
        OfferReceived,
        CommitmentReceived,
        RefusalReceived,
        NotUnderstoodReceived,
        CancelReceived,
        AgentGone,
        DeadlinePassed,
    ),
}

BID = ("value", "terms", "conditions")
"""The members of an offer that make its bid, and are committed."""


class Sealing(msgspec.Struct, frozen=True, gc=False):
    """How bids are sealed and paid: the property `sealed` of a call."""

    price: str = "second"
    """ "first": a winner pays its own bid; "second": the best that lost (Vickrey)."""
    commit: bool = False
    """Are bids committed first, and revealed after the close?"""
    reveal_within: float = REVEAL_SECONDS_DEFAULT
    """Seconds that bidders have to reveal."""

    @classmethod
    def of(cls, call: Call) -> Sealing:
        """Read the options of a call, which its schema has judged."""
        said: Mapping[str, Any] = call.options
        return cls(
            said.get("price", "second"),
            said.get("commit", False),
            float(said.get("reveal_within", REVEAL_SECONDS_DEFAULT)),
        )


class State(Around, frozen=True, gc=False):
    """Where an auction with sealed bids stands."""

    sealing: Sealing
    committed: Mapping[str, CommitmentReceived] = msgspec.field(default_factory=dict)
    """What each bidder has committed, in the order in which that came."""
    revealed: Mapping[str, OfferReceived] = msgspec.field(default_factory=dict)
    """The bids that are open."""
    waived: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Bidders that will not reveal, with the msg_id that said so; "" for who is gone."""

    def view(self) -> View:
        """Return what an operator is shown: no bid before all are open."""
        view = self.net.view()
        if self.net.phase not in (Phase.OPEN, Phase.CLOSED):
            return view
        words = dict.fromkeys(self.committed, "committed") | dict.fromkeys(self.waived, "declined")
        words |= dict.fromkeys(self.revealed, "revealed")
        return replace(view, parties={**view.parties, **words}, values={})

    def __repr__(self) -> str:
        return f"<Sealed, {len(self.revealed)} of {len(self.committed)} revealed: {self.net!r}>"


Step = tuple[State, list[Effect]]


def objection(call: Call) -> Refuse | None:
    """Return why a call cannot be opened, as the answer to its initiator, or None."""
    if call.decider != "engine":
        return Refuse(
            call.initiator,
            call.msg_id,
            "POLICY_INVALID",
            "sealed bids are decided by their rule",
            'leave out the decider, or set it to "engine"',
            "decider",
        )
    return calls.objection(_sealed(call))


def _sealed(call: Call) -> Call:
    """Return a call whose profile selects as the protocol does."""
    select: Literal["vickrey", "best"] = "vickrey" if Sealing.of(call).price == "second" else "best"
    return replace(call, acceptance=dataclasses.replace(call.acceptance, select=select))


def open_call(call: Call, now: float) -> Step:
    """Return a new auction; the call is one that `objection` does not object to."""
    sealing = Sealing.of(call)
    terms = replace(Terms.of(_sealed(call)), sealed=True)
    if sealing.commit:
        terms = replace(terms, pauses=True, issues=())  # which are judged when bids are open
    net, effects = contract_net.open_round(terms, now, 0)
    return _after_round(State(net, sealing), effects, now)


def step(state: State, event: Event, now: float) -> Step:
    """Apply one event and return the next state with the effects it caused."""
    net, phase = state.net, state.net.phase
    if state.is_overdue(event, now):
        state, before = step(state, TIME_UP, now)
        state, after = step(state, event, now)
        return state, before + after
    if not state.sealing.commit:
        return _play(state, event, now)
    match event:
        case OfferReceived() if event.probe:
            return state, []
        case _ if _is_repeated(state, event):
            return state, []
        case CommitmentReceived():
            return _commit(state, event, now)
        case OfferReceived() if phase is Phase.OPEN and event.sender in net.terms.eligible:
            return state, refuse(
                event, "WRONG_STATE", "bids are committed first", "send the commitment of your bid"
            )
        case OfferReceived() if event.sender in state.committed:
            return _reveal(state, event, now)
        case _ if phase is not Phase.CLOSED:
            return _play(state, event, now)
        case HoldRefused():
            return _hold_refused(state, event, now)
        case ThinkingReceived():
            return state, refuse(event, "WRONG_STATE", "the time to reveal is fixed by the call")
        case _ if not isinstance(event, HEARD[phase]):
            return state, answer(net, event)
        case RefusalReceived() | NotUnderstoodReceived() | AgentGone():
            return _waive(state, event, now)
        case DeadlinePassed():
            return _open_bids(state, now) if now >= net.due else (state, [])
        case _:
            return _called_off(state, event, now)


def _is_repeated(state: State, event: Event) -> bool:
    """Tell whether this very act has counted while bids were committed or revealed."""
    sender, msg_id = event.sender, event.msg_id
    committed, revealed = state.committed.get(sender), state.revealed.get(sender)
    return (
        (committed is not None and committed.msg_id == msg_id)
        or (revealed is not None and revealed.msg_id == msg_id)
        or bool(msg_id and state.waived.get(sender) == msg_id)
        or contract_net.is_repeated(state.net, event)
    )


def _play(state: State, event: Event, now: float) -> Step:
    """Let the round hear an event."""
    net, effects = contract_net.step(state.net, event, now)
    if net is state.net:
        return state, effects
    was_open = state.net.phase is Phase.OPEN
    state = replace(state, net=net)
    if was_open:
        return _after_round(state, effects, now)
    return state, with_turns(effects, net, now)


def _after_round(state: State, effects: list[Effect], now: float) -> Step:
    """Ask for the bids, if the round has closed over commitments."""
    if state.net.phase is not Phase.CLOSED:
        return state, with_turns(effects, state.net, now)
    return _ask_to_reveal(state, effects, now)


def _commit(state: State, event: CommitmentReceived, now: float) -> Step:
    """Let the round count a commitment as an offer whose value nobody knows."""
    net, sender = state.net, event.sender
    counts = sender in net.terms.eligible and not net.answers.get(sender)
    if net.phase is Phase.OPEN and counts:
        state = replace(state, committed={**state.committed, sender: event})
    return _play(state, OfferReceived(sender, event.msg_id, 0.0), now)


def _ask_to_reveal(state: State, effects: list[Effect], now: float) -> Step:
    """Ask for the bids, or end if there are too few."""
    net = state.net
    call, course = net.terms.call, course_of(net)
    script = Script(net, *effects)
    reason = shortage(net, course)
    if reason:
        if call.acceptance.final == "required":
            for offer in net.offers:
                script.reject(offer.sender, offer.msg_id, reason)
        net, effects = no_award(net, course, reason, now, script)
        return replace(state, net=net), effects
    within = state.sealing.reveal_within
    due = now + within
    body = {"result": {"reveal_before": due, "reveal_within": within}, "done": False}
    for offer in net.offers:
        turn = Turn(net.terms.round, 0, due, due, offer.msg_id)
        script.tell(offer.sender, "inform", offer.msg_id, body, turn)
    return replace(state, net=replace(net, due=due, told=script.told)), script.effects


def _reveal(state: State, event: OfferReceived, now: float) -> Step:
    """Take a bid that is the one that was committed; it is shown to nobody yet."""
    terms, sender = state.net.terms, event.sender
    if state.net.phase is not Phase.CLOSED:
        return state, refuse(event, "LATE", "the bids are open", "reveal within reveal_within")
    if sender in state.revealed or state.waived.get(sender):
        return state, refuse(event, "ALREADY_ANSWERED", "you have answered")
    unfit = why_unfit(terms, event, now)
    if unfit:
        return state, unfit
    nonce, bid = event.fields.get("nonce"), {n: event.fields[n] for n in BID if n in event.fields}
    if not isinstance(nonce, str) or not opens(state.committed[sender].commitment, nonce, bid):
        return state, refuse(
            event,
            "OFFER_BINDING",
            "this is not the bid that was committed",
            f"repeat the nonce and {', '.join(BID)} to the letter, as far as you committed them",
        )
    wrong = fault(terms.call.issues, event.fields.get("terms"))
    if wrong is not None:
        return state, refuse(event, "TERMS_INVALID", wrong.reason, wrong.remedy)
    revealed = {**state.revealed, sender: event}
    waived = {agent: said for agent, said in state.waived.items() if agent != sender}
    seen, effects = _look(replace(state, revealed=revealed, waived=waived), now)
    stakes = terms.call.stakes
    if event.hold and stakes is not None and stakes.needs:
        effects = [hold_units(state.net, event, stakes, now, state.net.due), *effects]
    return seen, effects


def _hold_refused(state: State, event: HoldRefused, now: float) -> Step:
    """Let a bid go whose units somebody else has; it neither wins nor sets a price."""
    bid = state.revealed.get(event.agent)
    if bid is None or bid.msg_id != event.offer_id:
        return state, []
    script = Script(state.net)
    script.reject(bid.sender, bid.msg_id, event.reason)
    state = replace(
        state,
        net=replace(state.net, told=script.told),
        revealed={agent: one for agent, one in state.revealed.items() if agent != event.agent},
        waived={**state.waived, event.agent: bid.msg_id},
    )
    state, effects = _look(state, now)
    return state, [*script.effects, *effects]


def _called_off(state: State, event: Event, now: float) -> Step:
    """Let the round hear what ends it before the bids are open; then these hold nothing."""
    after, effects = _play(state, event, now)
    call = state.net.terms.call
    held = tuple(
        hold_key_of(call.negotiation_id, call.round, bid.sender)
        for bid in state.revealed.values()
        if bid.hold and call.stakes is not None
    )
    if after is state or not held:
        return after, effects
    return after, [*effects, Release(held, after.net.phase.value)]


def _waive(state: State, event: Event, now: float) -> Step:
    """Wait no more for a bidder that will not reveal, or cannot; who was gone may come back."""
    sender = event.sender
    if sender not in state.committed or sender in state.revealed or state.waived.get(sender):
        return state, answer(state.net, event)
    if isinstance(event, AgentGone) and sender in state.waived:
        return state, []
    return _look(replace(state, waived={**state.waived, sender: event.msg_id}), now)


def _look(state: State, now: float) -> Step:
    """Open the bids once nobody is waited for."""
    if len(state.revealed) + len(state.waived) < len(state.committed):
        return state, []
    return _open_bids(state, now)


def _open_bids(state: State, now: float) -> Step:
    """Decide over what was revealed; all others have refused."""
    net, revealed = state.net, state.revealed
    terms = replace(net.terms, issues=net.terms.call.issues)
    offers = tuple(revealed[agent] for agent in state.committed if agent in revealed)
    gone = {agent: "" for agent, said in state.waived.items() if not said}
    answers = {**net.answers, **gone, **{offer.sender: offer.msg_id for offer in offers}}
    silent = frozenset(state.committed).difference(revealed, gone)
    course = course_of(net)
    course = Course(course.closed_at, course.closed_by, rank(terms, offers, now))
    aside = replace(net.aside, declined=net.aside.declined | silent)
    opened = replace(net, terms=terms, answers=answers, offers=offers, aside=aside, course=course)
    net, effects = judge(opened, course, now, now, Script(opened))
    return replace(state, net=net), with_turns(effects, net, now)
