"""What an operator is shown: members, links, agents, negotiations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from federation.etcd import EtcdState
from federation.membership import MemberInfo
from federation.peer_states import LinkState
from gateway.cluster_view import PARTY_STATE_OF, ClusterView
from gateway.draining import Draining
from llmx.v1 import cluster_pb2 as messages
from llmx.v1.envelope_pb2 import Act
from llmx.v1.negotiation_pb2 import NEGOTIATION_STATE_COMMITTED, NEGOTIATION_STATE_OPEN
from tests.support.cluster_parts import ClusterParts
from tests.support.gateway_parts import envelope, received, stream_of


class Market:
    """Alice at a, bob at b, and what an operator sees of a."""

    def __init__(self) -> None:
        self.cluster = ClusterParts("a@eu", "b@us")
        self.a = self.cluster["a"]
        self.alice = self.a.arrive("alice")
        self.bob = self.cluster["b"].arrive("bob", "gpu")
        self.carol = self.a.arrive("carol", "gpu")
        self.cluster.run()
        draining = Draining("a", set(), lambda: 0, lambda: self.a.now)
        self.view = ClusterView(
            "a", self.a.members, self.a.negotiations, draining, None, lambda: self.a.now
        )
        self.view.agents_address = "10.0.0.1:7600"

    def join_cluster(self, *links: LinkState, state: object = None) -> None:
        """Let the view know the cluster."""

        known: Any = SimpleNamespace(
            own=MemberInfo("a", "eu", "10.0.0.1:1", "10.0.0.1:7600", "1", 1, epoch=7),
            members={"b": MemberInfo("b", "us", "10.0.0.2:1", "10.0.0.2:7600", "1", 1, 0.5)},
            links=lambda: list(links),
            name="llmx",
            discovery=SimpleNamespace(state=state),
        )
        self.view.known_cluster = known

    def call(self) -> str:
        body = {"act": "cfp", "task": "four GPUs", "reply_within": 5, "policy": "high"}
        call = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="call", body=body)
        self.cluster.admit("a", self.alice, call)
        return str(stream_of(self.alice).opened[-1].negotiation_id)

    def offer(self, gateway_id: str, name: str, value: float) -> None:
        member = self.bob if name == "bob" else self.carol
        (heard,) = received(member)
        answer = envelope(
            name,
            Act.ACT_OFFER,
            msg_id=f"offer-{name}",
            body={"act": "offer", "value": value},
            negotiation_id=heard.negotiation_id,
            in_reply_to="call",
        )
        self.cluster.admit(gateway_id, member, answer)


@pytest.fixture
def market() -> Market:
    return Market()


def link(state: str, round_trip: float = 0.0) -> LinkState:
    return LinkState("b", "us", state, round_trip, 1, 2, 3, 4, 5, since=100.0)


def test_a_gateway_that_stands_alone_shows_itself(market: Market) -> None:
    assert market.view.cluster().discovery == messages.DISCOVERY_STATE_ALONE
    (alone,) = market.view.members()
    assert (alone.gateway_id, alone.agents_address) == ("a", "10.0.0.1:7600")
    assert alone.reach == messages.REACH_SELF and not list(market.view.links())


@pytest.mark.parametrize(
    ("state", "reach", "condition", "relay"),
    [
        ("open", messages.REACH_LINKED, messages.LINK_CONDITION_OPEN, ""),
        ("relayed by c", messages.REACH_RELAYED, messages.LINK_CONDITION_RELAYED, "c"),
        ("down", messages.REACH_NONE, messages.LINK_CONDITION_DOWN, ""),
    ],
)
def test_members_are_shown_with_how_they_are_reached(
    market: Market, state: str, reach: int, condition: int, relay: str
) -> None:
    market.join_cluster(link(state, round_trip=0.25))
    own, other = market.view.members()
    assert own.epoch == 7 and own.reach == messages.REACH_SELF
    assert (other.gateway_id, other.region, other.reach, other.load) == ("b", "us", reach, 0.5)
    (shown,) = market.view.links()
    assert (shown.condition, shown.relay, shown.peer_id) == (condition, relay, "b")
    assert shown.round_trip.ToMilliseconds() == 250
    assert (shown.queued, shown.unconfirmed, shown.sent, shown.received, shown.resumed) == (
        1,
        2,
        3,
        4,
        5,
    )
    assert market.view.cluster().name == "llmx"


@pytest.mark.parametrize("reachable", [True, False])
def test_how_others_are_found_is_shown(market: Market, reachable: bool) -> None:
    market.join_cluster()
    assert market.view.cluster().discovery == messages.DISCOVERY_STATE_STATIC
    market.join_cluster(state=EtcdState(reachable, 50.0, "10.0.0.9:2379", ""))
    told = market.view.cluster()
    assert told.discovery == (
        messages.DISCOVERY_STATE_REACHED if reachable else messages.DISCOVERY_STATE_LOST
    )
    assert told.endpoint == "10.0.0.9:2379" and told.since.ToSeconds() == 50


def test_since_when_a_member_of_the_settings_lives_is_not_shown(market: Market) -> None:
    market.join_cluster()
    _, other = market.view.members()
    assert not other.HasField("started_at")


def test_a_round_trip_that_nobody_measured_is_not_shown(market: Market) -> None:
    market.join_cluster(link("open"))
    (shown,) = market.view.links()
    assert not shown.HasField("round_trip")


def test_agents_are_shown_with_their_homes_in_pages(market: Market) -> None:
    market.join_cluster(link("open"))
    shown = list(market.view.agents("acme", 10))
    assert [(one.agent.agent_id[8:], one.gateway_id, one.region) for one in shown] == [
        ("alice", "a", "eu"),
        ("bob", "b", "us"),
        ("carol", "a", "eu"),
    ]
    assert [one.agent.agent_id for one in market.view.agents("acme", 1, "agent://alice")] == [
        "agent://bob"
    ]
    assert [one.agent.agent_id for one in market.view.agents("acme", 9, gateway_id="b")] == [
        "agent://bob"
    ]
    assert not list(market.view.agents("umbrella", 10))


def test_an_agent_whose_home_died_is_nowhere(market: Market) -> None:
    market.join_cluster()
    market.cluster.kill("b")
    (bob,) = [one for one in market.view.agents("acme", 9) if one.agent.agent_id[8:] == "bob"]
    assert bob.gateway_id == "" and not bob.agent.connected


def test_a_negotiation_is_shown_while_it_goes_on_without_its_sealed_offers(market: Market) -> None:
    negotiation_id = market.call()
    market.offer("b", "bob", 40)
    (told,) = market.view.negotiations("acme", 10)
    assert (told.negotiation_id, told.state) == (negotiation_id, NEGOTIATION_STATE_OPEN)
    assert (told.eligible, told.answered, told.offers, told.durable) == (2, 1, 1, False)
    detail = market.view.show("acme", negotiation_id)
    assert detail is not None
    bob, carol = detail.parties
    assert bob.state == messages.PARTY_STATE_OFFERED and not bob.HasField("value")
    assert carol.state == messages.PARTY_STATE_CALLED and bob.gateway_id == "b"
    assert [event.kind for event in detail.events] == ["offer_received"]
    assert not list(market.view.negotiations("umbrella", 10))


def test_a_bargain_is_shown_with_whose_turn_it_is(market: Market) -> None:
    body = {"protocol": "alternating-offers", "reply_within": 5}
    call = envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="call", body=body)
    market.cluster.admit("a", market.alice, call)
    market.offer("b", "bob", 40)
    (told,) = market.view.negotiations("acme", 10)
    assert (told.protocol, told.round, told.offers, told.answered) == (
        "alternating-offers",
        2,
        1,
        1,
    )
    detail = market.view.show("acme", told.negotiation_id)
    assert detail is not None
    alice, bob = detail.parties
    assert (alice.word, alice.state) == ("to_move", messages.PARTY_STATE_TO_MOVE)
    assert (bob.word, bob.state) == ("waits", messages.PARTY_STATE_WAITS)
    assert bob.value == 40 and not alice.HasField("value"), "both have seen it"


def test_every_word_of_a_party_has_a_state_or_is_shown_as_it_is() -> None:
    assert PARTY_STATE_OF["won"] == messages.PARTY_STATE_WON
    assert "haggling" not in PARTY_STATE_OF


def test_a_negotiation_is_shown_with_its_outcome(market: Market) -> None:
    negotiation_id = market.call()
    market.offer("b", "bob", 40)
    market.offer("a", "carol", 50)
    detail = market.view.show("acme", negotiation_id)
    assert detail is not None
    assert detail.summary.state == NEGOTIATION_STATE_COMMITTED and detail.closed_by
    bob, carol = detail.parties
    assert (bob.state, carol.state) == (messages.PARTY_STATE_WON, messages.PARTY_STATE_LOST)
    assert bob.value == 40


def test_what_is_of_another_tenant_or_unknown_is_not_shown(market: Market) -> None:
    negotiation_id = market.call()
    assert market.view.show("umbrella", negotiation_id) is None
    assert market.view.show("acme", "a.0.0011223344556677-0011223344") is None


def test_negotiations_come_in_pages_by_id(market: Market) -> None:
    negotiation_id = market.call()
    assert not list(market.view.negotiations("acme", 10, after=negotiation_id))
    assert not list(market.view.negotiations("acme", 0))


def test_a_drain_is_begun_and_taken_back_through_it(market: Market) -> None:
    assert market.view.drained() is None and not market.view.abort_drain()
    market.view.drain(10.0, 60.0)
    told = market.view.drained()
    assert told is not None and told.state == messages.DRAIN_STATE_MOVING
    assert market.view.abort_drain()
