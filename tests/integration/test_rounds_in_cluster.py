"""Several rounds and sealed bids between agents of different gateways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llmx
from tests.support.cluster import Cluster, running_cluster

pytestmark = pytest.mark.slow

REPLY_WITHIN = 10
TASK = {"gpus": 4}
NAMES = ("us", "eu")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), *NAMES) as cluster:
        yield cluster


class Market:
    """Alice and bob at one gateway, carol at the other; what each bidder hears of calls."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic
        self.heard: list[tuple[str, int]] = []
        self.alice = self._agent(f"alice-{topic}", "us")

    def _agent(self, name: str, gateway: str) -> llmx.Agent:
        return llmx.Agent(
            f"agent://{name}",
            self.cluster.addresses(gateway).split(",")[0],
            token=self.cluster.token(name),
            topics=[self.topic],
            consents=["*"],
        )

    def bidder(self, name: str, gateway: str, *prices: float) -> llmx.Agent:
        """Return one that bids one price in each round."""
        agent = self._agent(f"{name}-{self.topic}", gateway)

        @agent.on_cfp
        def bid(call: llmx.Call) -> llmx.Offer:
            assert call.turn is not None
            assert call.body["task"] == TASK, "who bids need not remember the first call"
            self.heard.append((name, call.turn.round))
            return call.offer(value=prices[call.turn.round - 1])

        return agent

    async def known(self, *agents: llmx.Agent) -> None:
        await self.cluster.until_located([agent.agent_id for agent in agents])

    def call(self, **fields: Any) -> llmx.Negotiation:
        body = {"reply_within": REPLY_WITHIN, "task": TASK, **fields}
        return self.alice.negotiate(body, to=f"topic://{self.topic}", policy="high")


async def test_agents_of_another_gateway_are_called_again(cluster: Cluster) -> None:
    """N-2.3: the same conversation, wherever the agents are."""
    market = Market(cluster, "rounds")
    bob, carol = market.bidder("bob", "us", 50, 45), market.bidder("carol", "eu", 55, 41)
    async with market.alice, bob, carol:
        await market.known(market.alice, bob, carol)
        call = market.call(
            protocol="iterated-contract-net", decider="initiator", iterations={"rounds_max": 2}
        )
        rounds = []
        async with call as negotiation:
            async for event in negotiation:
                if isinstance(event, llmx.Ranked):
                    rounds.append([offer.value for offer in event.offers])
                    if len(rounds) == 1:
                        await negotiation.revise(event.offers, {"reserve": 45})
                        assert all(offer.value in (45, 41) for offer in negotiation.offers)
                    else:
                        await negotiation.accept(event.offers[0])
    assert rounds == [[50, 55], [41, 45]]
    assert sorted(market.heard) == [("bob", 1), ("bob", 2), ("carol", 1), ("carol", 2)]
    assert negotiation.outcome is not None
    assert negotiation.outcome.winners[0].agent == carol.agent_id


@pytest.mark.parametrize("commit", [False, True])
async def test_bids_from_another_gateway_stay_sealed(cluster: Cluster, commit: bool) -> None:
    """N-6.1, N-6.6: the initiator hears of no bid before the outcome."""
    market = Market(cluster, f"sealed-{commit}")
    bob, carol = market.bidder("bob", "us", 50), market.bidder("carol", "eu", 40)
    sealed = {"price": "second", "commit": commit, "reveal_within": REPLY_WITHIN}
    async with market.alice, bob, carol:
        await market.known(market.alice, bob, carol)
        async with market.call(protocol="sealed-bid", sealed=sealed) as negotiation:
            events = [event async for event in negotiation]
    assert not [event for event in events if isinstance(event, llmx.OfferMade)]
    outcome = negotiation.outcome
    assert outcome is not None
    (won,) = outcome.winners
    assert (won.agent, won.value, won.price) == (carol.agent_id, 40, 50)
