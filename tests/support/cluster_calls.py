"""A call at the insides of three gateways, and agents that move between them."""

from __future__ import annotations

import asyncio

from gateway.handover import Arrival
from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.cluster_parts import ClusterParts
from tests.support.gateway_parts import envelope, received


class Market:
    """A call of alice's at a, which bob at b and carol at c hear."""

    def __init__(self) -> None:
        self.cluster = ClusterParts("a", "b", "c")
        self.alice = self.cluster["a"].arrive("alice")
        self.bob = self.cluster["b"].arrive("bob", "gpu")
        self.carol = self.cluster["c"].arrive("carol", "gpu")
        self.cluster.run()
        body = {"act": "cfp", "task": "four GPUs", "reply_within": 5, "policy": "high"}
        call = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="call", body=body)
        self.cluster.admit("a", self.alice, call)
        (self.heard,) = received(self.bob)
        received(self.carol)

    def offer(self, name: str, value: float) -> Envelope:
        return envelope(
            name,
            Act.ACT_OFFER,
            msg_id=f"offer-{name}",
            body={"act": "offer", "value": value},
            negotiation_id=self.heard.negotiation_id,
            in_reply_to="call",
        )

    @property
    def owners(self) -> list[str]:
        """Return the gateways that decide the negotiation."""
        return [
            name
            for name, gateway in self.cluster.gateways.items()
            if gateway.negotiations.is_known(self.heard.negotiation_id)
        ]


def fetched(
    cluster: ClusterParts, gateway_id: str, name: str, token: str = "token", seen: int = 0
) -> Arrival | None:
    """Let an agent say Hello at a gateway, while the others do what they are asked."""

    async def fetch() -> Arrival | None:
        handover = cluster[gateway_id].handover
        async with asyncio.TaskGroup() as tasks:
            coming = tasks.create_task(handover.fetch("acme", f"agent://{name}", token, seen))
            await asyncio.sleep(0)  # it asks
            cluster.run()  # and is answered
        return coming.result()

    arrival = asyncio.run(fetch())
    cluster.run()
    return arrival


def moved(cluster: ClusterParts, gateway_id: str, name: str, token: str = "token") -> Member:
    arrival = fetched(cluster, gateway_id, name, token)
    assert arrival is not None
    member = cluster[gateway_id].settle(arrival)
    cluster.run()
    return member
