"""`llmx demo`: a gateway, an initiator and contractors in processes of their own, negotiating.

The processes are the commands that everybody can type: `llmx gateway`, `llmx agent` and
`llmx call`; tokens, schemas, policies and acknowledgements are in force as they are anywhere.
The exit code is 0 only if every round came to an outcome and every bidder heard of it once.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.commands.access import development_tokens
from gateway.commands.demo_view import JsonView, LiveView, PlainView, View
from gateway.commands.family import Family, family
from gateway.commands.interrupts import run
from gateway.commands.rounds import Board, Round
from gateway.commands.scenario import CONTRACTORS_MAX, Scenario, load, policy_text
from gateway.commands.trouble import FAILED, OK, CommandError, complain

READY_SECONDS = 60.0
PATIENCE_SECONDS = 15.0
GATEWAY = "gateway"
INITIATOR = "initiator"
FINAL_REQUIRED = "required"


def demo(
    scenario: str | None, contractors: int | None, policies: Sequence[str], *, as_json: bool
) -> int:
    """Play a scenario; returns the exit code."""
    try:
        if contractors is not None and not 1 <= contractors <= CONTRACTORS_MAX:
            raise CommandError(f"--contractors is 1 to {CONTRACTORS_MAX}")
        loaded = load(scenario, policies)
        return run(_in_own_folder(loaded, contractors, _view(as_json=as_json)))
    except CommandError as error:
        return complain("demo", error)


def _view(*, as_json: bool) -> View:
    if as_json:
        return JsonView()
    return LiveView() if sys.stdout.isatty() else PlainView()


async def _in_own_folder(scenario: Scenario, contractors: int | None, view: View) -> int:
    with tempfile.TemporaryDirectory(prefix="llmx-demo-", ignore_cleanup_errors=True) as name:
        try:
            async with family(Path(name)) as members:
                return await Play(scenario, contractors, view, members).run()
        finally:
            view.leave()


class Play:
    """One run of a scenario."""

    def __init__(
        self, scenario: Scenario, contractors: int | None, view: View, members: Family
    ) -> None:
        """Prepare a run."""
        self._scenario = scenario
        self._crowd = scenario.crowd(contractors)
        self._view = view
        self._members = members
        self._board = Board()
        self._ready: set[str] = set()
        self._announced: Mapping[str, Any] = {}

    async def run(self) -> int:
        """Play all rounds and return the exit code. Raises CommandError."""
        began = time.monotonic()
        self._view.begin(self._scenario, len(self._crowd))
        await self._start()
        self._view.started(self._members.pids, self._announced, time.monotonic() - began)
        rounds = [await self._round(number) for number in range(len(self._scenario.policies))]
        faults = [fault for played in rounds for fault in played.faults()]
        self._view.end(rounds, self._board.notes, time.monotonic() - began)
        return FAILED if faults else OK

    async def _start(self) -> None:
        """Start everybody, and return when all can hear calls."""
        members, scenario = self._members, self._scenario
        await members.start(
            *(GATEWAY, "gateway", "--id", "demo", "--port", "0", "--metrics-port", "none"),
            *("--announce", "json", "--until-eof", "--log-level", "warning"),
            *("--set", "server.shutdown_grace=1"),
            turn=1,
        )
        await self._until(lambda: bool(self._announced), READY_SECONDS, "the gateway")
        address = f"{self._announced['host']}:{self._announced['port']}"
        for plan in self._crowd:
            file = members.folder / f"{plan.agent.removeprefix('agent://')}.json"
            file.write_text(json.dumps(plan.described()), "utf-8")
            await members.start(
                plan.agent,
                *("agent", "--file", str(file), "--gateway", address, "--json", "--until-eof"),
                token=self._token(plan.agent),
            )
        call = members.folder / "call.json"
        call.write_text(json.dumps(scenario.call), "utf-8")
        policies = [f"--policy={policy_text(policy)}" for policy in scenario.policies]
        await members.start(
            *(INITIATOR, "call", str(call), "--to", f"topic://{scenario.topic}"),
            *("--as", scenario.initiator, "--gateway", address, *policies, "--json", "--step"),
            token=self._token(scenario.initiator),
        )
        members.may_end(INITIATOR)  # others may still hear how the last round went
        everybody = {plan.agent for plan in self._crowd} | {scenario.initiator}
        await self._until(lambda: self._ready >= everybody, READY_SECONDS, "an agent")

    def _token(self, agent: str) -> str:
        """Return a token that the gateway of this demo takes."""
        return development_tokens(self._members.state, agent)()

    async def _round(self, number: int) -> Round:
        """Play one round until everybody has heard how it ended."""
        acceptance = self._scenario.acceptances[number]
        board = self._board
        board.begin(acceptance.label, everybody_hears=acceptance.final == FINAL_REQUIRED)
        self._view.round_began(number + 1, len(self._scenario.policies), acceptance.label)
        self._members.nudge(INITIATOR)
        patience = self._scenario.reply_within + PATIENCE_SECONDS
        try:
            await self._until(
                lambda: board.current is not None and board.current.is_settled,
                patience,
                "the end of the round",
            )
        except CommandError:
            if board.current is None or board.current.outcome is None:
                raise
            # Somebody did not hear what was due: the round says who, and the exit code.
        assert board.current is not None, "somebody spoke of the round"
        self._view.round_ended(board.current)
        return board.current

    async def _until(self, is_reached: Callable[[], bool], seconds: float, awaited: str) -> None:
        """Hear events until something is reached. Raises CommandError."""
        give_up_at = time.monotonic() + seconds
        while not is_reached():
            left = give_up_at - time.monotonic()
            self._hear(await self._members.event(max(left, 0.0), awaited))

    def _hear(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "announced":
                self._announced = event
            case "ready":
                self._ready.add(str(event["agent"]))
                self._view.ready(len(self._ready), len(self._crowd) + 1)
            case "ended":
                pass
            case _:
                round_ = self._board.hear(event)
                if round_ is not None:
                    self._view.heard(round_, event)
