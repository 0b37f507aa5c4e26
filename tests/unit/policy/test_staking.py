"""What the awards of a contract net hold, and until when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policy.stakes import ESCROW_SLACK_SECONDS, Credit, Need, Stakes
from policy.staking import HOLD_SECONDS_MAX
from tests.support.plays import Play, offer

Make = Callable[..., Play]
STAKES = Stakes((Need("gpu", 4, 60.0),), Credit("initiator"), within=5.0)


def _stake(made: Play) -> Any:
    effect: Any = made.at(1, offer("bob", 30)).history[-1][1][-1]
    made.unclaimed = []
    return effect.stakes[0]


def test_credit_is_held_until_the_last_moment_at_which_it_may_be_paid(play: Make) -> None:
    """Longer than all deadlines together: it never ends before somebody could be paid."""
    soon = play(agents="bob", stakes=STAKES)
    assert _stake(soon).ends_at == 1 + 5 + ESCROW_SLACK_SECONDS
    later = play(
        agents="bob", stakes=STAKES, policy={"confirm": True}, confirm_within=7, report_within=100
    )
    assert _stake(later).ends_at == 1 + 5 + 2 * 7 + 100 + ESCROW_SLACK_SECONDS


def test_the_winner_of_an_allocation_gets_the_units(play: Make) -> None:
    assert _stake(play(agents="bob", stakes=STAKES)).holder == "agent://alice"
    won = play(agents="bob", stakes=STAKES, direction="allocate")
    assert _stake(won).holder == "agent://bob"


def test_a_soft_hold_costs_nothing_and_ends_in_an_hour_at_most(play: Make) -> None:
    made = play(agents="bob carol", stakes=STAKES, closes_at=50_000.0, deadline=90_000.0)
    effect: Any = made.at(1, offer("bob", 30, hold=True)).history[-1][1][0]
    made.unclaimed = []
    assert (effect.stake.payer, effect.stake.micros) == ("", 0)
    assert effect.stake.ends_at == 1 + HOLD_SECONDS_MAX
