"""Members and links: the own ones, and those between others, as they say themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from federation.peer_states import UNHEARD, PeerView
from gateway.page.graph import HEARD_SECONDS, MEMBERS_MAX, Edge, graph_of
from llmx.v1 import cluster_pb2 as messages
from tests.support.admin_view import FakeView

NOW = 1_000.0


class Talking:
    """A cluster in which others have said whom they are connected with."""

    def __init__(self, views: Mapping[str, PeerView]) -> None:
        self._views = views

    def view_of(self, gateway_id: str) -> PeerView:
        return self._views.get(gateway_id, UNHEARD)


def said(*connected: str, ago: float = 0.0) -> PeerView:
    return PeerView(NOW - ago, sees_discovery=True, connected=frozenset(connected))


def links_of_others(views: Mapping[str, PeerView], *others: str) -> list[tuple[str, str, str]]:
    view = FakeView("eu", dict.fromkeys(others, "10.0.0.2:7600"))
    graph = graph_of(view, Talking(views), NOW)
    return [(edge.a, edge.b, edge.state) for edge in graph.edges if not edge.own]


def test_a_gateway_that_stands_alone_is_a_graph_of_one() -> None:
    graph = graph_of(FakeView("eu"), None, NOW)
    assert (graph.gateway, graph.cluster, graph.discovery) == ("eu", "", "alone")
    assert [(node.id, node.reach) for node in graph.nodes] == [("eu", "self")]
    assert not graph.edges and graph.more == 0


def test_the_own_links_are_known_with_round_trips() -> None:
    graph = graph_of(FakeView("eu", {"us": "10.0.0.2:7600", "ap": "10.0.0.3:7600"}), None, NOW)
    assert (graph.cluster, graph.discovery, graph.endpoint) == ("llmx", "etcd", "127.0.0.1:2379")
    assert {node.id: (node.reach, node.address) for node in graph.nodes} == {
        "eu": ("self", "10.0.0.1:7600"),
        "us": ("linked", "10.0.0.2:7600"),
        "ap": ("linked", "10.0.0.3:7600"),
    }
    own = [(edge.a, edge.b, edge.state, edge.round_trip) for edge in graph.edges]
    assert own == [("eu", "us", "open", 0.0015), ("ap", "eu", "open", 0.0015)]
    assert all(edge.own and edge.waiting == 0 for edge in graph.edges)


class Failing(FakeView):
    """A gateway whose links stand as a test wants."""

    condition = messages.LINK_CONDITION_DOWN
    queued = 0

    def links(self) -> Iterator[messages.ClusterLink]:
        for link in super().links():
            link.condition, link.queued, link.unconfirmed = self.condition, self.queued, 2
            link.ClearField("round_trip")
            yield link


@pytest.mark.parametrize(
    ("condition", "state"),
    [(messages.LINK_CONDITION_DOWN, "down"), (messages.LINK_CONDITION_RELAYED, "relayed")],
)
def test_a_link_that_is_not_open_says_so_and_what_waits(condition: int, state: str) -> None:
    view = Failing("eu", {"us": "10.0.0.2:7600"})
    view.condition, view.queued = condition, 5  # type: ignore[assignment]  # the stubs know the enum only
    (edge,) = graph_of(view, None, NOW).edges
    assert edge == Edge("eu", "us", state, own=True, round_trip=None, waiting=7, since=0.0)


def test_links_between_others_are_as_they_say() -> None:
    views = {"ap": said("eu", "us"), "us": said("eu", "ap"), "sa": said("eu")}
    assert links_of_others(views, "ap", "us", "sa") == [
        ("ap", "sa", "down"),
        ("ap", "us", "open"),
        ("sa", "us", "down"),
    ]


def test_one_end_that_says_so_is_enough() -> None:
    assert links_of_others({"ap": said("us")}, "ap", "us") == [("ap", "us", "open")]


def test_nothing_is_told_of_those_who_were_not_heard_lately() -> None:
    old = said("us", ago=HEARD_SECONDS + 1)
    assert links_of_others({"ap": old, "us": said("eu")}, "ap", "us") == []
    assert links_of_others({}, "ap", "us") == []


def test_more_members_than_can_be_shown_are_counted() -> None:
    others = {f"g{number:03}": "10.0.0.2:7600" for number in range(MEMBERS_MAX + 10)}
    graph = graph_of(FakeView("eu", others), Talking({}), NOW)
    assert len(graph.nodes) == MEMBERS_MAX and graph.more == 11
    assert graph.nodes[0].reach == "self", "the own one is always shown"
    assert len(graph.edges) == MEMBERS_MAX - 1, "no link leads to one that is not shown"
