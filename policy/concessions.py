"""What a step of monotonic concession comes to: agreement, or who concedes next.

With deals x of party 1 and y of party 2 and their worths U1 and U2:

    agreement   U1(y) ≥ U1(x), or U2(x) ≥ U2(y): somebody is offered what it asks for
    risk of 1   (U1(x) − U1(y)) / (U1(x) − U1(c)), with the conflict deal c; 1 when U1(x) ≤ U1(c)

The risk is the part of its gain that a party puts at stake by standing still: who has the
lower risk has more to lose by a conflict, and concedes. That is the same as to say that the
party concedes whose own deal has the smaller product of gains (U1 − U1(c)) · (U2 − U2(c)).

Sources: F. Zeuthen, Problems of Monopoly and Economic Warfare (1930); J. S. Rosenschein and
G. Zlotkin, Rules of Encounter (1994), chapter 3.
"""

from __future__ import annotations

import math

from policy.bargaining import Terms
from policy.coin import Toss, toss
from policy.deals import Deal


def risk(own: float, others: float, conflict: float) -> float:
    """Return Zeuthen's risk: what the own deal, the other's deal and a conflict are worth."""
    if own <= conflict:
        return 1.0
    return (own - others) / (own - conflict)


def agreed(terms: Terms, x: Deal, y: Deal, round_: int) -> tuple[Deal | None, Toss | None]:
    """Return the deal that the initiator's x and the responder's y come to, if they do.

    A party that is offered as much as it asks for gets what it is offered. Where both are, a coin
    decides; it is returned too.
    """
    suits_initiator = terms.gain(terms.initiator, x, y) >= 0
    suits_responder = terms.gain(terms.responder, y, x) >= 0
    if suits_initiator and suits_responder:
        coin = toss(terms.call.negotiation_id, f"step {round_}")
        return (x if coin.heads else y), coin
    if suits_initiator:
        return y, None
    return (x, None) if suits_responder else (None, None)


def shortfall(terms: Terms, earlier: Deal, later: Deal, step: float) -> tuple[str, str]:
    """Return what the last proposal of a party was worth, and the least that the next must be.

    `step` is what the other party must gain. Where worth follows from values, these are named.
    """
    other = terms.other(later.sender)
    before, after = terms.worth(other, earlier), terms.worth(other, later)
    assert before is not None and after is not None, "a deal is valued before it is judged"
    least = before + step
    if terms.declares(other):
        return (
            f"your last was worth {before:.12g} to the other party, and this is {after:.12g}",
            f"propose what is worth at least {least:.12g} to the other party",
        )
    sign, bound = (1, "least") if terms.wants_high(other) else (-1, "most")
    return (
        f"your last proposal said {sign * before:.12g}, and this one says {sign * after:.12g}",
        f"propose a value of at {bound} {sign * least:.12g}",
    )


def next_to_concede(
    terms: Terms, x: Deal, y: Deal, round_: int
) -> tuple[tuple[str, ...], Toss | None]:
    """Return who is to move after a step without agreement, and the coin if one decided."""
    both = (terms.initiator, terms.responder)
    if terms.rules.concession != "zeuthen":
        return both, None
    mine, yours = (_risk(terms, agent, x, y) for agent in both)
    if math.isclose(mine, yours, rel_tol=1e-12, abs_tol=1e-12):
        coin = toss(terms.call.negotiation_id, f"concede {round_}")
        return (both[:1] if coin.heads else both[1:]), coin
    return (both[:1] if mine < yours else both[1:]), None


def _risk(terms: Terms, agent: str, x: Deal, y: Deal) -> float:
    own, others = (x, y) if agent == terms.initiator else (y, x)
    conflict = terms.rules.conflict[0 if agent == terms.initiator else 1]
    own_worth, others_worth = terms.worth(agent, own), terms.worth(agent, others)
    assert own_worth is not None and others_worth is not None, "tabled deals are valued"
    return risk(own_worth, others_worth, conflict)
