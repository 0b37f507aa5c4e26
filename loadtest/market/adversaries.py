"""Who bends the rules: liars, a hoarder, a crowd in front of the system class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from loadtest.market.arms import Auction, Claims, Grant
from loadtest.market.books import Books
from loadtest.market.clock import played
from loadtest.market.exchange import Exchange, Outcome
from loadtest.market.world import Demand, Task, World
from policy.noise import NoiseMeter, NoiseRule
from policy.rating import RatingRule, Ratings
from policy.reserve import Reserve

LIARS = 0.1
TASKS = 20
"""After so many rated tasks the rating of a liar is looked at."""
GREEDY = "agent://greedy"


@dataclass(frozen=True)
class Lies:
    """What became of liars and of honest agents."""

    liars: int
    """Liars that were rated twenty times, or had fallen before."""
    below_half: int
    """Those that had less than 0.5 within twenty tasks."""
    slowest: int
    """Tasks that it took the slowest of them."""
    lowest_honest: float
    """The lowest rating that an honest agent ever had."""
    honest_value: tuple[float, float, float]
    """Value that honest agents completed: without liars, with liars, with ratings too."""


class _Hearing:
    """Rates every task when it ends, and notes who falls when."""

    def __init__(self, seed: int, liars: Mapping[str, float]) -> None:
        self.ratings = Ratings(RatingRule())
        self.fell: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.lowest = 1.0
        self._liars = liars
        self._chance = Random(f"realised {seed}")

    def __call__(self, made: Grant) -> None:
        task = made.task
        worth = task.worth(made.at)
        realised = worth * self._chance.lognormvariate(0, 0.03)
        rating = self.ratings.note(task.agent, worth * task.claim, realised)
        self.counts[task.agent] = rating.tasks
        if task.agent not in self._liars:
            self.lowest = min(self.lowest, rating.rating)
        elif rating.rating < 0.5:
            self.fell.setdefault(task.agent, rating.tasks)


def lies(seed: int, demand: Demand) -> Lies:
    """Let a tenth of the agents claim two and a half to four times the worth of their tasks."""
    chance = Random(f"liars {seed}")
    names = [f"agent://a{number}" for number in range(demand.agents)]
    liars = {name: chance.uniform(2.5, 4.0) for name in names if chance.random() < LIARS}
    hearing = _Hearing(seed, liars)
    honest = (
        _honest_value(seed, demand, liars, lying=False),
        _honest_value(seed, demand, liars, lying=True),
        _honest_value(seed, demand, liars, lying=True, hearing=hearing),
    )
    fell = hearing.fell
    judged = [name for name in liars if hearing.counts.get(name, 0) >= TASKS or name in fell]
    return Lies(
        len(judged),
        sum(fell.get(name, TASKS + 1) <= TASKS for name in judged),
        max(fell.values(), default=0),
        hearing.lowest,
        honest,
    )


def _honest_value(
    seed: int,
    demand: Demand,
    liars: Mapping[str, float],
    *,
    lying: bool,
    hearing: _Hearing | None = None,
) -> float:
    """Return the part of its value that honest agents completed."""
    world = World(demand, seed)
    for task in world.tasks:
        task.claim = liars.get(task.agent, 1.0) if lying else 1.0

    def make(demand: Demand, exchange: Exchange, books: Books) -> Claims:
        arm = Claims(demand, exchange, books)
        arm.ratings = None if hearing is None else hearing.ratings
        return arm

    _, run = played(world, make, 0.0, hearing)
    came = sum(task.worth_at_first for task in world.tasks if task.agent not in liars)
    served = (made.task for made in run.started.values() if made.task.agent not in liars)
    return sum(task.worth_at_first for task in served) / came


@dataclass(frozen=True)
class Hoarding:
    """What part of the slots a hoarder got, and what the others lost."""

    share: float
    """Of all slot time, by one agent of 500."""
    others_in_time: float
    """The part of the urgent tasks of others that were started in time."""


class Pressed(Auction):
    """A first-price auction in which noise costs: a bid counts by what noise leaves of it."""

    meter: NoiseMeter | None = None

    def share(self, now: float, waiting: list[Task]) -> list[Grant]:  # type: ignore[override]
        """Count what everybody asks for, then hold the auction."""
        for task in waiting:
            if self.meter is not None and not task.tries:
                task.tries = 1
                self.meter.note(task.agent, task.seconds, now)
        return super().share(now, waiting)

    def _bid(self, task: Task, now: float) -> float:
        return super()._bid(task, now) / self._factor(task, now)

    def paid(self, task: Task, slot: int, outcome: Outcome, price: float) -> list[Grant]:
        """Let the owner pay the price times its multiplier."""
        price *= self._factor(task, outcome.body["opened_at"])
        return super().paid(task, slot, outcome, price)

    def _factor(self, task: Task, now: float) -> float:
        return 1.0 if self.meter is None else self.meter.multiplier(task.agent, now)


def hoarding(seed: int, demand: Demand, grant: float, noise: NoiseRule | None = None) -> Hoarding:
    """Let one agent ask for 400 slots an hour, and bid 40 credits for each."""
    world = World(demand, seed)
    for turn in range(round(400 * demand.hours)):
        at = turn * 9.0
        world.tasks.append(
            Task(len(world.tasks), GREEDY, 0, at, 600.0, priority=50 / 6, gain=1.0, urgent=True)
        )
    world.tasks.sort(key=lambda task: task.arrived)

    def make(demand: Demand, exchange: Exchange, books: Books) -> Pressed:
        arm = Pressed(demand, exchange, books)
        arm.meter = None if noise is None else NoiseMeter(noise)
        return arm

    _, run = played(world, make, grant)
    mine = sum(one.task.seconds for one in run.started.values() if one.task.agent == GREEDY)
    urgent = [task for task in world.tasks if task.urgent and task.agent != GREEDY]
    served = sum(task.number in run.started for task in urgent)
    return Hoarding(mine / (demand.slots * demand.hours * 3600), served / len(urgent))


@dataclass(frozen=True)
class Waiting:
    """How system agents fared in a crowd."""

    asked: int
    """Requests while the system class held less than is reserved."""
    at_once: int
    """Those that got a slot at once."""


def system_class(seed: int, part: float, *, slots: int = 40, hours: float = 12) -> Waiting:
    """Let a crowd take every slot that it may, and system agents ask for one now and then."""
    chance, reserve = Random(f"system {seed}"), Reserve(slots, part)
    allowed = max(1, reserve.kept)
    ends: list[tuple[float, bool]] = []
    asked = at_once = 0
    now = 0.0
    while now < hours * 3600:
        now += chance.expovariate(1 / 10.0)
        ends = [end for end in ends if end[0] > now]
        if chance.random() >= 0.05:
            if reserve.admits(len(ends), 1, system=False):
                ends.append((now + chance.uniform(300, 1200), False))
        elif sum(system for _, system in ends) < allowed:
            asked += 1
            if reserve.admits(len(ends), 1, system=True):
                at_once += 1
                ends.append((now + chance.uniform(60, 300), True))
    return Waiting(asked, at_once)
