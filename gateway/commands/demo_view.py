"""How the demo is shown: as a live table on a terminal, as lines elsewhere, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.commands.demo_tables import (
    ending,
    note_lines,
    round_table,
    summary_table,
)
from gateway.commands.lines import clean, compact, figure, say
from gateway.commands.rounds import Round
from gateway.commands.scenario import Scenario
from gateway.commands.screen import Screen

PLAIN_WIDTH = 110
INDENT = (0, 0, 0, 2)


class View:
    """What the demo tells as it goes on. Everything may be left out."""

    def begin(self, scenario: Scenario, contractors: int) -> None:
        """Say what will be played."""

    def ready(self, count: int, of: int) -> None:
        """Say how many agents can hear calls."""

    def started(self, pids: Mapping[str, int], gateway: Mapping[str, Any], seconds: float) -> None:
        """Say that everybody is there."""

    def round_began(self, number: int, of: int, policy: str) -> None:
        """Say that a round begins."""

    def heard(self, round_: Round, event: Mapping[str, Any]) -> None:
        """Show what somebody told of a round."""

    def round_ended(self, round_: Round) -> None:
        """Show how a round ended."""

    def end(self, rounds: Sequence[Round], notes: Sequence[str], seconds: float) -> None:
        """Show the summary."""

    def leave(self) -> None:
        """Put away whatever is shown, at the end or in the middle."""


class LiveView(View):
    """One table that changes while its round runs, and stays when it is over."""

    def __init__(self, console: Console | None = None) -> None:
        """Show on `console`, standard output when None."""
        self._screen = Screen(console)
        self._title = ""

    def begin(self, scenario: Scenario, contractors: int) -> None:
        """Print what will be played."""
        self._screen.print(Text(scenario.title, style="bold"))
        if scenario.about:
            self._screen.print(Text(scenario.about, style="dim"))
        self._screen.show(Text("starting a gateway …", style="dim"))

    def ready(self, count: int, of: int) -> None:
        """Show how many agents can hear calls."""
        self._screen.show(Text(f"{count} of {of} agents are connected …", style="dim"))

    def started(self, pids: Mapping[str, int], gateway: Mapping[str, Any], seconds: float) -> None:
        """Print that everybody is there."""
        self.leave()
        self._screen.print(Text(_started(pids, gateway, seconds), style="dim"))

    def round_began(self, number: int, of: int, policy: str) -> None:
        """Begin a table."""
        self._title = f"round {number} of {of}, policy {policy}"
        self._screen.print()
        self._screen.show(round_table(Round(), self._title))

    def heard(self, round_: Round, event: Mapping[str, Any]) -> None:
        """Change the table."""
        if self._screen.is_changing and event["event"] != "call":
            self._screen.show(round_table(round_, self._title))

    def round_ended(self, round_: Round) -> None:
        """Print the table for good, with how the round ended."""
        self.leave()
        self._screen.print(round_table(round_, self._title))
        for line in note_lines(round_):
            self._screen.print(Padding(Text(line, style="yellow"), INDENT))
        self._screen.print(Padding(Text(ending(round_)), INDENT))

    def end(self, rounds: Sequence[Round], notes: Sequence[str], seconds: float) -> None:
        """Print the summary."""
        self._screen.print()
        self._screen.print(summary_table(rounds))
        for note in notes:
            self._screen.print(Padding(Text(f"note: {note}", style="yellow"), INDENT))
        faults = _faults(rounds)
        self._screen.print(Text(verdict(rounds, seconds), style="red" if faults else "green"))

    def leave(self) -> None:
        """Take the changing table away."""
        self._screen.leave()


class PlainView(View):
    """A line for everything, for pipes and logs."""

    def __init__(self) -> None:
        """Start with nothing held back."""
        self._verdicts: list[str] = []
        self._is_decided = False

    def begin(self, scenario: Scenario, contractors: int) -> None:
        """Print what will be played."""
        say(scenario.title)
        if scenario.about:
            say(scenario.about)

    def started(self, pids: Mapping[str, int], gateway: Mapping[str, Any], seconds: float) -> None:
        """Print that everybody is there."""
        say(_started(pids, gateway, seconds))

    def round_began(self, number: int, of: int, policy: str) -> None:
        """Print that a round begins."""
        self._is_decided = False
        say("")
        say(f"round {number} of {of}, policy {policy}")

    def heard(self, round_: Round, event: Mapping[str, Any]) -> None:
        """Print what happened. Verdicts wait for the outcome: contractors speak through pipes
        of their own and may be faster than the initiator.
        """
        agent = clean(str(event.get("agent", "")))
        match event["event"]:
            case "offer" if "offer_id" in event:
                bid = round_.bid(str(event["agent"]))
                took = f" (exchange {bid.exchange_ms:.1f} ms)" if bid.exchange_ms else ""
                words = f"{figure(event['value'])} {compact(bid.beside, 48)}"
                say(f"  offer    {agent:<20} {words:<52} +{event['ms']:.0f} ms{took}")
            case "declined":
                say(f"  declined {agent:<20} {clean(str(event.get('reason', '')))}")
            case "refused" if "negotiation" in event:
                say(f"  refused  {agent:<20} {_why_refused(event)}")
            case "outcome":
                say(f"  outcome  {ending(round_)}")
                self._is_decided = True
                self._tell_verdicts()
            case "verdict":
                word = "accept" if event.get("won") else "reject"
                reason = f"at {figure(event.get('price'))}" if event.get("won") else event["reason"]
                self._verdicts.append(f"  {word}   {agent:<20} {clean(str(reason))}")
                self._tell_verdicts()

    def _tell_verdicts(self) -> None:
        if self._is_decided:
            for line in self._verdicts:
                say(line)
            self._verdicts.clear()

    def end(self, rounds: Sequence[Round], notes: Sequence[str], seconds: float) -> None:
        """Print the summary."""
        say("")
        console = Console(width=PLAIN_WIDTH, color_system=None, highlight=False, markup=False)
        with console.capture() as captured:
            console.print(summary_table(rounds))
        for line in captured.get().rstrip().splitlines():
            say(line.rstrip())
        for note in notes:
            say(f"note: {note}")
        say(verdict(rounds, seconds))


class JsonView(View):
    """An object for every event, and one for the summary."""

    def started(self, pids: Mapping[str, int], gateway: Mapping[str, Any], seconds: float) -> None:
        """Print who is there."""
        address = f"{gateway.get('host')}:{gateway.get('port')}"
        self._say(event="started", gateway=address, pids=pids, seconds=round(seconds, 3))

    def heard(self, round_: Round, event: Mapping[str, Any]) -> None:
        """Print the event as it came."""
        self._say(**event)

    def end(self, rounds: Sequence[Round], notes: Sequence[str], seconds: float) -> None:
        """Print the summary."""
        self._say(
            event="summary",
            rounds=[round_.summary() for round_ in rounds],
            faults=_faults(rounds),
            notes=notes,
            seconds=round(seconds, 3),
        )

    def _say(self, **facts: Any) -> None:
        say(json.dumps(facts, default=str))


def verdict(rounds: Sequence[Round], seconds: float) -> str:
    """Return the last line: whether all was as it should be, and how long it took."""
    faults = _faults(rounds)
    if faults:
        return f"not as it should be, after {seconds:.1f} s: {'; '.join(faults)}"
    bids = [bid for round_ in rounds for bid in round_.bids.values() if bid.is_bidding]
    judged = sum(len(bid.verdicts) for bid in bids)
    return (
        f"{len(rounds)} of {len(rounds)} rounds have one outcome, {judged} of {len(bids)} bids "
        f"heard accept or reject, once; {seconds:.1f} s in all"
    )


def _faults(rounds: Sequence[Round]) -> list[str]:
    return [
        f"round {number}: {fault}"
        for number, round_ in enumerate(rounds, 1)
        for fault in round_.faults()
    ]


def _started(pids: Mapping[str, int], gateway: Mapping[str, Any], seconds: float) -> str:
    where = f"{gateway.get('host')}:{gateway.get('port')}"
    numbers = ", ".join(str(pid) for pid in pids.values())
    return (
        f"a gateway on {where}, an initiator and {len(pids) - 2} contractors in {len(pids)} "
        f"processes ({numbers}), ready after {seconds:.1f} s"
    )


def _why_refused(event: Mapping[str, Any]) -> str:
    at = f" at {event['pointer']}" if event.get("pointer") else ""
    words = f"{event['code']}{at}: {event.get('reason', '')} {event.get('remedy', '')}"
    return clean(words.strip())
