"""What is to be said of one round: offers, winner, what was lost, what came twice."""

from __future__ import annotations

from dataclasses import dataclass

from loadtest.experiments import bidding
from loadtest.experiments.cast import Round


@dataclass(frozen=True, slots=True)
class Facts:
    """What one round came to."""

    offers: int
    in_time: int
    late: int
    winner: str
    price: float | None
    utility: float
    lost: int
    double_finals: int
    wrong_award: bool


def facts_of(round_: Round) -> Facts:
    """Return what came of a round, as far as it was seen."""
    outcome = round_.outcome or {}
    winners = outcome.get("winners") or []
    winner = winners[0]["agent"] if winners else ""
    price = float(winners[0]["price"]) if winners else None
    wrong = bool(winner) and round_.offered.get(winner) != winners[0]["offer_id"]
    finals = [len(round_.outcomes), *(len(told) for told in round_.verdicts.values())]
    lost = int(not outcome) + len(round_.untold)
    return Facts(
        offers=len(round_.offered),
        in_time=int(outcome.get("offers", 0)),
        late=len(round_.offered) - int(outcome.get("offers", 0)),
        winner=winner,
        price=price,
        utility=bidding.utility(price, [one.value for one in round_.bids]),
        lost=lost,
        double_finals=sum(max(0, count - 1) for count in finals),
        wrong_award=wrong,
    )
