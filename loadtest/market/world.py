"""Who wants a slot when: bursts, two classes of deadlines, and what a task is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from llmx.valuation import Urgency, value

URGENCY = Urgency()
TEN_MINUTES, A_DAY = 600.0, 86_400.0


@dataclass(frozen=True)
class Demand:
    """What the agents want."""

    agents: int = 500
    slots: int = 40
    teams: int = 40
    """Groups that a static quota serves; each has its equal part of the slots."""
    hours: float = 12.0
    burst: float = 600.0
    """Seconds that a slot is wanted at a time, on the mean."""
    idle: float = 7200.0
    """Seconds between two bursts of an agent, on the mean."""
    urgent: float = 0.5
    """The part of the tasks that has to start within ten minutes; the rest has a day."""
    together: float = 0.0
    """The part of the bursts that begin when those of the team do, 0 to 1."""


@dataclass(slots=True, eq=False)
class Task:
    """One burst of one agent."""

    number: int
    agent: str
    team: int
    arrived: float
    seconds: float
    priority: float
    gain: float
    urgent: bool
    again_at: float = 0.0
    """When its owner asks for a slot again."""
    tries: int = 0
    claim: float = 1.0
    """By what its agent multiplies what it claims; above 1 is a lie."""

    @property
    def due(self) -> float:
        """When it must have started."""
        return self.arrived + (TEN_MINUTES if self.urgent else A_DAY)

    def worth(self, now: float) -> float:
        """Return what a slot is worth to it, in credits."""
        return value(self.priority, URGENCY(self.due - now), self.gain)

    @property
    def worth_at_first(self) -> float:
        """Return what it was worth when it came; what its completion counts."""
        return self.worth(self.arrived)


@dataclass
class World:
    """All tasks of a run, drawn from a seed."""

    demand: Demand
    seed: int
    tasks: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw the tasks, in the order of their arrival."""
        demand, chance = self.demand, Random(f"demand {self.seed}")
        horizon, cycle = demand.hours * 3600, demand.burst + demand.idle
        beats = [chance.uniform(0, cycle) for _ in range(demand.teams)]
        drawn = []
        for number in range(demand.agents):
            team = number % demand.teams
            at = chance.uniform(0, cycle)
            while at < horizon:
                arrived = at
                if chance.random() < demand.together:
                    turn = round((at - beats[team]) / cycle)
                    arrived = max(0.0, beats[team] + turn * cycle + chance.uniform(0, 300))
                seconds = min(3600.0, max(60.0, chance.gammavariate(4, demand.burst / 4)))
                drawn.append((arrived, number, team, seconds))
                at += seconds + chance.expovariate(1 / demand.idle)
        drawn.sort()
        self.tasks = [
            Task(
                place,
                f"agent://a{number}",
                team,
                arrived,
                seconds,
                float(chance.choice((1, 1, 1, 2, 2, 5))),
                chance.uniform(0.5, 1.5),
                chance.random() < demand.urgent,
            )
            for place, (arrived, number, team, seconds) in enumerate(drawn)
            if arrived < horizon
        ]
