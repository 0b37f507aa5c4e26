"""`llmx demo-cluster`: three regions that negotiate as one, and lose a gateway while they do.

The processes are what everybody can start: a real etcd, `llmx gateway`, `llmx agent` and
`llmx call`. The first round shows that everybody reaches everybody. In the second a gateway is
killed while the offers come in. The third is played by all agents on what is left. The exit code
is 0 only if every call came to one outcome and every bidder heard of it once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.commands.access import development_tokens
from gateway.commands.cluster_board import Call, ClusterBoard
from gateway.commands.cluster_view import (
    ClusterView,
    JsonClusterView,
    LiveClusterView,
    PlainClusterView,
)
from gateway.commands.family import Family, family
from gateway.commands.interrupts import run
from gateway.commands.local_cluster import AGENTS_LEAVE, LocalCluster, LocalGateway
from gateway.commands.scenario import Scenario, load, policy_text
from gateway.commands.trouble import FAILED, OK, CommandError, complain
from gateway.commands.whereabouts import Whereabouts

SCENARIO = "three-regions"
REGIONS = ("eu", "us", "ap")
CONTRACTORS = 12
KILLED_IN_ROUND = 2
OFFERS_BEFORE = 2
"""So many offers have been heard in each call when the gateway is killed."""
READY_SECONDS = 60.0
COME_BACK_SECONDS = 10.0
PATIENCE_SECONDS = 10.0
"""Past the time to reply, until the outcome."""
VERDICTS_SECONDS = 5.0
SETTINGS = {
    "log.level": "warning",
    "server.shutdown_grace": "1",
    "federation.lease_seconds": "3",
}


def demo_cluster(*, as_json: bool) -> int:
    """Play it; returns the exit code."""
    try:
        scenario = load(SCENARIO)
        contractors = [plan.agent for plan in scenario.crowd(CONTRACTORS)]
        return run(_in_own_folder(scenario, _view(contractors, as_json=as_json)))
    except CommandError as error:
        return complain("demo-cluster", error)


def _view(contractors: Sequence[str], *, as_json: bool) -> ClusterView:
    if as_json:
        return JsonClusterView()
    return LiveClusterView(contractors) if sys.stdout.isatty() else PlainClusterView()


async def _in_own_folder(scenario: Scenario, view: ClusterView) -> int:
    prefix = "llmx-demo-cluster-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        try:
            async with family(Path(name)) as members:
                return await ClusterPlay(scenario, view, members).run()
        finally:
            view.leave()


class ClusterPlay:
    """One run."""

    def __init__(self, scenario: Scenario, view: ClusterView, members: Family) -> None:
        """Prepare a run."""
        self._scenario = scenario
        self._view = view
        self._members = members
        self._cluster = LocalCluster(members, members.folder, keeps=False)
        self._crowd = scenario.crowd(CONTRACTORS)
        self._callers = {
            f"initiator-{region}": f"{scenario.initiator}-{region}" for region in REGIONS
        }
        self._board = ClusterBoard(self._callers)
        self._everybody = {plan.agent for plan in self._crowd} | set(self._callers.values())
        self._ready: set[str] = set()
        self._living = set(REGIONS)
        self._knows: dict[str, Mapping[str, str]] = {}
        """Whom each living gateway knows, with their homes."""
        self._faults: list[str] = []

    async def run(self) -> int:
        """Play all rounds and return the exit code. Raises CommandError."""
        began = time.monotonic()
        self._view.begin(self._scenario.title, self._scenario.about)
        self._view.step("starting etcd and three gateways")
        await self._cluster.start_etcd()
        await self._cluster.start_gateways([(name, name) for name in REGIONS], SETTINGS, self._hear)
        await self._start_agents()
        addresses = {name: one.address for name, one in self._cluster.gateways.items()}
        token = development_tokens(self._members.state, "agent://operator", ("operator",))
        looking = Whereabouts(addresses, token, self._members.post)
        async with asyncio.TaskGroup() as tasks:
            looks = tasks.create_task(looking.run())
            try:
                failure = await self._play(began)
            finally:
                looks.cancel()
        if failure is not None:
            raise failure
        faults = [*self._faults, *self._board.faults()]
        self._view.end(self._board, faults, time.monotonic() - began)
        return FAILED if faults else OK

    async def _play(self, began: float) -> CommandError | None:
        """Play all rounds; returns why that was not possible, if it was not."""
        try:
            await self._until(self._all_have_met, READY_SECONDS, "an agent")
            gateways = list(self._cluster.gateways.values())
            seconds = time.monotonic() - began
            self._view.started(self._cluster.etcd, gateways, len(self._everybody), seconds)
            for number in range(1, len(self._scenario.policies) + 1):
                await self._round(number)
        except CommandError as error:
            return error
        return None

    async def _start_agents(self) -> None:
        """Start contractors and initiators, each with its own region's gateway first."""
        folder, scenario = self._members.folder, self._scenario
        for number, plan in enumerate(self._crowd):
            file = folder / f"{plan.agent.removeprefix('agent://')}.json"
            file.write_text(json.dumps(plan.described()), "utf-8")
            reached = self._addresses_from(number * len(REGIONS) // len(self._crowd))
            await self._members.start(
                plan.agent,
                *("agent", "--file", str(file), "--gateway", reached, "--json", "--until-eof"),
                token=self._token(plan.agent),
                turn=AGENTS_LEAVE,
            )
        call = folder / "call.json"
        call.write_text(json.dumps(scenario.call), "utf-8")
        policies = [f"--policy={policy_text(policy)}" for policy in scenario.policies]
        for number, (name, agent) in enumerate(self._callers.items()):
            await self._members.start(
                *(name, "call", str(call), "--to", f"topic://{scenario.topic}", "--as", agent),
                *("--gateway", self._addresses_from(number), *policies, "--json", "--step"),
                token=self._token(agent),
                turn=AGENTS_LEAVE,
            )
            self._members.may_end(name)  # others may still hear how the last round went

    def _addresses_from(self, first: int) -> str:
        addresses = self._cluster.addresses
        return ",".join(addresses[first:] + addresses[:first])

    def _token(self, agent: str) -> str:
        return development_tokens(self._members.state, agent)()

    async def _round(self, number: int) -> None:
        """Play one round, until everybody has heard how it ended."""
        board, view = self._board, self._view
        calls = board.begin_round(number, self._scenario.acceptances[number - 1].label)
        view.round_began(number, len(self._scenario.policies), board, calls)
        for name in self._callers:
            self._members.nudge(name)
        patience = self._scenario.reply_within + PATIENCE_SECONDS
        if number == KILLED_IN_ROUND:
            awaited = "the first offers"
            await self._until(lambda: all(map(_is_in_the_middle, calls)), patience, awaited)
            killed_at = time.monotonic()
            victim = self._kill(calls)
        # Who does not hear what is due is named by the faults, and the exit code.
        if await self._comes(lambda: all(_has_ended(call) for call in calls), patience):
            await self._comes(lambda: all(call.round.is_settled for call in calls))
        if number == KILLED_IN_ROUND:
            await self._see_who_came_back(victim, killed_at)
        self._faults += [
            f"round {number}: {call.initiator} reached {len(call.round.eligible)} of "
            f"{len(self._crowd)} contractors"
            for call in calls
            if number != KILLED_IN_ROUND and len(call.round.eligible) != len(self._crowd)
        ]
        view.round_ended(calls)

    def _kill(self, calls: Sequence[Call]) -> LocalGateway:
        """Kill a gateway that has an initiator, contractors and an open negotiation."""
        victim = self._cluster.gateways[REGIONS[1]]
        lost = sorted(
            agent for agent, homes in self._board.homes.items() if homes.now == victim.gateway_id
        )
        self._members.kill(victim.gateway_id)
        self._living.discard(victim.gateway_id)
        self._knows.pop(victim.gateway_id, None)
        self._view.news(
            "killed",
            f"kill -9 of gateway {victim.gateway_id} (process {victim.pid}), {len(calls)} calls "
            f"are open: {len(lost)} agents lose their home, "
            f"{sum(call.decider.now == victim.gateway_id for call in calls)} call its owner",
            gateway=victim.gateway_id,
            pid=victim.pid,
            agents=lost,
        )
        return victim

    async def _see_who_came_back(self, victim: LocalGateway, killed_at: float) -> None:
        """Wait until all agents are at other gateways, and known to all of those."""
        if await self._comes(self._all_have_met, COME_BACK_SECONDS):
            seconds = time.monotonic() - killed_at
            text = f"all agents are at other gateways, {seconds:.1f} s after the kill at the latest"
            self._view.news("came_back", text, seconds=round(seconds, 3))
            return
        missing = [
            f"{agent} is not known to be back at gateway {name}"
            for name, homes in self._knows.items()
            for agent in sorted(self._everybody)
            if homes.get(agent, victim.gateway_id) == victim.gateway_id
        ]
        self._faults += missing

    def _all_have_met(self) -> bool:
        """Tell whether every agent is connected, and every living gateway knows where."""
        return (
            self._ready >= self._everybody
            and self._living == self._knows.keys()
            and all(
                homes.keys() >= self._everybody and set(homes.values()) <= self._living
                for homes in self._knows.values()
            )
        )

    async def _comes(
        self, is_reached: Callable[[], bool], seconds: float = VERDICTS_SECONDS
    ) -> bool:
        """Tell whether something is reached in time; an end that nobody wanted still raises."""
        try:
            await self._until(is_reached, seconds, "")
        except TimeoutError:
            return False
        return True

    async def _until(self, is_reached: Callable[[], bool], seconds: float, awaited: str) -> None:
        """Hear events until something is reached. Raises CommandError, or TimeoutError when
        nothing is `awaited` in particular.
        """
        give_up_at = time.monotonic() + seconds
        while not is_reached():
            left = max(give_up_at - time.monotonic(), 0.0)
            if awaited:
                self._hear(await self._members.event(left, awaited))
            else:
                async with asyncio.timeout(left):
                    event = await self._members.next()
                self._hear(self._members.checked(event))

    def _hear(self, event: Mapping[str, Any]) -> None:
        board = self._board
        match event["event"]:
            case "ready":
                self._ready.add(str(event["agent"]))
                self._view.step(f"{len(self._ready)} of {len(self._everybody)} agents connected")
            case "at":
                agent, gateway_id = str(event["agent"]), str(event["gateway"])
                moved = bool(board.home(agent))
                if board.at(agent, gateway_id) and moved:
                    self._view.changed({**event, "event": "moved"})
            case "decides":
                board.decided_by(str(event["negotiation"]), str(event["gateway"]))
                self._view.changed(event)
            case "knows":
                if event["gateway"] in self._living:  # a killed one may have spoken before
                    self._knows[str(event["gateway"])] = event["agents"]
            case "announced" | "note" | "ended":
                pass
            case _ if board.hear(event) is not None:
                self._view.changed(event)


def _is_in_the_middle(call: Call) -> bool:
    """Tell whether offers come in, and some are still to come."""
    return call.is_open and call.round.offers_heard >= OFFERS_BEFORE


def _has_ended(call: Call) -> bool:
    return call.round.outcome is not None or call.round.refused is not None
