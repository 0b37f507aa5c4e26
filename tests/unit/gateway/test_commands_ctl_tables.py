"""The tables and sentences of `llmx ctl`."""

from __future__ import annotations

import time

import pytest
from rich.console import Console

from gateway.commands.ctl_tables import (
    agents_table,
    cluster_line,
    detail_lines,
    drain_line,
    events_table,
    links_table,
    members_table,
    negotiations_table,
    parties_table,
)
from llmx.v1.cluster_pb2 import (
    Cluster,
    ClusterLink,
    Drain,
    DrainState,
    LinkCondition,
    NegotiationEvent,
    NegotiationParty,
    PartyState,
)
from tests.support.admin_view import FakeView, detail, located


def rows_of(table: object) -> list[list[str]]:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return [line.split() for line in captured.get().splitlines()]


@pytest.mark.parametrize(
    ("discovery", "said"),
    [
        ("ALONE", "gateway eu"),
        ("STATIC", "its members stand in the settings"),
        ("REACHED", "etcd at e:1 answers"),
        ("LOST", "etcd at e:1 has not answered for 10 min; all go on"),
        ("UNSPECIFIED", "not known here"),
    ],
)
def test_a_cluster_is_told_with_how_its_gateways_find_each_other(discovery: str, said: str):
    told = Cluster(name="llmx", gateway_id="eu", endpoint="e:1")
    told.discovery = f"DISCOVERY_STATE_{discovery}"  # type: ignore[assignment]
    told.since.FromSeconds(int(time.time()) - 600)
    assert said in cluster_line(told)


def test_members_are_rows_with_how_they_are_reached():
    _, eu, us = rows_of(members_table(FakeView(others={"us": "10.0.0.2:7600"}).members()))
    assert eu[:5] == ["eu", "eu", "10.0.0.1:7600", "–", "self"]
    assert us[4:] == ["linked", "0.25", "5", "min", "7", "0.1.0"]


def test_a_member_that_is_being_emptied_says_so():
    members = list(FakeView(others={"us": "10.0.0.2:7600"}).members())
    members[1].leaving = True
    _, eu, us = rows_of(members_table(members))
    assert us[4:6] == ["linked,", "leaving"] and "leaving" not in eu


def test_a_link_that_is_relayed_says_by_whom():
    link = ClusterLink(gateway_id="eu", peer_id="us", peer_region="us", relay="ap", queued=3)
    link.condition = LinkCondition.LINK_CONDITION_RELAYED
    _, row = rows_of(links_table([link]))
    assert row[:6] == ["eu", "us", "us", "relayed", "by", "ap"]
    assert row[6:] == ["–", "–", "3", "0", "0", "0", "0"]


def test_agents_are_rows_with_their_homes():
    _, row = rows_of(agents_table([located("bob", "eu", "gpu", "cpu")]))
    assert row == ["agent://bob", "eu", "eu", "cpu", "gpu", "–", "connected"]


def test_what_strangers_call_themselves_moves_no_cursor():
    _, row = rows_of(agents_table([located("\x1b[2J", "eu")]))
    assert "\x1b" not in row[0]


def test_negotiations_are_rows_with_who_decides():
    told = detail("eu.0.1", "us").summary
    told.due_at.FromSeconds(int(time.time()) + 7_000)
    _, row = rows_of(negotiations_table([told]))
    assert row[:5] == ["eu.0.1", "us", "agent://alice", "open", "flow/high@1"]
    assert row[5:9] == ["1", "of", "1", "0"] and row[-2:] == ["117", "min"]


def test_an_open_negotiation_says_that_offers_are_sealed():
    told = detail("eu.0.1", "us")
    assert "offers are sealed" in detail_lines(told)[-1]
    told.closed_by, told.reason = "quorum", "awarded"
    assert detail_lines(told)[-1] == "closed by quorum, awarded"
    told.summary.durable = True
    assert "(durable, 1 of 1 answered" in detail_lines(told)[1]


def test_parties_show_what_they_offer_only_where_it_is_told():
    won = NegotiationParty(agent_id="agent://bob", state=PartyState.PARTY_STATE_WON, value=0)
    called = NegotiationParty(agent_id="agent://eve", state=PartyState.PARTY_STATE_CALLED)
    _, bob, eve = rows_of(parties_table([won, called]))
    assert bob == ["agent://bob", "–", "won", "0"]
    assert eve == ["agent://eve", "–", "called", "–"]


def test_events_are_told_by_the_time_since_the_opening():
    told = detail("eu.0.1", "us")
    event = NegotiationEvent(kind="offer_received", agent_id="agent://bob")
    event.at.FromNanoseconds(told.summary.opened_at.ToNanoseconds() + 1_500_000_000)
    told.events.append(event)
    assert rows_of(events_table(told))[1] == ["1.500", "offer", "received", "agent://bob"]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (DrainState.DRAIN_STATE_MOVING, "gateway eu drains: 1 agent moved, 2 left"),
        (DrainState.DRAIN_STATE_DRAINED, "it can be stopped"),
        (DrainState.DRAIN_STATE_ABORTED, "takes agents again"),
        (DrainState.DRAIN_STATE_EXPIRED, "is not drained in time"),
        (DrainState.DRAIN_STATE_UNSPECIFIED, "gateway eu: 1 agent moved"),
    ],
)
def test_a_drain_is_a_sentence(state: DrainState, said: str):
    told = Drain(gateway_id="eu", state=state, agents_moved=1, agents_left=2, negotiations_left=3)
    assert said in drain_line(told) and "3 negotiations left" in drain_line(told)
