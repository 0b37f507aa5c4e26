"""Fairness rules, as data on top of any protocol.

A call may carry `Fairness`: rules, and the standing of its agents when it was admitted. Both are
data of the call, so a decision needs nothing that is not recorded. The rules act where every
protocol passes by:

- before the opening, on who may answer (`admitted`): cooling off, the largest share of awards,
  the smallest set of agents that may answer;
- in the ranking, between equals (`in_turn`) and by credit rating (`weighed_score`);
- on each further offer of a party (`concedes`).

No rule leaves a call without answers: when too few would be left, those that were served least
come back. Of calls that are open at once each sees the standing of its own opening, so shares are
exact for calls that follow each other and close for calls that overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from policy.effects import Refuse
from policy.events import OfferReceived
from policy.jain import evenness
from policy.rating import weighed
from policy.served import Standing

TieBreak = Literal["earliest", "least_recently_served"]
SECONDS_MAX = 30 * 86_400.0
ELIGIBLE_MAX = 100_000
LEFT_OUT_SHOWN_MAX = 256


class FairnessRules(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a call asks for; the default asks for nothing."""

    max_share: float | None = None
    """The largest part of the awards of the window that one agent may have, this one included;
    above 0, at most 1. Everybody may hold one award, whatever part that is."""
    min_eligible: int = 1
    """The fewest agents that may answer; a call to fewer is refused."""
    cooling_off: float = 0.0
    """Seconds after an award in which its winner is not asked again; 0 or more."""
    tie_break: TieBreak = "earliest"
    """Who wins of equals: the earliest offer, or who has gone longest without an award."""
    must_concede: bool = False
    """A further offer of a party must be better for the other side than its last."""
    by_rating: bool = False
    """Offers are ranked by what they are worth with the credit rating of who makes them."""


class Fairness(msgspec.Struct, frozen=True, gc=False):
    """Rules with all they may know of the past."""

    rules: FairnessRules = FairnessRules()
    standing: Standing = Standing()
    ratings: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Credit ratings below 1, by agent; above 0."""
    left_out: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Who may not answer this time, and why; not among those that are eligible."""
    last: Mapping[str, float] = msgspec.field(default_factory=dict)
    """What the offers of the round before were ranked by, where there was one."""


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """Who may answer a call, and who may not this time."""

    eligible: tuple[str, ...]
    left_out: Mapping[str, str]
    """Why, in one word: "cooling_off" or "max_share"."""


class FairnessError(ValueError):
    """A rule that cannot be; the text says what would be."""


def parse_rules(options: Mapping[str, object]) -> FairnessRules:
    """Return the rules of plain values, or raise FairnessError."""
    try:
        rules = msgspec.convert(options, FairnessRules)
    except msgspec.ValidationError as error:
        raise FairnessError(str(error)) from None
    if rules.max_share is not None and not 0 < rules.max_share <= 1:
        raise FairnessError("max_share is above 0 and at most 1")
    if not 1 <= rules.min_eligible <= ELIGIBLE_MAX:
        raise FairnessError(f"min_eligible is 1 to {ELIGIBLE_MAX}")
    if not 0 <= rules.cooling_off <= SECONDS_MAX:
        raise FairnessError(f"cooling_off is 0 to {SECONDS_MAX:g} seconds")
    return rules


def admitted(fairness: Fairness, eligible: Sequence[str], now: float) -> Admitted:
    """Return who may answer a call that is opened now, in the order of `eligible`."""
    standing = fairness.standing
    barred = {
        agent: reason for agent in eligible if (reason := _bar(fairness, agent, now)) is not None
    }
    missing = min(fairness.rules.min_eligible, len(eligible)) - (len(eligible) - len(barred))
    if missing > 0:
        order = {agent: place for place, agent in enumerate(eligible)}
        for agent in sorted(barred, key=lambda one: _served_least(standing, one, order))[:missing]:
            del barred[agent]
    return Admitted(tuple(agent for agent in eligible if agent not in barred), barred)


