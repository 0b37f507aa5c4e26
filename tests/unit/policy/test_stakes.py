"""What an award holds, as a call says it and an offer fills it."""

from __future__ import annotations

import math

import pytest

from policy.stakes import (
    MICROS_MAX,
    START_SECONDS_MAX,
    Credit,
    Need,
    Stake,
    Stakes,
    locks_of,
    micros_of,
    stake_of,
    told,
)


def staked(stakes: Stakes, wishes: object = None, *, buys: bool = False) -> Stake:
    return stake_of(
        stakes,
        "n/1/1",
        initiator="agent://alice",
        agent="agent://bob",
        offer_id="o",
        price=1.5,
        wishes=wishes,
        buys=buys,
        now=100.0,
        ends_at=200.0,
    )


def test_units_are_locked_from_the_award_on_unless_the_call_says_when() -> None:
    stakes = Stakes((Need("gpu", 4, 60.0), Need("disk", 1, 30.0, starts_at=500.0)))
    assert [(lock.starts_at, lock.ends_at) for lock in locks_of(stakes, {}, 100.0)] == [
        (100.0, 160.0),
        (500.0, 530.0),
    ]


@pytest.mark.parametrize(
    ("start_in", "starts_at"),
    [
        (120, 220.0),
        (0.5, 100.5),
        (-3, 100.0),
        (1e12, 100.0 + START_SECONDS_MAX),
        ("soon", 100.0),
        (True, 100.0),
        (math.inf, 100.0 + START_SECONDS_MAX),
        (math.nan, 100.0),
    ],
)
def test_an_offer_may_say_in_how_many_seconds_it_starts(start_in: object, starts_at: float) -> None:
    """ "50 credits, start in 2 min", as the article on agents has it."""
    [lock] = locks_of(Stakes((Need("gpu", 1, 60.0),)), {"start_in": start_in}, 100.0)
    assert lock.starts_at == starts_at


@pytest.mark.parametrize(
    ("part", "resource"),
    [("gpu/node-7", "gpu/node-7"), ("gpus/node-7", "gpu"), ("disk", "gpu"), (7, "gpu")],
)
def test_an_offer_may_name_a_part_of_the_resource_and_nothing_else(
    part: object, resource: str
) -> None:
    [lock] = locks_of(Stakes((Need("gpu", 1, 60.0),)), {"resource": part}, 100.0)
    assert lock.resource == resource


def test_whoever_buys_may_use_the_units() -> None:
    stakes = Stakes((Need("gpu", 1, 60.0),))
    assert staked(stakes).holder == "agent://alice"
    assert staked(stakes, buys=True).holder == "agent://bob"


def test_the_payer_is_whom_the_call_names() -> None:
    paid = staked(Stakes(credit=Credit("initiator", "vision")))
    assert (paid.payer, paid.project, paid.micros) == ("agent://alice", "vision", 1_500_000)
    assert staked(Stakes(credit=Credit("winner"))).payer == "agent://bob"
    free = staked(Stakes((Need("gpu", 1, 60.0),)), "terms of any kind")
    assert (free.payer, free.project, free.micros) == ("", "", 0)


def test_a_price_is_a_whole_number_of_micro_credits() -> None:
    """Nobody is paid for taking something, and nobody can pay more than there can be."""
    assert [micros_of(price) for price in (0.0000014, 2, -5, 0)] == [1, 2_000_000, 0, 0]
    assert micros_of(1e300) > MICROS_MAX
    assert micros_of(-1e300) == 0


def test_parties_are_told_of_what_there_is_only() -> None:
    assert told(staked(Stakes())) == {}
    assert list(told(staked(Stakes((Need("gpu", 1, 60.0),))))) == ["locks"]
    assert list(told(staked(Stakes(credit=Credit("winner"))))) == ["credit"]


def test_a_noisy_payer_pays_a_multiple_and_is_told() -> None:
    """N-8.5: the price times the multiplier that the call was opened with."""
    noisy = Credit("winner", multipliers={"agent://bob": 2.0})
    stake = staked(Stakes(credit=noisy))
    assert (stake.micros, stake.multiplier) == (3_000_000, 2.0)
    assert told(stake)["credit"] == {
        "payer": "agent://bob",
        "micros": 3_000_000,
        "project": "",
        "multiplier": 2.0,
    }
    other = staked(Stakes(credit=Credit("initiator", multipliers={"agent://bob": 2.0})))
    assert (other.micros, other.multiplier) == (1_500_000, 1.0)
    assert "multiplier" not in str(told(other))
