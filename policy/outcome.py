"""The outcome as the initiator is told it, see Outcome.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from policy.auction import Ranked
from policy.fairness import fair_shares
from policy.settling import refusal, shown
from policy.states import Award, Course, State

RANKING_SHOWN_MAX = 256
"""How many offers a message to the initiator lists, the best first."""


def outcome(
    state: State, course: Course, awards: Sequence[Award], ended: str, reason: str, now: float
) -> dict[str, object]:
    """Return the body that tells how a negotiation ended.

    `ended` is "committed", "no_award" or "cancelled". Times are on the gateway's clock.
    """
    call = state.terms.call
    aside = state.aside
    won = {award.agent for award in awards}
    lost = state.terms.lost if ended == "committed" else reason
    return {
        "negotiation_id": call.negotiation_id,
        "state": ended,
        "reason": reason,
        **(refusal(course.settlement, reason) if ended == "no_award" else {}),
        "closed_by": course.closed_by,
        "policy": call.acceptance.label,
        "round": call.round,
        "eligible": state.terms.size,
        "offers": len(state.offers),
        "refusals": len(aside.declined),
        "malformed": len(aside.malformed),
        "late": len(aside.late),
        "complete": is_complete(state),
        "winners": [
            {
                "agent": award.agent,
                "offer_id": award.offer_id,
                "value": award.value,
                "price": award.price,
                "rank": award.rank,
                **_held(course, award),
            }
            for award in awards
        ],
        "ranking": ranking(course.ranking, course.out, won, lost),
        "opened_at": call.opened_at,
        "closed_at": course.closed_at,
        "decided_at": now,
        **fair_shares(call.fairness, call.eligible, {one.agent: one.price for one in awards}),
    }


def _held(course: Course, award: Award) -> dict[str, object]:
    return {} if course.settlement is None else shown(course.settlement, award.agent)


def is_complete(state: State) -> bool:
    """Tell whether every eligible agent has answered for itself."""
    answers = state.answers
    return len(answers) == state.terms.size and "" not in answers.values()


def ranking(
    ranked: Sequence[Ranked], out: Mapping[str, str], won: Set[str], lost: str
) -> list[dict[str, object]]:
    """Return the offers, best first, each with what became of it in one word.

    `lost` is the word for those that could have won, "" while that is open.
    """
    return [
        {
            "agent": (agent := offer.sender),
            "offer_id": offer.msg_id,
            "value": offer.value,
            "score": score,
            "rank": None if unable else place,
            "reason": "won" if agent in won else out.get(agent) or unable or lost,
        }
        for place, (offer, score, unable) in enumerate(ranked[:RANKING_SHOWN_MAX], 1)
    ]
