"""The tables and sentences of `llmx ctl`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from gateway.commands.lines import clean, figure
from gateway.commands.proto_json import word
from llmx.v1.cluster_pb2 import (
    Cluster,
    ClusterLink,
    ClusterMember,
    DiscoveryState,
    Drain,
    DrainState,
    LocatedAgent,
    NegotiationDetail,
    NegotiationParty,
    NegotiationSummary,
)

NONE = "–"


def cluster_line(cluster: Cluster) -> str:
    """Return which cluster it is and how its gateways find each other, in a sentence."""
    here, since = clean(cluster.gateway_id), _ago(cluster, "since")
    match cluster.discovery:
        case DiscoveryState.DISCOVERY_STATE_ALONE:
            return f"gateway {here}"
        case DiscoveryState.DISCOVERY_STATE_STATIC:
            how = "its members stand in the settings"
        case DiscoveryState.DISCOVERY_STATE_REACHED:
            how = f"etcd at {clean(cluster.endpoint)} answers, since {since}"
        case DiscoveryState.DISCOVERY_STATE_LOST:
            how = f"etcd at {clean(cluster.endpoint)} has not answered for {since}; all go on"
        case _:
            how = "how it finds its members is not known here"
    return f"cluster {clean(cluster.name)} as gateway {here} sees it; {how}"


def members_table(members: Iterable[ClusterMember]) -> Table:
    """Return the gateways, a row for each."""
    table = _table("gateway", "region", "agents connect to", "gateways connect to", "reach")
    _add_figures(table, "load", "up", "epoch")
    table.add_column("version", no_wrap=True)
    for member in members:
        _add_row(
            table,
            member.gateway_id,
            member.region,
            member.agents_address,
            member.peer_address or NONE,
            _word(member, "reach") + (", leaving" if member.leaving else ""),
            figure(member.load) if member.HasField("load") else NONE,
            _ago(member, "started_at"),
            str(member.epoch),
            member.version or NONE,
        )
    return table


def links_table(links: Iterable[ClusterLink]) -> Table:
    """Return links, a row for each end of each."""
    table = _table("from", "to", "region", "state")
    _add_figures(table, "since", "round trip ms", "queued", "unconfirmed")
    _add_figures(table, "sent", "received", "resumed")
    for link in links:
        relay = f" by {link.relay}" if link.relay else ""
        trip = link.round_trip.ToNanoseconds() / 1e6
        _add_row(
            table,
            link.gateway_id,
            link.peer_id,
            link.peer_region,
            _word(link, "condition") + relay,
            _ago(link, "since"),
            f"{trip:.2f}" if link.HasField("round_trip") else NONE,
            *(str(getattr(link, name)) for name in COUNTED),
        )
    return table


COUNTED = ("queued", "unconfirmed", "sent", "received", "resumed")


def agents_table(agents: Iterable[LocatedAgent]) -> Table:
    """Return agents with their homes."""
    table = _table("agent", "gateway", "region", "topics", "capabilities", "state")
    for located in agents:
        agent = located.agent
        _add_row(
            table,
            agent.agent_id,
            located.gateway_id,
            located.region,
            " ".join(sorted(agent.topics)) or NONE,
            " ".join(sorted(agent.capabilities)) or NONE,
            "connected" if agent.connected else "away",
        )
    return table


def negotiations_table(negotiations: Iterable[NegotiationSummary]) -> Table:
    """Return negotiations, a row for each."""
    table = _table("negotiation", "decided by", "initiator", "state", "protocol", "policy")
    _add_figures(table, "answered", "offers", "age", "due in")
    for summary in negotiations:
        _add_row(
            table,
            summary.negotiation_id,
            summary.gateway_id,
            summary.initiator,
            _word(summary, "state"),
            _protocol(summary),
            summary.policy,
            f"{summary.answered} of {summary.eligible}",
            str(summary.offers),
            _ago(summary, "opened_at"),
            _ahead(summary, "due_at"),
        )
    return table


def _protocol(summary: NegotiationSummary) -> str:
    """Return the protocol, with the round if it is not the first."""
    return summary.protocol + (f", round {summary.round}" if summary.round > 1 else "")


def detail_lines(detail: NegotiationDetail) -> list[str]:
    """Return how a negotiation stands, in sentences."""
    summary = detail.summary
    kind = "durable, " if summary.durable else ""
    called = f"called by {clean(summary.initiator)} {_ago(summary, 'opened_at')} ago"
    decided = f"decided by gateway {clean(summary.gateway_id)} under {clean(summary.policy)}"
    counts = f"{summary.answered} of {summary.eligible} answered, {summary.offers} offers"
    stands = f"{_word(summary, 'state')}, by {clean(_protocol(summary) or NONE)}"
    lines = [
        f"negotiation {clean(summary.negotiation_id)}: {stands}",
        f"{called}, {decided} ({kind}{counts})",
    ]
    if detail.closed_by:
        why = f", {clean(detail.reason)}" if detail.reason else ""
        lines.append(f"closed by {clean(detail.closed_by)}{why}")
    else:
        lines.append(f"closes in {_ahead(summary, 'due_at')} at the latest; offers are sealed")
    return lines


def parties_table(parties: Iterable[NegotiationParty]) -> Table:
    """Return who may answer, a row for each."""
    table = _table("agent", "gateway", "state")
    _add_figures(table, "offer")
    for party in parties:
        value = figure(party.value) if party.HasField("value") else NONE
        state = party.word.replace("_", " ") or _word(party, "state")
        _add_row(table, party.agent_id, party.gateway_id or NONE, state, value)
    return table


def events_table(detail: NegotiationDetail) -> Table:
    """Return what happened, a row for each event, with the time since the opening."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    _add_figures(table, "after s")
    for name in ("event", "agent"):
        table.add_column(name, no_wrap=True)
    opened = detail.summary.opened_at.ToNanoseconds()
    for event in detail.events:
        after = (event.at.ToNanoseconds() - opened) / 1e9
        _add_row(table, f"{after:.3f}", event.kind.replace("_", " "), event.agent_id or NONE)
    return table


