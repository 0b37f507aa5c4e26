"""The cluster as a graph: its members, and the links between all of them.

A gateway knows its own links itself, with round trips and queues. Of links between two others it
knows what both say in their heartbeats: whom they have a living stream with.

Bounds: `MEMBERS_MAX` members are shown, the own gateway first; links to others are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from typing import Protocol

import msgspec

from federation.peer_states import PeerView
from gateway.admin import AdminView
from llmx.v1 import cluster_pb2 as messages

MEMBERS_MAX = 48
HEARD_SECONDS = 5.0
"""What a gateway said longer ago counts no more."""

REACH = {
    messages.REACH_SELF: "self",
    messages.REACH_LINKED: "linked",
    messages.REACH_RELAYED: "relayed",
}
CONDITION = {
    messages.LINK_CONDITION_OPEN: "open",
    messages.LINK_CONDITION_RELAYED: "relayed",
}
DISCOVERY = {
    messages.DISCOVERY_STATE_ALONE: "alone",
    messages.DISCOVERY_STATE_STATIC: "static",
    messages.DISCOVERY_STATE_REACHED: "etcd",
    messages.DISCOVERY_STATE_LOST: "etcd_lost",
}


class Hears(Protocol):
    """What a cluster is asked beside its view."""

    def view_of(self, gateway_id: str) -> PeerView:
        """Return what a gateway has said of itself in its heartbeats."""


class Node(msgspec.Struct, frozen=True, gc=False):
    """One gateway."""

    id: str
    region: str
    address: str
    """Where agents connect."""
    version: str
    reach: str
    """From here: "self", "linked", "relayed" or "none"."""
    load: float | None
    """Sessions, as it last told; None of one that has not."""
    leaving: bool
    started_at: float | None


class Edge(msgspec.Struct, frozen=True, gc=False):
    """The link between two gateways; `a` sorts before `b`."""

    a: str
    b: str
    state: str
    """ "open", "relayed" or "down"."""
    own: bool
    """Is one end here? Then the rest is known."""
    round_trip: float | None = None
    """Seconds; None while it is not known."""
    waiting: int = 0
    """Messages that are not sent or not confirmed."""
    since: float | None = None


class Graph(msgspec.Struct, frozen=True, gc=False):
    """A cluster as one gateway sees it."""

    gateway: str
    cluster: str
    """Its name; empty for a gateway that stands alone."""
    discovery: str
    """ "alone", "static", "etcd" or "etcd_lost"."""
    endpoint: str
    """Of etcd."""
    nodes: list[Node]
    more: int
    """Members that are not shown."""
    edges: list[Edge]


def graph_of(view: AdminView, hears: Hears | None, now: float) -> Graph:
    """Return the cluster that an operator's view shows; `hears` is None outside of one."""
    told = view.cluster()
    everyone = list(view.members())
    shown = [_node(member) for member in islice(everyone, MEMBERS_MAX)]
    ids = {node.id for node in shown}
    edges = [_own_edge(link) for link in view.links() if link.peer_id in ids]
    if hears is not None:
        others = sorted(ids - {told.gateway_id})
        edges += _edges_of_others({other: hears.view_of(other) for other in others}, now)
    return Graph(
        gateway=told.gateway_id,
        cluster=told.name,
        discovery=DISCOVERY.get(told.discovery, "alone"),
        endpoint=told.endpoint,
        nodes=shown,
        more=len(everyone) - len(shown),
        edges=edges,
    )


def _node(member: messages.ClusterMember) -> Node:
    return Node(
        id=member.gateway_id,
        region=member.region,
        address=member.agents_address,
        version=member.version,
        reach=REACH.get(member.reach, "none"),
        load=member.load if member.HasField("load") else None,
        leaving=member.leaving,
        started_at=member.started_at.seconds or None,
    )


def _own_edge(link: messages.ClusterLink) -> Edge:
    first, second = sorted((link.gateway_id, link.peer_id))
    trip = link.round_trip.ToNanoseconds() / 1e9 if link.HasField("round_trip") else None
    return Edge(
        first,
        second,
        CONDITION.get(link.condition, "down"),
        own=True,
        round_trip=trip,
        waiting=link.queued + link.unconfirmed,
        since=link.since.ToNanoseconds() / 1e9,
    )


def _edges_of_others(views: Mapping[str, PeerView], now: float) -> Iterator[Edge]:
    """Yield the links between two others: down only when both were heard and neither has it."""
    fresh = {one for one, view in views.items() if now - view.heard_at <= HEARD_SECONDS}
    for a, b in combinations(views, 2):
        if (a in fresh and b in views[a].connected) or (b in fresh and a in views[b].connected):
            yield Edge(a, b, "open", own=False)
        elif a in fresh and b in fresh:
            yield Edge(a, b, "down", own=False)