def objection(
    fairness: Fairness, initiator: str, msg_id: str, eligible: int, *, second_price: bool
) -> Refuse | None:
    """Return why a call to so many agents cannot be opened, or None."""
    if second_price and fairness.rules.by_rating:
        return Refuse(
            initiator,
            msg_id,
            "OPTIONS_INVALID",
            "the winner of a second-price auction would pay for the rating of another",
            "leave out fairness.by_rating, or let winners pay their own price",
            "fairness/by_rating",
        )
    least = fairness.rules.min_eligible
    if eligible >= least:
        return None
    return Refuse(
        initiator,
        msg_id,
        "FAIRNESS_RULE",
        f"{eligible} may answer, and the call wants {least} at least",
        "call more agents, or lower fairness.min_eligible",
        "fairness/min_eligible",
    )


def in_turn(fairness: Fairness, offers: Sequence[OfferReceived]) -> Sequence[OfferReceived]:
    """Return offers in the order in which equals win.

    Who never had an award comes before all that had one; between two that went without for as
    long, the earlier offer wins.
    """
    if fairness.rules.tie_break == "earliest":
        return offers
    standing = fairness.standing
    return sorted(offers, key=lambda offer: _waiting_since(standing, offer.sender))


def weighed_score(fairness: Fairness, agent: str, score: float, *, higher_wins: bool) -> float:
    """Return by what an offer is ranked, with the credit rating of its agent if the call asks."""
    if not fairness.rules.by_rating:
        return score
    rating = fairness.ratings.get(agent, 1.0)
    return weighed(score, rating, "allocate" if higher_wins else "procure")


def concedes(before: float, after: float, *, lower_is_better: bool) -> bool:
    """Tell whether an offer is better for the other side than the one before it.

    `lower_is_better` is how the other side sees it: a buyer wants less, a seller more.
    """
    return after < before if lower_is_better else after > before


def fair_shares(
    fairness: Fairness | None, eligible: Sequence[str], won: Mapping[str, float]
) -> dict[str, object]:
    """Return what an outcome tells of fairness, as its member; nothing where no rule is asked."""
    return {} if fairness is None else {"fairness": figures(fairness, eligible, won)}


def figures(
    fairness: Fairness, eligible: Sequence[str], won: Mapping[str, float]
) -> dict[str, object]:
    """Return what an outcome tells of fairness, with what was won just now, by price.

    Jain's index over the awards and over their prices in the window, of all that may answer or
    were left out this time; and over the seconds that those who call in this tenant waited.
    """
    standing = fairness.standing
    agents = (*eligible, *fairness.left_out)
    awards = evenness([standing.of(agent).awards + (agent in won) for agent in agents])
    worth = [standing.of(agent).utility + won.get(agent, 0.0) for agent in agents]
    return {
        "awards": awards.index,
        "utility": evenness([max(0.0, one) for one in worth]).index,
        "latency": standing.latency.index,
        "agents": len(agents),
        "left_out": dict(list(fairness.left_out.items())[:LEFT_OUT_SHOWN_MAX]),
    }


def _bar(fairness: Fairness, agent: str, now: float) -> str | None:
    """Return why an agent may not answer this time."""
    rules, served = fairness.rules, fairness.standing.of(agent)
    if served.last_at is not None and now < served.last_at + rules.cooling_off:
        return "cooling_off"
    share = rules.max_share
    if share is not None and served.awards + 1 > max(1.0, share * (fairness.standing.total + 1)):
        return "max_share"
    return None


def _waiting_since(standing: Standing, agent: str) -> float:
    last_at = standing.of(agent).last_at
    return float("-inf") if last_at is None else last_at


def _served_least(
    standing: Standing, agent: str, order: Mapping[str, int]
) -> tuple[int, float, int]:
    return standing.of(agent).awards, _waiting_since(standing, agent), order[agent]
