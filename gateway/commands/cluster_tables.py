"""The tables and sentences of the demo of a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from gateway.commands.cluster_board import Call, ClusterBoard
from gateway.commands.demo_tables import style_of, value_text, verdict_text
from gateway.commands.lines import clean, figure

CELL = 19


def name_of(agent: str) -> str:
    """Return an agent without the scheme of its address."""
    return clean(agent.removeprefix("agent://"), CELL)


def round_table(
    board: ClusterBoard, calls: Sequence[Call], contractors: Sequence[str], title: str
) -> Table:
    """Return a round as it stands: a row for each contractor, a column for each call."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("contractor\n", no_wrap=True, width=10)
    table.add_column("at\n", no_wrap=True, width=8)
    for call in calls:
        where = f"{name_of(call.initiator)} at {board.homes.get(call.initiator, '–')}"
        by = f"decided by {call.decider}" if call.opened else "has not called"
        table.add_column(f"{where}\n{by}", no_wrap=True, width=CELL + 5)
    for agent in contractors:
        row = [Text(name_of(agent)), Text(str(board.homes.get(agent, "–")))]
        for call in calls:
            bid = call.round.bids.get(agent)
            words = "" if bid is None else f"{value_text(bid):<7}{verdict_text(bid)}"
            row.append(Text(clean(words, CELL + 5), style="" if bid is None else style_of(bid)))
        table.add_row(*row)
    return table


def summary_table(board: ClusterBoard) -> Table:
    """Return all calls, a row for each."""
    table = Table(title="all calls", title_justify="left", title_style="bold", box=None)
    table.pad_edge = False
    for name in ("round", "initiator", "at", "decided by", "offers", "winner", "its gateway"):
        table.add_column(name, no_wrap=True)
    for name in ("price", "end s"):
        table.add_column(name, no_wrap=True, justify="right")
    for call in board.calls:
        facts = call.round.summary()
        winner = str(facts["winner"] or "")
        way = call.ways.get(winner)
        ended = facts["outcome_ms"]
        table.add_row(
            str(call.number),
            name_of(call.initiator),
            call.at or "–",
            str(call.decider),
            f"{facts['offers']} of {facts['eligible']}",
            Text(name_of(winner) if winner else clean(facts["reason"] or facts["state"], CELL)),
            way[0] if way else "–",
            figure(facts["price"]),
            "–" if ended is None else f"{ended / 1000:.2f}",
        )
    return table


def ways_line(board: ClusterBoard) -> str:
    """Return how many offers went through which gateways, in a sentence."""
    counted = board.ways()
    lengths = [0, 0, 0]
    for way, count in counted.items():
        lengths[(way[0] != way[1]) + (way[1] != way[2])] += count
    crossed = {way: count for way, count in counted.items() if len(set(way)) > 1}
    told = ", ".join(f"{short(way)} {count}" for way, count in sorted(crossed.items()))
    return (
        f"{sum(lengths)} offers were heard: {lengths[0]} within one gateway, {lengths[1]} over one "
        f"link, {lengths[2]} over two" + (f" ({told})" if told else "")
    )


def short(way: Sequence[str]) -> str:
    """Return a way without stops that do not move: ("eu", "us", "us") is eu→us."""
    stops = [stop for i, stop in enumerate(way) if not i or stop != way[i - 1]]
    return "→".join(clean(stop or "?", CELL) for stop in stops)


def ending(call: Call) -> str:
    """Return how a call ended, in a sentence."""
    facts = call.round.summary()
    who = f"{name_of(call.initiator)} at {call.at or '?'}, decided by {call.decider}"
    if call.round.outcome is None:
        return f"{who}: no outcome was heard"
    won = ", ".join(
        f"{name_of(str(winner['agent']))} wins at {figure(winner['price'])}"
        for winner in call.round.winners
    )
    again = f", opened {call.opened} times" if call.opened > 1 else ""
    return (
        f"{who}: {won or facts['state']}; {facts['offers']} of {facts['eligible']} offers, closed "
        f"by {facts['closed_by']}, after {facts['outcome_ms'] / 1000:.2f} s{again}"
    )
