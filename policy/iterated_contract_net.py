"""The iterated contract net: the initiator may call some of those that offered again (SC00030H).

    OPEN --close--> CLOSED --accept--> as in the contract net
      ^               |
      +----revise-----+   to some of those that offered; the others hear reject

Each round is a contract net of its own, in which only those that were invited may answer, and
the state is that round with what was heard in earlier ones. Believe while reading:

- The revised call is the answer to the offers of those that it invites: those offers bind nobody
  any more, and cannot be accepted. Who is not invited hears reject, and is out.
- A round that has accepted an offer is the last, and so is the one of the number `rounds_max`.
- What the first call said holds in every round; a revision changes the task, the reserve, the
  bounds of issues and the time. It may be held to changes in the initiator's favour (`monotone`).
- An act of an earlier round that counted is known again, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from policy import call as calls
from policy import contract_net
from policy.asking import with_turns
from policy.auction import keeps, score_of
from policy.call import Call, Terms
from policy.closing import Script, course_of
from policy.effects import Effect, Refuse, Relay, Release, Turn
from policy.events import (
    AgentGone,
    Event,
    MalformedReceived,
    NotUnderstoodReceived,
    RevisedCallReceived,
)
from policy.fairness import Fairness
from policy.issues import IssueError, Issues, issues_of, narrows
from policy.refusals import refuse
from policy.rounds import TIME_UP, Around
from policy.settling import hold_key_of
from policy.states import Phase, View
from policy.states import State as Round

__all__ = ["HEARD", "Iterations", "State", "objection", "open_call", "step"]

ROUNDS_MAX = 64
ROUNDS_DEFAULT = 3

# Which events mean something in which phase: those of a contract net, and one more.
HEARD = {
    **contract_net.HEARD,
    Phase.CLOSED: (*contract_net.HEARD[Phase.CLOSED], RevisedCallReceived),
}

FIXED = (
    "protocol",
    "policy",
    "decider",
    "direction",
    "utility",
    "max_awards",
    "decide_within",
    "confirm_within",
    "report_within",
    "iterations",
    "resources",
    "credit",
    "settle_within",
    "fairness",
    "durable",
)
"""What the first call says for all rounds."""


class Iterations(msgspec.Struct, frozen=True, gc=False):
    """What a call says about its rounds: its property `iterations`."""

    rounds_max: int = ROUNDS_DEFAULT
    """How many rounds there are at most, the first included. 1 to 64."""
    monotone: bool = False
    """May a revised call only ask for more? Its reserve is no laxer, its issues no wider."""

    @classmethod
    def of(cls, call: Call) -> Iterations:
        """Read the options of a call, which its schema has judged."""
        said: Mapping[str, Any] = call.options
        return cls(int(said.get("rounds_max", ROUNDS_DEFAULT)), said.get("monotone", False))


class State(Around, frozen=True, gc=False):
    """Where a negotiation of several rounds stands."""

    iterations: Iterations
    called: tuple[str, ...]
    """Whom the first call was sent to."""
    own_last: str
    """The last act of the initiator that counted."""
    heard: frozenset[tuple[str, str]] = frozenset()
    """Sender and msg_id of every act of an earlier round that counted."""

    @property
    def rounds_left(self) -> int:
        """How many rounds may follow this one."""
        return self.iterations.rounds_max - self.net.terms.round

    def view(self) -> View:
        """Return what an operator is shown: the round, and who dropped out before."""
        view = self.net.view()
        return replace(view, parties=dict.fromkeys(self.called, "dismissed") | dict(view.parties))

    def __repr__(self) -> str:
        return f"<Round {self.net.terms.round} of {self.iterations.rounds_max}: {self.net!r}>"


Step = tuple[State, list[Effect]]


def objection(call: Call) -> Refuse | None:
    """Return why a call cannot be opened, as the answer to its initiator, or None."""
    if call.decider != "initiator":
        return Refuse(
            call.initiator,
            call.msg_id,
            "POLICY_INVALID",
            "the initiator decides whether there is another round",
            'set decider to "initiator"',
            "decider",
        )
    if call.round != 1:
        return Refuse(
            call.initiator,
            call.msg_id,
            "OPTIONS_INVALID",
            "the first call opens round 1",
            "leave round out",
            "round",
        )
    return calls.objection(call)


def open_call(call: Call, now: float) -> Step:
    """Return a new negotiation in its first round.

    The call is one that `objection` does not object to.
    """
    net, effects = contract_net.open_call(call, now)
    state = State(net, Iterations.of(call), call.eligible, call.msg_id)
    return state, [*_turns(state, call.eligible, {}), *effects]


def _turns(state: State, agents: tuple[str, ...], offered: Mapping[str, str]) -> list[Effect]:
    """Return the call on its way to agents, with how many rounds are left."""
    terms = state.net.terms
    until, deadline = terms.call.closes_at, terms.deadline
    return [
        Relay(agent, Turn(terms.round, state.rounds_left, until, deadline, offered.get(agent, "")))
        for agent in agents
    ]


def step(state: State, event: Event, now: float) -> Step:
    """Apply one event and return the next state with the effects it caused."""
    net = state.net
    if state.is_overdue(event, now):
        state, before = step(state, TIME_UP, now)
        state, after = step(state, event, now)
        return state, before + after
    match event:
        case _ if (event.sender, event.msg_id) in state.heard:
            return state, []
        case RevisedCallReceived():
            return _revise(state, event, now)
        case _ if event.sender in state.called and event.sender not in net.terms.eligible:
            return state, _answer_dismissed(state, event)
        case _:
            return _play(state, event, now)


def _play(state: State, event: Event, now: float) -> Step:
    """Let the round hear an event."""
    net, effects = contract_net.step(state.net, event, now)
    if net is state.net:
        return state, effects
    own = event.msg_id if event.sender == net.terms.initiator else state.own_last
    state = replace(state, net=net, own_last=own)
    return state, with_turns(effects, net, now, state.rounds_left, own)


def _answer_dismissed(state: State, event: Event) -> list[Effect]:
    """Answer an agent that was called to an earlier round only."""
    if isinstance(event, AgentGone | MalformedReceived | NotUnderstoodReceived):
        return []
    round_ = state.net.terms.round
    return refuse(event, "LATE", f"round {round_} is for those that were called to it")


def _revise(state: State, event: RevisedCallReceived, now: float) -> Step:
    """Open the next round to some of those that offered, and let the others go."""
    if event.sender != state.net.terms.initiator:
        return state, refuse(event, "NOT_A_PARTY", "only the initiator calls")
    refused = _why_no_round(state, event) or _why_not_invite(state, event)
    if refused:
        return state, refused
    revised = _revised(state, event, now)
    if isinstance(revised, list):
        return state, revised
    net, course = state.net, course_of(state.net)
    script = Script(net)
    offered = {}
    for offer, _, _ in course.ranking:
        if offer.sender in revised.eligible:
            offered[offer.sender] = offer.msg_id
        elif offer.sender not in course.out:
            script.reject(offer.sender, offer.msg_id, "not_invited")
    terms = Terms.of(revised)
    opened, _ = contract_net.open_round(terms, now, script.told)  # it has an agent at least
    id_, round_ = revised.negotiation_id, net.terms.round
    holds = tuple(hold_key_of(id_, round_, one.sender) for one in net.offers if one.hold)
    if holds:
        script.effects.append(Release(holds, "revised"))
    heard = state.heard | _acts(net) | {(event.sender, event.msg_id)}
    state = replace(state, net=opened, own_last=event.msg_id, heard=heard)
    return state, [*script.effects, *_turns(state, revised.eligible, offered)]


def _acts(net: Round) -> set[tuple[str, str]]:
    """Return sender and msg_id of all that has counted in a round."""
    said = [*net.answers.items(), *net.aside.late.items()]
    return {act for act in said if act[1]} | net.aside.heard


def _why_no_round(state: State, event: RevisedCallReceived) -> list[Effect]:
    """Refuse a revised call for which it is not the time."""
    net = state.net
    if net.phase is not Phase.CLOSED:
        return refuse(event, "WRONG_STATE", f"the round is {net.phase.value}, not closed")
    if course_of(net).chosen:
        return refuse(
            event, "WRONG_STATE", "you have accepted an offer", "accept more, or reject the others"
        )
    if not state.rounds_left:
        return refuse(
            event, "WRONG_STATE", f"round {net.terms.round} was the last", "accept, or reject all"
        )
    following = net.terms.round + 1
    if event.round not in (0, following):
        return refuse(
            event, "WRONG_STATE", "rounds follow one after the other", f"use round {following}"
        )
    return []


def _why_not_invite(state: State, event: RevisedCallReceived) -> list[Effect]:
    """Refuse a revised call that goes to nobody, or to somebody who has no offer here."""
    net = state.net
    out = course_of(net).out
    stand = {offer.sender for offer in net.offers if offer.sender not in out}
    strangers = [agent for agent in event.invited if agent not in stand]
    if strangers or not event.invited:
        return refuse(
            event,
            "INVALID_ADDRESS",
            f"{strangers[0]} has no offer in this round" if strangers else "it invites nobody",
            "send it to agents whose offers of this round stand, one at least",
        )
    return []


def _revised(state: State, event: RevisedCallReceived, now: float) -> Call | list[Effect]:
    """Return the call of the next round, or why it cannot be opened."""
    call = state.net.terms.call
    fields: Mapping[str, Any] = event.fields
    for name in FIXED:
        if name in fields:
            return refuse(
                event, "OPTIONS_INVALID", f"{name} holds for all rounds", f"leave {name} out"
            )
    window = call.acceptance.window
    closes_at = event.closes_at if window is None else min(event.closes_at, now + window)
    if closes_at <= now:
        return refuse(
            event, "DEADLINE_INVALID", "the deadline has passed", "choose a later deadline"
        )
    try:
        issues = issues_of(fields["issues"]) if "issues" in fields else call.issues
    except IssueError as error:
        return refuse(event, "OPTIONS_INVALID", error.reason, error.remedy)
    said = fields.get("reserve")
    reserve = call.reserve if said is None else float(said)
    if state.iterations.monotone and not _favours(call, reserve, issues):
        return refuse(
            event,
            "OPTIONS_INVALID",
            "the call promised that each round asks for no less than the one before",
            "make the reserve no laxer, and the bounds of issues no wider",
        )
    invited = frozenset(event.invited)
    return replace(
        call,
        eligible=tuple(agent for agent in call.eligible if agent in invited),
        closes_at=closes_at,
        deadline=max(closes_at, event.deadline),
        round=call.round + 1,
        reserve=reserve,
        issues=issues,
        fairness=_with_last(state.net, call.fairness),
    )


def _with_last(net: Round, fairness: Fairness | None) -> Fairness | None:
    """Return the rules of fairness with what the offers of this round are ranked by."""
    if fairness is None:
        return None
    scores = {offer.sender: score_of(net.terms, offer) for offer in net.offers}
    last = {agent: score for agent, score in scores.items() if score is not None}
    return replace(fairness, last=last)


def _favours(call: Call, reserve: float | None, issues: Issues) -> bool:
    """Tell whether a reserve and issues are no weaker for the initiator than those of a call."""
    if call.reserve is not None:
        assert reserve is not None, "a call that does not say keeps what was said"
        if not keeps(call.reserve, reserve, call.direction):
            return False
    return not call.issues or narrows(issues, call.issues)
