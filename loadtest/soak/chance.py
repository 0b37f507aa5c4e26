"""Small sets to draw from, so that what is drawn ties, repeats, and comes too late.

Everything is drawn from one `random.Random`, seeded from the run, the protocol and the number of
the negotiation, so that each negotiation can be played again by itself.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from random import Random

from policy.acceptance import PROFILES, Acceptance, PolicyError, parse
from policy.auction import commitment
from policy.call import Call
from policy.events import (
    AcceptReceived,
    AgentGone,
    CancelReceived,
    CommitmentReceived,
    ConfirmReceived,
    CounterReceived,
    DeadlinePassed,
    Event,
    HoldRefused,
    MalformedReceived,
    NotSettled,
    NotUnderstoodReceived,
    OfferReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    RevisedCallReceived,
    Settled,
    ThinkingReceived,
)
from policy.fairness import Fairness, FairnessRules
from policy.issues import Issue, Issues
from policy.served import Served, Standing
from policy.states import Negotiation

ALICE = "agent://alice"
NAMES = ("agent://bob", "agent://carol", "agent://dave", "agent://erin")
STRANGER = "agent://mallory"
NUMBERS = ("1", "1", "1", "2", "2", "3")
VALUES = (1.0, 2.0, 2.0, 3.0, 5.0, 8.0)
LEAPS = (0.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.5)
"""How far time moves between two events, unless it jumps to the next deadline."""
NONCE = "00" * 32
DEADLINE = 10.0
PROMISES = {value: commitment(bytes.fromhex(NONCE), {"value": value}) for value in VALUES}


def leap(chance: Random, state: Negotiation, now: float) -> float:
    """Return when something happens next: soon, at the deadline, or too late for it."""
    drawn = chance.random()
    if drawn < 0.03 and state.due > now:
        return state.due
    if drawn < 0.045 and state.due >= now:
        return state.due + chance.choice((0.0, 0.25, 3.0))
    return now + chance.choice(LEAPS)


def sender(chance: Random, state: Negotiation, initiator: float = 0.1) -> str:
    """Return who does something: the initiator with that chance, mostly whoever is to move."""
    drawn = chance.random()
    if drawn < 0.03:
        return STRANGER
    movers = getattr(state, "to_move", ())
    if movers and drawn < 0.8:
        return str(chance.choice(movers))
    if drawn < 0.03 + initiator:
        return state.terms.initiator
    eligible = state.terms.call.eligible
    return chance.choice(eligible) if eligible else STRANGER


def msg_id(chance: Random, agent: str, kind: str) -> str:
    """Return an id that the same agent may have used before."""
    return f"{agent[8:]}-{kind}-{chance.choice(NUMBERS)}"


def offer_id(chance: Random, state: Negotiation) -> str:
    """Return the id of an offer that stands, or that somebody may have made."""
    if chance.random() < 0.8 and (standing := _standing(state)):
        return chance.choice(standing)
    call = state.terms.call
    parties = (*call.eligible, call.initiator)
    return msg_id(chance, chance.choice(parties), chance.choice(("offer", "offer", "counter")))


def _standing(state: Negotiation) -> list[str]:
    """Return the ids of offers that can be answered, as far as a state shows them."""
    net = getattr(state, "net", state)
    deal = getattr(state, "standing", None)
    ids = [] if deal is None else [str(deal.offer_id)]
    offers = getattr(net, "offers", ())
    return ids + [offer.msg_id for offer in offers] if isinstance(offers, tuple) else ids


def terms(chance: Random) -> dict[str, object]:
    """Return what an offer says beside its value."""
    return {"hours": chance.choice((1, 2, 3)), "site": chance.choice(("north", "south"))}


def fields(chance: Random, value: float) -> dict[str, object]:
    """Return the payload of an offer."""
    said: dict[str, object] = {"value": value}
    if chance.random() < 0.3:
        said["terms"] = terms(chance)
    if chance.random() < 0.1:
        said["round"] = chance.choice((1, 1, 2, 3))
    if chance.random() < 0.3:
        said["nonce"] = NONCE
    return said


def until(chance: Random, now: float) -> float | None:
    """Return until when an offer is valid."""
    return chance.choice((*(None,) * 8, now, now + 1.0, now + 9.0, now - 0.25))


def offer(chance: Random, state: Negotiation, now: float) -> OfferReceived:
    """Draw an offer."""
    agent, value = sender(chance, state), chance.choice(VALUES)
    return OfferReceived(
        agent,
        msg_id(chance, agent, "offer"),
        value,
        fields(chance, value),
        until(chance, now),
        chance.random() < 0.2,
        chance.random() < 0.02,
        chance.random() < 0.1,
    )


def counter(chance: Random, state: Negotiation, now: float) -> CounterReceived:
    """Draw a proposal of one of two parties."""
    agent = sender(chance, state)
    value = chance.choice((*VALUES, None))
    return CounterReceived(
        agent,
        msg_id(chance, agent, "counter"),
        terms(chance) if value is None or chance.random() < 0.5 else {},
        value,
        chance.choice((None, None, now + 0.5)),
        until(chance, now),
        chance.choice(("", "", offer_id(chance, state))),
        chance.choice((None, None, 1, 2, 3)),
    )


def committed(chance: Random, state: Negotiation, now: float) -> CommitmentReceived:
    """Draw a commitment, mostly to a bid that `offer` may reveal."""
    agent, value = sender(chance, state), chance.choice(VALUES)
    return CommitmentReceived(agent, msg_id(chance, agent, "offer"), PROMISES[value])


def revision(chance: Random, state: Negotiation, now: float) -> RevisedCallReceived:
    """Draw another round for some of those that may have offered."""
    eligible = state.terms.call.eligible
    invited = tuple(agent for agent in (*eligible, STRANGER) if chance.random() < 0.6)
    closes_at = now + chance.choice((1.0, 3.0))
    said: dict[str, object] = {}
    if chance.random() < 0.3:
        said["reserve"] = chance.choice(VALUES)
    round_ = chance.choice((0, 0, 2, 3))
    agent = sender(chance, state) if chance.random() < 0.1 else state.terms.initiator
    return RevisedCallReceived(
        agent, msg_id(chance, agent, "revised"), round_, invited, closes_at, closes_at, said
    )


def accept(chance: Random, state: Negotiation, now: float) -> AcceptReceived:
    """Draw an acceptance."""
    agent = sender(chance, state, 0.85)
    return AcceptReceived(agent, msg_id(chance, agent, "accept"), offer_id(chance, state))


def reject(chance: Random, state: Negotiation, now: float) -> RejectReceived:
    """Draw a rejection of one offer, or of all."""
    agent = sender(chance, state, 0.85)
    which = chance.choice(("", offer_id(chance, state), offer_id(chance, state)))
    return RejectReceived(agent, msg_id(chance, agent, "reject"), which)


def confirm(chance: Random, state: Negotiation, now: float) -> ConfirmReceived:
    """Draw a confirmation, mostly of the agent's own offer."""
    course = getattr(getattr(state, "net", state), "course", None)
    if course is not None and course.pending and chance.random() < 0.8:
        award = chance.choice(course.pending)
        return ConfirmReceived(award.agent, msg_id(chance, award.agent, "confirm"), award.offer_id)
    agent = sender(chance, state)
    own = msg_id(chance, agent, "offer")
    return ConfirmReceived(agent, msg_id(chance, agent, "confirm"), own)


