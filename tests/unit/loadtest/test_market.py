"""The market experiment, small: every arm, every adversary, with what must hold of each."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from loadtest.market.adversaries import hoarding, lies, system_class
from loadtest.market.arms import ARMS
from loadtest.market.books import Books
from loadtest.market.clock import Figures, figures, played
from loadtest.market.collusion import buyers, detection
from loadtest.market.rate_limit import traffic
from loadtest.market.scale import scale
from loadtest.market.world import Demand, World
from policy.noise import NoiseRule

SMALL = Demand(agents=100, slots=8, teams=8, hours=2.0)
GRANT = 100.0


def run(name: str, demand: Demand = SMALL, seed: int = 1) -> Figures:
    return figures(name, *played(World(demand, seed), ARMS[name], GRANT))


@pytest.mark.parametrize("name", ARMS)
def test_every_way_shares_what_there_is_and_no_more(name: str) -> None:
    """The books are checked at every entry; a slot has one task at a time."""
    world = World(SMALL, 1)
    arm, after = played(world, ARMS[name], GRANT)
    by_slot: dict[int, list[tuple[float, float]]] = {}
    for made in after.started.values():
        assert made.task.arrived <= made.at
        by_slot.setdefault(made.slot, []).append((made.at, made.at + made.task.seconds))
    for spans in by_slot.values():
        spans.sort()
        assert all(one[1] <= other[0] + 1e-6 for one, other in pairwise(spans))
    seen = figures(name, arm, after)
    assert 0 < seen.utilisation <= 1
    assert 0 <= seen.wasted <= 1 - seen.utilisation + 1e-9
    assert 0 < seen.jain <= 1
    assert len(after.started) + len(after.waiting) + len(after.lost) <= len(world.tasks)


def test_auctions_do_more_of_the_value_than_queues_and_a_quota_wastes_most() -> None:
    """E7: the shape of the published claim; each could come out the other way."""
    together = replace(SMALL, together=0.8)
    seen = {name: run(name, together) for name in ("static quota", "FIFO", "Vickrey")}
    assert seen["static quota"].wasted > 0.15
    assert seen["FIFO"].wasted < 0.02 and seen["Vickrey"].wasted < 0.02
    assert seen["Vickrey"].value > seen["FIFO"].value + 0.1
    assert seen["FIFO"].value > seen["static quota"].value
    assert seen["Vickrey"].in_time > 0.8


def test_a_vickrey_price_is_below_the_first_price_of_the_same_bids() -> None:
    first, second = run("sealed, first price"), run("Vickrey")
    assert second.allocations == pytest.approx(first.allocations, rel=0.1)
    assert second.price < first.price


def test_alternating_offers_need_fewer_messages_than_a_concession_in_steps() -> None:
    """Feature 154: what is known of the other side is paid in rounds where it is not."""
    short = replace(SMALL, hours=0.5)
    quick, slow = run("alternating offers", short), run("monotonic concession", short)
    assert quick.messages < slow.messages
    assert quick.decided_median < slow.decided_median


def test_the_same_seed_gives_the_same_figures() -> None:
    short = replace(SMALL, hours=0.5)
    one, two = run("contract net", short), run("contract net", short)
    assert replace(one, micros=0) == replace(two, micros=0)
    assert run("contract net", short, seed=2) != one


def test_the_books_refuse_what_is_not_there_and_begin_anew_each_hour() -> None:
    """Feature 149: who has spent its budget is priced out until the window ends."""
    books = Books(10.0)
    spent = books.hold("bob", 7.0, "one", 0.0)
    assert spent is not None
    assert books.hold("bob", 4.0, "two", 10.0) is None
    with pytest.raises(AssertionError, match="every hold has ended"):
        books.check()
    books.capture(spent, 5.0)
    assert books.available("bob", 20.0) == 5.0
    other = books.hold("bob", 5.0, "three", 30.0)
    assert other is not None
    books.release(other)
    assert books.available("bob", 3600.0) == 10.0
    assert books.refused == 1
    books.check()


@pytest.mark.slow
def test_a_tenth_of_liars_loses_its_rating_and_no_honest_agent_does() -> None:
    """§7 and E7: below 0.5 within 20 tasks, honest agents stay at 0.95 or more."""
    seen = lies(1, Demand(agents=40, slots=6, hours=48.0, idle=4200.0))
    assert seen.liars >= 2
    assert seen.below_half == seen.liars
    assert 10 <= seen.slowest <= 20
    assert seen.lowest_honest >= 0.95


@pytest.mark.slow
def test_a_bold_ring_is_found_and_nobody_else_is() -> None:
    """N-6.5: by probes that never win; without a ring there is no alarm."""
    seen = detection(3, 1_500)
    assert seen.precision == 1.0 and seen.recall >= 0.9
    assert seen.false_alarms == 0
    assert seen.probes_won == 0


def test_probing_comes_to_the_median_of_the_best_bids() -> None:
    seen = buyers(1, 600, members=0)
    assert 150 < seen.probes < 350
    assert seen.level == pytest.approx(seen.best, rel=0.35)


def test_a_hoarder_is_priced_out_by_its_budget() -> None:
    """Feature 149, N-8.5: with credit without end it has nearly all, with a budget a part."""
    demand = Demand(hours=1.0)
    endless, bounded = hoarding(1, demand, 1e6), hoarding(1, demand, GRANT)
    dearer = hoarding(1, demand, 1e6, NoiseRule())
    assert endless.share > 0.8
    assert bounded.share < 0.15
    assert bounded.others_in_time > endless.others_in_time + 0.5
    assert bounded.share < dearer.share < endless.share, "noise costs, and bans nobody"


def test_system_agents_always_get_in_and_without_a_reserve_they_do_not() -> None:
    """N-8.3."""
    reserved, crowded = system_class(1, 0.2, hours=2), system_class(1, 0.0, hours=2)
    assert reserved.asked == reserved.at_once > 20
    assert crowded.at_once < crowded.asked


def test_the_token_market_keeps_429_away_and_the_quiet_served() -> None:
    """E7: 100 tokens a second and five agents at ten times: no 429, features 155 to 158."""
    crowd, market = traffic(1, market=False, seconds=20), traffic(1, market=True, seconds=20)
    assert crowd.refused > 500
    assert market.refused == 0
    assert market.quiet_served > 0.9 > crowd.quiet_served
    assert market.multiplier > 2
    assert market.loud_served > 0.1, "dearer, and not shut out"
    assert market.used > 0.9
    assert market.system_served == 1.0


def test_a_bargain_costs_the_same_messages_in_any_crowd_and_an_auction_does_not() -> None:
    small, large = scale(24, rounds=2), scale(100, rounds=2)
    assert small.bargain_messages == large.bargain_messages
    assert large.auction_messages == pytest.approx(small.auction_messages * 100 / 24, rel=0.05)
