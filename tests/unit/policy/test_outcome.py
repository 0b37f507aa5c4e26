"""The outcome that the initiator is told."""

from __future__ import annotations

from collections.abc import Callable

from policy.outcome import RANKING_SHOWN_MAX
from tests.support.plays import TIME_UP, Play, gone, malformed, offer, refusal

Make = Callable[..., Play]


def test_an_outcome_tells_how_the_negotiation_ended(play: Make) -> None:
    """Counts, winners, the whole ranking with a word for each offer, and times."""
    made = (
        play(agents="bob carol dave erin frank", reserve=50, round=2)
        .at(1, malformed("erin"))
        .told()
        .at(2, offer("bob", 40, valid_until=9))
        .told()
        .at(3, offer("carol", 30))
        .told()
        .at(4, offer("dave", 60))
        .told()
        .at(5, refusal("erin"))
        .told()
        .at(10.25, TIME_UP)
        .told("accept carol at 30", "reject bob: expired", "reject dave: reserve")
    )
    assert made.outcome == {
        "negotiation_id": "g.0.n",
        "state": "committed",
        "reason": "awarded",
        "closed_by": "deadline",
        "policy": "flow/high@1",
        "round": 2,
        "eligible": 5,
        "offers": 3,
        "refusals": 1,
        "malformed": 1,
        "late": 0,
        "complete": False,
        "winners": [
            {
                "agent": "agent://carol",
                "offer_id": "carol-offer",
                "value": 30,
                "price": 30,
                "rank": 1,
            }
        ],
        "ranking": [
            {
                "agent": f"agent://{name}",
                "offer_id": f"{name}-offer",
                "value": value,
                "score": value,
                "rank": rank,
                "reason": reason,
            }
            for name, value, rank, reason in (
                ("carol", 30, 1, "won"),
                ("bob", 40, None, "expired"),
                ("dave", 60, None, "reserve"),
            )
        ],
        "opened_at": 0.0,
        "closed_at": 10.25,
        "decided_at": 10.25,
    }


def test_a_round_is_complete_only_if_all_have_answered_for_themselves(play: Make) -> None:
    play(agents="bob carol").at(1, refusal("bob")).told().at(1, refusal("carol")).told().shows(
        complete=True
    )
    play(agents="bob carol").at(1, refusal("bob")).told().at(1, gone("carol")).told().shows(
        complete=False
    )


def test_a_ranking_has_a_bound(play: Make) -> None:
    """Whoever lost further down is told so all the same."""
    names = [f"a{number}" for number in range(RANKING_SHOWN_MAX + 4)]
    made = play(agents=" ".join(names), policy={"final": "optional"})
    for value, name in enumerate(names):
        made.at(1, offer(name, value))
        made.told(*(["accept a0 at 0"] if name == names[-1] else []))
    assert len(made.outcome["ranking"]) == RANKING_SHOWN_MAX
    assert made.outcome["offers"] == len(names)