def settled(chance: Random, state: Negotiation, now: float) -> Settled:
    """Draw what the store says when it has written an award, or an earlier one."""
    return Settled(number=chance.choice((1, 1, 1, 2, 3)))


def not_settled(chance: Random, state: Negotiation, now: float) -> NotSettled:
    """Draw what the store says when it has refused."""
    course = getattr(getattr(state, "net", state), "course", None)
    asked = () if course is None else course.settling
    agents = tuple(award.agent for award in asked if chance.random() < 0.5)
    reasons = ("RESOURCE_GONE", "BUDGET_EXHAUSTED", "STORE_UNAVAILABLE", "SUPERSEDED")
    return NotSettled(number=chance.choice((1, 1, 2)), reason=chance.choice(reasons), agents=agents)


def hold_refused(chance: Random, state: Negotiation, now: float) -> HoldRefused:
    """Draw what the store says when units cannot be held for an offer."""
    agent = chance.choice((*state.terms.call.eligible, STRANGER))
    return HoldRefused(agent=agent, offer_id=msg_id(chance, agent, "offer"), reason="RESOURCE_GONE")


Draw = Callable[[Random, Negotiation, float], Event]
Weights = Mapping[type[Event], int]
"""How often each kind of event is drawn; what is not named is drawn now and then."""


def _said(kind: Callable[..., Event], name: str, *more: Callable[[Random], object]) -> Draw:
    def draw(chance: Random, state: Negotiation, now: float) -> Event:
        agent = sender(chance, state)
        return kind(agent, msg_id(chance, agent, name), *(part(chance) for part in more))

    return draw


