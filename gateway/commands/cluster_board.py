"""What the demo of a cluster has heard: who called, who answered through which gateway, and
whether all of it is as the rules promise.

Pure, as `rounds` is. A call is one negotiation; when its gateway is lost it may go on under
another id, and stays one call: everybody that offered is still owed one verdict, and the caller
one outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.commands.rounds import Board, Round

Way = tuple[str, str, str]
"""The gateways that an offer went through: the contractor's, the one that decides, and the
initiator's; two or all three may be one."""


@dataclass(slots=True)
class Homes:
    """Which gateways one agent, or one call, was at, in order."""

    trail: list[str] = field(default_factory=list)

    @property
    def now(self) -> str:
        """Return the gateway where it is; empty when nobody has said."""
        return self.trail[-1] if self.trail else ""

    def seen(self, gateway_id: str) -> bool:
        """Learn where it is; tell whether that is news."""
        if not gateway_id or gateway_id == self.now:
            return False
        self.trail.append(gateway_id)
        return True

    def __str__(self) -> str:
        return "→".join(self.trail) or "–"


@dataclass(slots=True)
class Call:
    """One call of one initiator."""

    initiator: str
    number: int
    """Which round it belongs to, from 1."""
    decider: Homes = field(default_factory=Homes)
    """The gateways that decided it."""
    at: str = ""
    """The gateway of the initiator when it called."""
    opened: int = 0
    """How often it was opened: more than once when a gateway was lost."""
    round: Round = field(default_factory=Round)
    ways: dict[str, Way] = field(default_factory=dict)
    """How the offer of each agent came."""

    @property
    def is_open(self) -> bool:
        """Has it begun, and no outcome yet?"""
        return self.opened > 0 and self.round.outcome is None

    def faults(self) -> list[str]:
        """Return what is not as the rules promise, as sentences."""
        return [f"round {self.number}, {self.initiator}: {fault}" for fault in self.round.faults()]


class ClusterBoard(Board):
    """The calls of several initiators, all at once."""

    def __init__(self, initiators: Mapping[str, str]) -> None:
        """Know the initiators by the names of their processes."""
        super().__init__()
        self._initiators = dict(initiators)
        self.homes: dict[str, Homes] = {}
        """Where every agent is, by address."""
        self.calls: list[Call] = []

    def begin_round(self, number: int, policy: str) -> list[Call]:
        """Expect a call of every initiator; returns them."""
        self.begin(policy, everybody_hears=True)
        begun = [Call(agent, number) for agent in self._initiators.values()]
        for call in begun:
            call.at = self.home(call.initiator)
            call.round.policy, call.round.everybody_hears = policy, True
        self.calls += begun
        return begun

    def home(self, agent: str) -> str:
        """Return the gateway where an agent is; empty when nobody has said."""
        return self.homes[agent].now if agent in self.homes else ""

    def at(self, agent: str, gateway_id: str) -> bool:
        """Learn where an agent is; tell whether that is news."""
        return self.homes.setdefault(agent, Homes()).seen(gateway_id)

    def decided_by(self, negotiation: str, gateway_id: str) -> None:
        """Learn who decides a negotiation."""
        for call in self.calls:
            if call.round.negotiation_id == negotiation:
                call.decider.seen(gateway_id)

    def hear(self, event: Mapping[str, Any]) -> Round | None:
        """Take an event of one of the processes; returns the round that it belongs to."""
        process = str(event.get("process", ""))
        if process not in self._initiators:
            return super().hear(event)
        call = next(
            (one for one in self.calls[::-1] if one.initiator == self._initiators[process]), None
        )
        negotiation = event.get("negotiation")
        if call is not None and event.get("event") == "opened" and isinstance(negotiation, str):
            self._opened(call, negotiation)
        round_ = super().hear(event)
        if call is None or round_ is None:
            return round_
        if event.get("event") == "refused":
            call.round = round_
        if event.get("event") == "offer" and round_ is call.round:
            agent = str(event["agent"])
            call.ways[agent] = (self.home(agent), call.decider.now, self.home(call.initiator))
        return round_

    def _opened(self, call: Call, negotiation: str) -> None:
        """Know the negotiation of a call, whoever spoke of it first."""
        known = self.rounds.get(negotiation)
        if known is not None and known is not call.round:
            call.round.absorb(known)
        if not call.opened or call.round.negotiation_id != negotiation:
            call.opened += 1
        call.round.negotiation_id = negotiation
        call.decider.seen(negotiation.split(".", 1)[0])
        self.rounds[negotiation] = call.round

    def faults(self) -> list[str]:
        """Return what is not as the rules promise, of all calls."""
        return [fault for call in self.calls for fault in call.faults()]

    def ways(self) -> Counter[Way]:
        """Count the offers that were heard by the gateways that they went through."""
        return Counter(way for call in self.calls for way in call.ways.values())