def drain_line(drain: Drain) -> str:
    """Return how far a drain is, in a sentence."""
    left = (
        f"{_count(drain.agents_moved, 'agent')} moved, {drain.agents_left} left, "
        f"{_count(drain.negotiations_left, 'negotiation')} left"
    )
    here = f"gateway {clean(drain.gateway_id)}"
    match drain.state:
        case DrainState.DRAIN_STATE_MOVING:
            rate = f"{figure(drain.agents_per_second)}/s, {_ahead(drain, 'ends_at')} at most"
            return f"{here} drains: {left} ({rate})"
        case DrainState.DRAIN_STATE_DRAINED:
            return f"{here} is drained: {left}; it can be stopped"
        case DrainState.DRAIN_STATE_ABORTED:
            return f"{here} takes agents again: {left}"
        case DrainState.DRAIN_STATE_EXPIRED:
            return f"{here} is not drained in time: {left}"
        case _:
            return f"{here}: {left}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _add_figures(table: Table, *columns: str) -> None:
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right")


def _add_row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(clean(cell)) for cell in cells))


def _word(message: Any, field: str) -> str:
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    return word(kind, getattr(message, field)) or NONE


def _ago(message: Any, field: str) -> str:
    return _span(time.time() - _seconds(message, field)) if message.HasField(field) else NONE


def _ahead(message: Any, field: str) -> str:
    return _span(_seconds(message, field) - time.time()) if message.HasField(field) else NONE


def _seconds(message: Any, field: str) -> float:
    at: Timestamp = getattr(message, field)
    return at.ToNanoseconds() / 1e9


def _span(seconds: float) -> str:
    """Return a time as people say it: 0.4 s, 12 s, 3 min, 5 h, 2 d."""
    if seconds < 0.05:
        return "0 s"
    for least, size, unit in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
