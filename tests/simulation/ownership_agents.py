"""The agents of a simulated cluster: who calls, who offers, and what both were told.

An initiator that loses its gateway goes to another one. When the old one hands its session over
nothing changes for it; otherwise it calls again with the same msg_id, and so it does when it has
heard nothing for too long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from policy.events import OfferReceived
from tests.simulation.ownership_side import Side

PATIENCE_SECONDS = 9.0
NOTICES_SECONDS = 1.5
LOOK_SECONDS = 1.0


class Roads(Protocol):
    """What brings agents to gateways."""

    living: dict[str, Side]
    contractors: dict[str, Contractor]

    def now(self) -> float:
        """Return the time."""

    def draw(self) -> float:
        """Return a number from 0 to 1."""

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later."""

    def tell_home(self, agent: Agent, what: Callable[[Side], None]) -> None:
        """Bring something to the gateway that an agent is with, as soon as it is with one."""

    def move(self, agent: Agent) -> bool:
        """Bring an agent to another gateway; tells whether its session goes on there."""

    def awarded(self, key: str, negotiation_id: str, winner: str) -> None:
        """Hear that somebody was told of an award."""

    def called_again(self, key: str) -> None:
        """Hear that somebody calls a second time."""


class Agent:
    """Somebody who is with a gateway."""

    def __init__(self, roads: Roads, address: str, home: str) -> None:
        self.roads = roads
        self.address = address
        self.home = home

    def look(self) -> None:
        """Notice that the gateway is lost, now and then."""
        side, now = self.roads.living.get(self.home), self.roads.now()
        is_lost = side is None or (
            side.frozen_at is not None and now - side.frozen_at > NOTICES_SECONDS
        )
        if is_lost or (side is not None and side.is_leaving):
            self.move()
        self.roads.after(LOOK_SECONDS, self.look)

    def move(self) -> None:
        """Go to another gateway."""
        self.roads.move(self)


class Contractor(Agent):
    """Offers whatever it is asked for, once."""

    def __init__(self, roads: Roads, address: str, home: str) -> None:
        super().__init__(roads, address, home)
        self._heard: set[str] = set()

    def hear_call(self, negotiation_id: str) -> None:
        if negotiation_id not in self._heard:
            self._heard.add(negotiation_id)
            value = float(int(1 + 9 * self.roads.draw()))
            offer = OfferReceived(self.address, f"{self.address}:{negotiation_id}", value)
            self.roads.after(
                2.4 * self.roads.draw(),
                lambda: self.roads.tell_home(
                    self, lambda side: side.hear_offer(negotiation_id, offer)
                ),
            )


@dataclass(slots=True)
class Issue:
    """What an initiator knows of a call of its own."""

    policy: str
    asked_at: float
    outcomes: list[Mapping[str, Any]] = field(default_factory=list)


class Initiator(Agent):
    """Calls, and calls again until it hears an outcome."""

    def __init__(self, roads: Roads, address: str, home: str) -> None:
        super().__init__(roads, address, home)
        self.issues: dict[str, Issue] = {}

    def call(self, policy: str) -> None:
        msg_id = f"m{len(self.issues)}"
        self.issues[msg_id] = Issue(policy, self.roads.now())
        self._ask(msg_id, sent_before=False)

    def look(self) -> None:
        super().look()
        for msg_id, issue in self.issues.items():
            if not issue.outcomes and self.roads.now() - issue.asked_at > PATIENCE_SECONDS:
                self._ask_again(msg_id)

    def move(self) -> None:
        if not self.roads.move(self):
            for msg_id, issue in self.issues.items():
                if not issue.outcomes:
                    self._ask_again(msg_id)

    def hear_outcome(self, msg_id: str, outcome: Mapping[str, Any]) -> None:
        self.issues[msg_id].outcomes.append(outcome)
        for winner in outcome["winners"]:
            key = f"{self.address}|{msg_id}"
            self.roads.awarded(key, str(outcome["negotiation_id"]), str(winner["agent"]))

    @property
    def is_waiting(self) -> bool:
        return any(not issue.outcomes for issue in self.issues.values())

    def _ask_again(self, msg_id: str) -> None:
        self.roads.called_again(f"{self.address}|{msg_id}")
        self._ask(msg_id, sent_before=True)

    def _ask(self, msg_id: str, *, sent_before: bool) -> None:
        issue = self.issues[msg_id]
        issue.asked_at = self.roads.now()
        eligible = tuple(self.roads.contractors)
        self.roads.tell_home(
            self,
            lambda side: side.hear_call(
                self.address, msg_id, eligible, issue.policy, sent_before=sent_before
            ),
        )
