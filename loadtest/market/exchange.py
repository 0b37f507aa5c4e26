"""Runs negotiations of the real policy in simulated time, and counts what they cost.

An agent answers after two hops on the wire and some time to think, drawn from a seed. The
messages that count are those that cross a wire: calls, answers, and what the exchange sends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from time import thread_time
from typing import Any

from policy.acceptance import PROFILES
from policy.call import Call
from policy.effects import Effect, Finish, Relay, Tell
from policy.events import AcceptReceived, CounterReceived, DeadlinePassed, Event, OfferReceived
from policy.events import RefusalReceived as Refusal
from policy.fairness import Fairness
from policy.table import Table

HOP = 0.005
"""Seconds from an agent to the exchange, or back."""
THINK = 0.2
"""Seconds that an agent thinks, the median; lognormal, as a model's answers are."""
POOL = "agent://pool"

Answer = tuple[str, Event | None]
"""Who answers, and how; None: not at all."""


@dataclass
class Cost:
    """What negotiations have cost so far."""

    negotiations: int = 0
    messages: int = 0
    seconds: float = 0.0
    """Processor time of the policy."""
    decided: list[float] = field(default_factory=list)
    """Seconds from each call to its outcome, simulated."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one negotiation ended."""

    at: float
    winners: tuple[tuple[str, float], ...]
    """Who won, and at what price, the best first."""
    body: Mapping[str, Any]


class Exchange:
    """One table of negotiations, and a crowd that answers."""

    def __init__(self, seed: int) -> None:
        """Draw the thinking of agents from `seed`."""
        self.cost = Cost()
        self._table = Table(limit_finished=64)
        self._chance = Random(f"thinking {seed}")
        self._minted = 0

    def call(
        self,
        now: float,
        initiator: str,
        eligible: Sequence[str],
        protocol: str = "contract-net",
        *,
        units: int = 1,
        direction: str = "procure",
        reserve: float | None = None,
        fairness: Fairness | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Call:
        """Return a call that is open for ten seconds."""
        self._minted += 1
        return Call(
            negotiation_id=f"market.0.{self._minted}",
            initiator=initiator,
            msg_id=f"call-{self._minted}",
            eligible=tuple(eligible),
            acceptance=PROFILES["flow/high"],
            closes_at=now + 10.0,
            opened_at=now,
            direction="allocate" if direction == "allocate" else "procure",
            reserve=reserve,
            max_awards=units,
            protocol=protocol,
            options=options or {},
            fairness=fairness,
            linger=0.0,
        )

    def think(self) -> float:
        """Return the seconds until an agent's answer has come."""
        return 2 * HOP + self._chance.lognormvariate(0, 0.5) * THINK

    def round(self, call: Call, bids: Mapping[str, float | None]) -> Outcome:
        """Run a call that each answers once: with a value, or, with None, by a refusal."""
        events: list[tuple[float, str, Event]] = []
        for agent, bid in bids.items():
            event: Event = Refusal(agent, f"no-{agent}")
            if bid is not None:
                event = OfferReceived(agent, f"bid-{agent}", bid)
            events.append((call.opened_at + self.think(), agent, event))
        events.sort(key=lambda entry: entry[:2])
        return self.play(call, events)

    def play(self, call: Call, events: Sequence[tuple[float, str, Event]]) -> Outcome:
        """Run a call with events at their times."""
        outcome = self._hear(call, self._timed(lambda: self._table.open(call, call.opened_at)))
        self.cost.messages += len(call.eligible)
        for at, _, event in events:
            if outcome is not None:
                break
            outcome = self._apply(call, event, at)
        if outcome is None:
            outcome = self._apply(call, DeadlinePassed(), call.closes_at, heard=False)
        assert outcome is not None, "whoever waits has a deadline"
        return self._ended(call, outcome)

    def bargain(
        self, call: Call, movers: Mapping[str, Callable[[int, Mapping[str, float]], Event]]
    ) -> Outcome:
        """Run a bargain; a mover is asked with the step and what was tabled last, by agent."""
        outcome = self._hear(call, self._timed(lambda: self._table.open(call, call.opened_at)))
        self.cost.messages += 1
        due: list[tuple[float, int, str]] = []
        tabled: dict[str, float] = {}
        steps = dict.fromkeys(movers, 0)
        now, asked = call.opened_at, 0
        while outcome is None:
            state: Any = self._table.state(call.negotiation_id)
            waiting = {agent for _, _, agent in due}
            for agent in state.to_move:
                if agent not in waiting:
                    asked += 1
                    heappush(due, (now + self.think(), asked, agent))
            now, _, agent = heappop(due)
            steps[agent] += 1
            event = movers[agent](steps[agent], dict(tabled))
            if isinstance(event, CounterReceived | OfferReceived) and event.value is not None:
                tabled[agent] = event.value
            outcome = self._apply(call, event, now)
        return self._ended(call, outcome)

    def _apply(
        self, call: Call, event: Event, now: float, *, heard: bool = True
    ) -> Mapping[str, Any] | None:
        effects = self._timed(lambda: self._table.apply(call.negotiation_id, event, now))
        self.cost.messages += heard
        return self._hear(call, effects or [])

    def _timed(self, work: Callable[[], list[Effect] | None]) -> list[Effect]:
        began = thread_time()
        effects = work()
        self.cost.seconds += thread_time() - began
        return effects or []

    def _hear(self, call: Call, effects: Sequence[Effect]) -> Mapping[str, Any] | None:
        self.cost.messages += sum(isinstance(effect, Relay | Tell) for effect in effects)
        return next((one.outcome for one in effects if isinstance(one, Finish)), None)

    def _ended(self, call: Call, body: Mapping[str, Any]) -> Outcome:
        self.cost.negotiations += 1
        at = body["decided_at"] + HOP
        self.cost.decided.append(at - call.opened_at)
        self._table.apply(call.negotiation_id, DeadlinePassed(), at + 1e9)
        winners = tuple((won["agent"], float(won["price"])) for won in body["winners"])
        return Outcome(at, winners, body)


def accept(agent: str, offer_id: str, step: int) -> Event:
    """Return the acceptance of an offer."""
    return AcceptReceived(agent, f"accept-{agent}-{step}", offer_id)


def propose(agent: str, value: float, step: int) -> Event:
    """Return a proposal of a price."""
    return CounterReceived(agent, f"deal-{agent}-{step}", value=value)
