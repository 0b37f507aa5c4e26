"""How the demo of a cluster is shown: as a live table on a terminal, as lines, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.commands.cluster_board import Call, ClusterBoard
from gateway.commands.cluster_tables import (
    ending,
    name_of,
    round_table,
    short,
    summary_table,
    ways_line,
)
from gateway.commands.lines import clean, figure, say
from gateway.commands.local_cluster import LocalEtcd, LocalGateway
from gateway.commands.screen import Screen

WIDTH_MAX = 110
INDENT = (0, 0, 0, 2)


class ClusterView:
    """What the demo tells as it goes on. Everything may be left out."""

    def begin(self, title: str, about: str) -> None:
        """Say what will be played."""

    def step(self, text: str) -> None:
        """Say what is waited for."""

    def started(
        self, etcd: LocalEtcd, gateways: Sequence[LocalGateway], agents: int, seconds: float
    ) -> None:
        """Say that everybody is there."""

    def round_began(self, number: int, of: int, board: ClusterBoard, calls: Sequence[Call]) -> None:
        """Say that a round begins."""

    def changed(self, event: Mapping[str, Any]) -> None:
        """Show what somebody told, or that somebody is elsewhere."""

    def news(self, event: str, text: str, **facts: Any) -> None:
        """Say what was done to the cluster, and what became of that."""

    def round_ended(self, calls: Sequence[Call]) -> None:
        """Show how a round ended."""

    def end(self, board: ClusterBoard, faults: Sequence[str], seconds: float) -> None:
        """Show the summary."""

    def leave(self) -> None:
        """Put away whatever is shown, at the end or in the middle."""


class LiveClusterView(ClusterView):
    """One table that changes while its round runs, and stays when it is over."""

    def __init__(self, contractors: Sequence[str], console: Console | None = None) -> None:
        """Show on `console`, standard output when None."""
        self._contractors = contractors
        self._screen = Screen(console, WIDTH_MAX)
        self._table: tuple[ClusterBoard, Sequence[Call], str] | None = None

    def begin(self, title: str, about: str) -> None:
        """Print what will be played."""
        self._screen.print(Text(title, style="bold"))
        self._screen.print(Text(about, style="dim"))

    def step(self, text: str) -> None:
        """Show what is waited for."""
        self._screen.show(Text(f"{text} …", style="dim"))

    def started(
        self, etcd: LocalEtcd, gateways: Sequence[LocalGateway], agents: int, seconds: float
    ) -> None:
        """Print that everybody is there."""
        self.leave()
        for line in _started(etcd, gateways, agents, seconds):
            self._screen.print(Text(line, style="dim"))

    def round_began(self, number: int, of: int, board: ClusterBoard, calls: Sequence[Call]) -> None:
        """Begin a table."""
        self._screen.print()
        self._table = board, calls, f"round {number} of {of}"
        self._draw()

    def changed(self, event: Mapping[str, Any]) -> None:
        """Change the table."""
        if self._table is not None:
            self._draw()

    def news(self, event: str, text: str, **facts: Any) -> None:
        """Print it above the table."""
        self._screen.print(Text(text, style="bold yellow"))

    def round_ended(self, calls: Sequence[Call]) -> None:
        """Print the table for good."""
        assert self._table is not None, "a round that ends has begun"
        self.leave()
        self._screen.print(round_table(*self._given(self._table)))
        self._table = None
        for call in calls:
            self._screen.print(Padding(Text(ending(call)), INDENT))

    def end(self, board: ClusterBoard, faults: Sequence[str], seconds: float) -> None:
        """Print the summary."""
        self._screen.print()
        self._screen.print(summary_table(board))
        self._screen.print(Text(ways_line(board)))
        style = "red" if faults else "green"
        self._screen.print(Text(verdict(board, faults, seconds), style=style))

    def leave(self) -> None:
        """Take the changing table away."""
        self._screen.leave()

    def _draw(self) -> None:
        assert self._table is not None, "a round is on"
        self._screen.show(round_table(*self._given(self._table)))

    def _given(
        self, table: tuple[ClusterBoard, Sequence[Call], str]
    ) -> tuple[ClusterBoard, Sequence[Call], Sequence[str], str]:
        board, calls, title = table
        return board, calls, self._contractors, title


class PlainClusterView(ClusterView):
    """A line for everything, for pipes and logs."""

    def __init__(self) -> None:
        """Start without a board."""
        self._board: ClusterBoard | None = None

    def begin(self, title: str, about: str) -> None:
        """Print what will be played."""
        say(title)
        say(about)

    def started(
        self, etcd: LocalEtcd, gateways: Sequence[LocalGateway], agents: int, seconds: float
    ) -> None:
        """Print that everybody is there."""
        for line in _started(etcd, gateways, agents, seconds):
            say(line)

    def round_began(self, number: int, of: int, board: ClusterBoard, calls: Sequence[Call]) -> None:
        """Print that a round begins."""
        self._board = board
        say("")
        say(f"round {number} of {of}")

    def changed(self, event: Mapping[str, Any]) -> None:
        """Print offers as their initiators hear them, and how calls end."""
        board = self._board
        negotiation = event.get("negotiation")
        call = next(
            (
                call
                for call in (board.calls if board else ())
                if call.round.negotiation_id == negotiation
            ),
            None,
        )
        match event["event"]:
            case "opened" if call is not None:
                again = "" if call.opened == 1 else " (again)"
                say(
                    f"  call     {name_of(call.initiator)}: {len(event['eligible'])} may answer, "
                    f"decided by {call.decider.now}{again}"
                )
            case "offer" if call is not None and "offer_id" in event:
                agent = str(event["agent"])
                way = short(call.ways.get(agent, ("", "", "")))
                who = f"{name_of(agent)} to {name_of(call.initiator)}"
                say(f"  offer    {who:<24} {figure(event['value']):<8} by {way}")
            case "outcome" if call is not None:
                say(f"  outcome  {ending(call)}")
            case "moved":
                say(f"  moved    {name_of(str(event['agent']))} is at {event['gateway']} now")

    def news(self, event: str, text: str, **facts: Any) -> None:
        """Print it."""
        say(f"  {text}")

    def end(self, board: ClusterBoard, faults: Sequence[str], seconds: float) -> None:
        """Print the summary."""
        say("")
        console = Console(width=WIDTH_MAX, color_system=None, highlight=False, markup=False)
        with console.capture() as captured:
            console.print(summary_table(board))
        for line in captured.get().rstrip().splitlines():
            say(line.rstrip())
        say(ways_line(board))
        say(verdict(board, faults, seconds))


class JsonClusterView(ClusterView):
    """An object for every event, and one for the summary."""

    def started(
        self, etcd: LocalEtcd, gateways: Sequence[LocalGateway], agents: int, seconds: float
    ) -> None:
        """Print who is there."""
        told = [{name: getattr(one, name) for name in one.__dataclass_fields__} for one in gateways]
        self._say(
            event="started",
            etcd={"endpoint": etcd.endpoint, "version": etcd.version, "pid": etcd.pid},
            gateways=told,
            agents=agents,
            seconds=round(seconds, 3),
        )

    def round_began(self, number: int, of: int, board: ClusterBoard, calls: Sequence[Call]) -> None:
        """Print that a round begins."""
        self._say(event="round", number=number, of=of)

    def changed(self, event: Mapping[str, Any]) -> None:
        """Print the event as it came."""
        self._say(**event)

    def news(self, event: str, text: str, **facts: Any) -> None:
        """Print it."""
        self._say(event=event, text=text, **facts)

    def end(self, board: ClusterBoard, faults: Sequence[str], seconds: float) -> None:
        """Print the summary."""
        calls = [
            {
                "round": call.number,
                "initiator": call.initiator,
                "at": call.at,
                "decided_by": call.decider.trail,
                "opened": call.opened,
                **call.round.summary(),
            }
            for call in board.calls
        ]
        ways = [{"way": list(way), "offers": count} for way, count in board.ways().items()]
        self._say(
            event="summary", calls=calls, ways=ways, faults=list(faults), seconds=round(seconds, 3)
        )

    def _say(self, **facts: Any) -> None:
        say(json.dumps(facts, default=str))


def verdict(board: ClusterBoard, faults: Sequence[str], seconds: float) -> str:
    """Return the last line: whether all was as it should be, and how long it took."""
    if faults:
        return f"not as it should be, after {seconds:.1f} s: {'; '.join(map(clean, faults))}"
    bids = [bid for call in board.calls for bid in call.round.bids.values() if bid.is_bidding]
    judged = sum(len(bid.verdicts) for bid in bids)
    return (
        f"{len(board.calls)} of {len(board.calls)} calls have one outcome, {judged} of {len(bids)} "
        f"bids heard accept or reject, once; {seconds:.1f} s in all"
    )


def _started(
    etcd: LocalEtcd, gateways: Sequence[LocalGateway], agents: int, seconds: float
) -> list[str]:
    told = ", ".join(f"{one.gateway_id} {one.address} ({one.pid})" for one in gateways)
    return [
        f"etcd {etcd.version} on {etcd.endpoint} ({etcd.pid}); gateways {told}",
        f"{agents} agents in processes of their own; all have met after {seconds:.1f} s",
    ]