DRAWS: Mapping[type[Event], Draw] = {
    OfferReceived: offer,
    CounterReceived: counter,
    CommitmentReceived: committed,
    RevisedCallReceived: revision,
    AcceptReceived: accept,
    RejectReceived: reject,
    ConfirmReceived: confirm,
    Settled: settled,
    NotSettled: not_settled,
    HoldRefused: hold_refused,
    MalformedReceived: _said(MalformedReceived, "broken"),
    RefusalReceived: _said(RefusalReceived, "refusal"),
    NotUnderstoodReceived: _said(NotUnderstoodReceived, "what"),
    CancelReceived: _said(CancelReceived, "cancel"),
    ReportReceived: _said(ReportReceived, "report", lambda chance: chance.random() < 0.7),
    ThinkingReceived: _said(
        ThinkingReceived, "thinks", lambda chance: chance.choice((0.5, 2.0, 30.0))
    ),
    AgentGone: lambda chance, state, now: AgentGone(sender(chance, state)),
    DeadlinePassed: lambda chance, state, now: DeadlinePassed(),
}
"""How an event of each kind is drawn."""

assert set(DRAWS) == set(typing.get_args(Event)), "every kind of event can happen"


def drawn_from(weights: Weights) -> Draw:
    """Return what draws an event: kinds by weight, and each other kind now and then."""
    kinds = [kind for kind in DRAWS for _ in range(weights.get(kind, 0) * 4 or 1)]

    def draw(chance: Random, state: Negotiation, now: float) -> Event:
        return DRAWS[chance.choice(kinds)](chance, state, now)

    return draw


def acceptance(chance: Random) -> Acceptance:
    """Draw a profile, mostly one that nobody shipped."""
    base = PROFILES[chance.choice(sorted(PROFILES))]
    changes: dict[str, object] = {}
    for name, values in _CHANGES.items():
        if chance.random() < 0.2:
            changes[name] = chance.choice(values)
    try:
        return parse(changes, base)
    except PolicyError:
        return base


_CHANGES: Mapping[str, tuple[object, ...]] = {
    "quorum": (0, 1, 2, 0.5, "all"),
    "window": (None, 4.0),
    "settle": (0.0, 1.0),
    "counts": ("valid", "any"),
    "select": ("first", "best", "best", "vickrey"),
    "on_expiry": ("decide", "no_award", "decide_if"),
    "min_offers": (1, 2),
    "final": ("required", "optional"),
    "confirm": (True, False),
    "late": ("reject", "record"),
}


ISSUES = (
    Issue("hours", "integer", 1.0, 3.0, better="low", weight=1.0),
    Issue("site", "enum", values=("north", "south"), worth=(0.5, 1.0), weight=2.0),
)


def issues(chance: Random) -> Issues:
    """Draw what the terms of an offer have to say, mostly nothing."""
    return ISSUES if chance.random() < 0.12 else ()


def fairness(chance: Random) -> Fairness | None:
    """Draw rules of fairness with a past, mostly none."""
    if chance.random() < 0.85:
        return None
    rules = FairnessRules(
        tie_break=chance.choice(("earliest", "least_recently_served")),
        must_concede=chance.random() < 0.5,
        by_rating=chance.random() < 0.5,
    )
    served = {NAMES[0]: Served(2, 8.0, -5.0)}
    return Fairness(rules, Standing(served, 2), {NAMES[1]: 0.5})


def typical(protocol: str, agents: tuple[str, ...], **more: typing.Any) -> Call:
    """Return the usual call of a protocol, whose steps are timed; nothing of it is drawn."""
    return Call(
        "soak.0.typical",
        ALICE,
        "call",
        agents,
        PROFILES["flow/high"],
        60.0,
        0.0,
        protocol=protocol,
        **more,
    )


def call(chance: Random, number: int, protocol: str, agents: int, **more: object) -> Call:
    """Draw a call to so many agents; all that is not drawn is in `more`."""
    chosen = acceptance(chance)
    window = chosen.window
    drawn: dict[str, object] = {
        "negotiation_id": f"soak.0.{number}",
        "initiator": ALICE,
        "msg_id": "call",
        "eligible": NAMES[:agents],
        "acceptance": chosen,
        "opened_at": 0.0,
        "closes_at": DEADLINE if window is None else min(DEADLINE, window),
        "deadline": chance.choice((None, DEADLINE)),
        "direction": chance.choice(("procure", "allocate")),
        "decider": chance.choice(("engine", "engine", "initiator")),
        "decide_within": 3.0,
        "confirm_within": 3.0,
        "report_within": chance.choice((None, 5.0)),
        "reserve": chance.choice((None, None, None, 2.0)),
        "max_awards": chance.choice((1, 1, 1, 2)),
        "utility": chance.choice(("", "", "", "", "-value", "10 / (value - 2)")),
        "linger": 5.0,
        "issues": issues(chance),
        "fairness": fairness(chance),
        "protocol": protocol,
    }
    return Call(**{**drawn, **more})  # type: ignore[arg-type]  # the members are those of a call
