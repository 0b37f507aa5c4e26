"""The token market of a shared API: negotiation.md N-8.2 to N-8.4, features 155 to 158."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from policy import token_market
from policy.token_market import MICRO, Sale, TokenBid, TokenLimit, TokenMarket, Trade

LIMIT = TokenLimit(rate=10, burst=40, reserve=0.25, purse_max=0.5)
"""Ten are reserved, and a purse holds 20."""


def market() -> TokenMarket:
    return TokenMarket(LIMIT, 0.0)


def test_a_market_starts_with_a_full_pool() -> None:
    made = market()
    assert (made.pool, made.total, made.held("bob")) == (40 * MICRO, 40 * MICRO, 0)
    assert repr(made) == "<TokenMarket 40 in the pool, 0 held>"


def test_the_highest_bids_get_the_tokens_and_all_pay_what_the_first_loser_offered() -> None:
    sales = market().sell(
        [TokenBid("bob", 20, 5), TokenBid("carol", 10, 9), TokenBid("dave", 4, 3)], 0.0
    )
    assert sales == [Sale("carol", 10, 3), Sale("bob", 20, 3)]


def test_tokens_cost_nothing_while_there_is_enough_for_all() -> None:
    assert market().sell([TokenBid("bob", 5, 50)], 0.0) == [Sale("bob", 5, 0)]


def test_who_gets_a_part_pays_its_own_price() -> None:
    made = market()
    sales = made.sell([TokenBid("bob", 20, 9), TokenBid("carol", 15, 4)], 0.0)
    assert sales == [Sale("bob", 20, 4), Sale("carol", 10, 4)]
    assert made.pool == 10 * MICRO, "the reserve stays"
    assert made.sell([TokenBid("dave", 1, 99)], 0.0) == []


def test_a_noisy_neighbour_pays_more_for_each_token_and_is_not_shut_out() -> None:
    """N-8.5: its bid counts divided by its multiplier, and it pays the price times it."""
    bids = [TokenBid("bob", 20, 8, 2.0), TokenBid("carol", 10, 5), TokenBid("dave", 10, 2)]
    assert market().sell(bids, 0.0) == [Sale("carol", 10, 2), Sale("bob", 20, 4)]
    assert market().sell([TokenBid("bob", 20, 8, 2.0), TokenBid("dave", 11, 2)], 0.0) == [
        Sale("bob", 20, 4),
        Sale("dave", 10, 2),
    ]


def test_nobody_hoards_more_than_a_purse() -> None:
    """Feature 149: neither by bids, nor by trades, nor by shares."""
    made = market()
    assert made.sell([TokenBid("bob", 15, 9), TokenBid("bob", 15, 9)], 0.0) == [
        Sale("bob", 15, 0),
        Sale("bob", 5, 0),
    ]
    assert made.sell([TokenBid("carol", 5, 1)], 0.0) == [Sale("carol", 5, 0)]
    assert made.trade("carol", "bob", 1) == Trade("carol", "bob", 0)
    assert made.share("bob", 10.0)
    made.refill(100.0)
    assert made.held("bob") == 20 * MICRO
    assert made.total == 40 * MICRO


def test_a_trade_moves_tokens_and_makes_none() -> None:
    """N-8.4: transfers conserve the sum."""
    made = market()
    made.sell([TokenBid("bob", 10, 1)], 0.0)
    assert made.trade("bob", "carol", 4) == Trade("bob", "carol", 4 * MICRO)
    assert made.purses() == {"bob": 6 * MICRO, "carol": 4 * MICRO}
    for impossible in (("bob", "carol", 7), ("bob", "bob", 1), ("bob", "carol", 0)):
        assert made.trade(*impossible).micros == 0
    assert made.total == 40 * MICRO


def test_the_parts_of_the_rate_are_at_most_the_rate() -> None:
    """N-8.4: Σ sub-rates ≤ r."""
    made = market()
    assert made.share("bob", 6.0)
    assert not made.share("carol", 5.0)
    assert made.share("bob", 5.0), "instead of its six"
    assert made.share("carol", 5.0)
    assert not made.share("dave", -1.0)
    assert made.share("bob", 0.0)
    assert made.share("dave", 5.0)


def test_shares_flow_into_purses_and_the_rest_into_the_pool() -> None:
    made = market()
    made.sell([TokenBid("bob", 20, 1)], 0.0)
    assert made.spend("bob", 20, 0.0)
    made.share("carol", 4.0)
    made.refill(1.0)
    assert made.held("carol") == 4 * MICRO
    assert made.pool == 26 * MICRO
    made.refill(0.5)
    assert made.total == 30 * MICRO, "a clock that goes back brings nothing"


def test_an_agent_that_holds_nothing_spends_nothing() -> None:
    made = market()
    assert not made.spend("bob", 1, 0.0)
    assert made.total == 40 * MICRO


def test_a_system_request_within_the_reserve_is_admitted_whatever_others_bought() -> None:
    """N-8.3: the pool keeps the reserve, and fills it before any share flows."""
    made = market()
    made.share("bob", 10.0)
    made.sell([TokenBid("bob", 20, 9), TokenBid("carol", 20, 9)], 0.0)
    assert made.spend("cron", 10, 0.0, system=True)
    assert not made.spend("cron", 1, 0.0, system=True)
    assert made.spend("bob", 20, 0.0)
    made.refill(1.0)
    assert made.held("bob") == 0
    assert made.spend("cron", 10, 1.0, system=True)


def test_the_system_class_spends_its_own_first() -> None:
    made = market()
    made.sell([TokenBid("cron", 3, 1)], 0.0)
    assert made.spend("cron", 5, 0.0, system=True)
    assert (made.held("cron"), made.pool) == (0, 35 * MICRO)


def test_who_leaves_gives_back_what_it_held() -> None:
    made = market()
    made.share("bob", 10.0)
    made.sell([TokenBid("bob", 10, 1)], 0.0)
    made.leave("bob")
    made.leave("nobody")
    assert (made.pool, made.total) == (40 * MICRO, 40 * MICRO)
    assert made.share("carol", 10.0)


def test_a_market_has_a_bounded_number_of_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_market, "AGENTS_MAX", 1)
    made = market()
    assert made.share("bob", 1.0)
    assert made.share("bob", 2.0)
    assert not made.share("carol", 1.0)
    assert made.share("carol", 0.0)


def test_who_goes_on_begins_with_an_empty_pool_and_what_agents_hold() -> None:
    """What was spent a moment ago is not known, so nothing of it may be there again."""
    made = TokenMarket(LIMIT, 5.0, {"bob": 3 * MICRO, "carol": 50 * MICRO})
    assert (made.pool, made.held("bob"), made.held("carol")) == (0, 3 * MICRO, 37 * MICRO)
    made.refill(6.0)
    assert made.total == 40 * MICRO, "the limit was larger then, and what is beyond it is gone"


def test_what_was_not_sent_is_put_back_and_the_pool_pays_for_it_when_it_has_filled() -> None:
    made = market()
    made.sell([TokenBid("bob", 20, 1)], 0.0)
    assert made.spend("bob", 5, 0.0)
    made.put_back("bob", 2)
    assert (made.held("bob"), made.pool) == (17 * MICRO, 20 * MICRO)
    made.refill(100.0)
    assert made.total == 40 * MICRO
    made.put_back("bob", 3)
    assert (made.held("bob"), made.pool, made.room("bob")) == (20 * MICRO, 20 * MICRO, 0)


def test_what_was_an_agents_already_comes_back_whatever_it_holds() -> None:
    made = market()
    made.sell([TokenBid("bob", 20, 1)], 0.0)
    assert made.trade("bob", "offer", 5).micros
    made.sell([TokenBid("bob", 5, 1)], 0.0)
    assert not made.trade("offer", "bob", 5).micros
    assert made.trade("offer", "bob", 5, fills=False).micros
    assert made.held("bob") == 25 * MICRO


AGENTS = st.sampled_from(["bob", "carol", "dave"])
TOKENS = st.sampled_from([1, 3, 10, 40])


class MarketMachine(RuleBasedStateMachine):
    """The market beside two numbers: what has flowed at most, and what was spent."""

    def __init__(self) -> None:
        super().__init__()
        self.market = market()
        self.now = 0.0
        self.spent: list[tuple[float, int]] = []

    @rule(pause=st.sampled_from([0.0, 1e-7, 0.1, 1 / 3, 1.0, 60.0]))
    def wait(self, pause: float) -> None:
        before = self.market.total
        self.now += pause
        self.market.refill(self.now)
        brought = self.market.total - before
        assert 0 <= brought <= pause * LIMIT.rate * MICRO + 1

    @rule(agent=AGENTS, rate=st.sampled_from([0.0, 1.0, 5.0, 1 / 3]))
    def share(self, agent: str, rate: float) -> None:
        self.conserves(lambda: self.market.share(agent, rate))

    @rule(
        bids=st.lists(
            st.builds(
                TokenBid, AGENTS, TOKENS, st.integers(0, 3), st.sampled_from([1.0, 1.5, 10.0])
            ),
            max_size=5,
        )
    )
    def sell(self, bids: list[TokenBid]) -> None:
        before, total = self.market.pool, self.market.total
        sales = self.market.sell(bids, self.now)
        assert self.market.total == total
        assert sum(sale.tokens for sale in sales) * MICRO == before - self.market.pool
        assert not sales or self.market.pool >= 10 * MICRO, "the reserve is not for sale"
        for sale in sales:
            mine = [bid for bid in bids if bid.agent == sale.agent]
            assert any(sale.tokens <= bid.tokens and sale.price <= bid.price for bid in mine)

    @rule(giver=AGENTS, taker=AGENTS, tokens=TOKENS)
    def trade(self, giver: str, taker: str, tokens: int) -> None:
        self.conserves(lambda: self.market.trade(giver, taker, tokens))

    @rule(agent=AGENTS)
    def leave(self, agent: str) -> None:
        self.conserves(lambda: self.market.leave(agent))

    @rule(agent=AGENTS, tokens=TOKENS, system=st.booleans())
    def spend(self, agent: str, tokens: int, system: bool) -> None:
        before = self.market.total
        able = self.market.held(agent) + (self.market.pool if system else 0) >= tokens * MICRO
        assert self.market.spend(agent, tokens, self.now, system=system) is able
        assert before - self.market.total == (tokens * MICRO if able else 0)
        if able:
            self.spent.append((self.now, tokens))

    @rule(agent=AGENTS, tokens=TOKENS)
    def regret(self, agent: str, tokens: int) -> None:
        """Spend, and send nothing."""
        before = self.market.purses()
        if self.market.spend(agent, tokens, self.now):
            self.market.put_back(agent, tokens)
        assert self.market.purses() == before

    def conserves(self, act: object) -> None:
        assert callable(act)
        before = self.market.total
        act()
        assert self.market.total == before

    @invariant()
    def there_are_never_more_tokens_than_the_burst(self) -> None:
        assert 0 <= self.market.pool <= self.market.total <= 40 * MICRO
        assert all(0 < micros <= 20 * MICRO for micros in self.market.purses().values())

    @invariant()
    def over_any_interval_no_more_is_spent_than_the_limit_of_the_api(self) -> None:
        """N-8.2: what the API sees is at most B + r·Δ, so it never refuses one of us."""
        for start in range(len(self.spent)):
            since = Fraction(self.spent[start][0])
            within = sum(tokens for _, tokens in self.spent[start:])
            assert within <= 40 + 10 * (Fraction(self.now) - since) + Fraction(2, MICRO)


TestMarket = pytest.mark.slow(MarketMachine.TestCase)
