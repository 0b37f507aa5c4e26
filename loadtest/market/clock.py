"""One simulated half day of one arm, and its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import median, quantiles

from loadtest.market.arms import RETRY, Arm, Grant
from loadtest.market.books import Books
from loadtest.market.exchange import Cost, Exchange
from loadtest.market.world import Demand, Task, World
from policy.jain import evenness


@dataclass
class Figures:
    """What became of a run."""

    arm: str
    utilisation: float
    """The part of all slot time in which work was done."""
    wasted: float
    """The part of all slot time in which a slot was free and somebody waited."""
    value: float
    """The value of the tasks that were started in time, by that of all that came."""
    in_time: float
    """The part of the urgent tasks that were started in time."""
    starved: float
    """Minutes that the longest wait took, of who is still waiting too."""
    wait: float
    """Minutes of the median wait of routine tasks that were served."""
    jain: float
    """Jain's index over the part of its tasks that each agent got started."""
    messages: float
    """By allocation."""
    decided_median: float
    """Seconds from a call to its outcome."""
    decided_p99: float
    price: float
    """Credits that an allocation cost its owner, the mean."""
    micros: float
    """Processor time of the policy by allocation, in microseconds."""
    allocations: int
    entries: int
    """Ledger entries; each was checked."""
    busy: list[float] = field(default_factory=list)
    """Utilisation by ten minutes."""


@dataclass
class Run:
    """The tasks of a run, after it."""

    world: World
    started: dict[int, Grant]
    waiting: list[Task]
    lost: list[Task]
    """Urgent tasks whose time was over."""


Heard = Callable[[Grant], None]


def played(
    world: World,
    make: Callable[[Demand, Exchange, Books], Arm],
    grant: float,
    heard: Heard | None = None,
) -> tuple[Arm, Run]:
    """Run an arm until the last task has come; `heard` is told of each grant as its task ends."""
    demand = world.demand
    books = Books(grant)
    arm = make(demand, Exchange(world.seed), books)
    run = Run(world, {}, [], [])
    ends: list[tuple[float, int, Grant]] = []
    arrivals = iter(world.tasks)
    coming = next(arrivals, None)
    horizon, tick = demand.hours * 3600, 0.0
    while True:
        now = min(
            coming.arrived if coming else horizon, ends[0][0] if ends else horizon, tick, horizon
        )
        if now >= horizon:
            break
        if now >= tick:
            tick = now + RETRY / 2
        while coming is not None and coming.arrived <= now:
            run.waiting.append(coming)
            coming = next(arrivals, None)
        while ends and ends[0][0] <= now:
            _, slot, over = heappop(ends)
            arm.free_since[slot] = now
            if heard is not None:
                heard(over)
        late = [task for task in run.waiting if task.due < now]
        if late:
            run.lost += late
            run.waiting = [task for task in run.waiting if task.due >= now]
        if not run.waiting or not arm.free_since:
            continue
        for made in arm.share(now, list(run.waiting)):
            arm.free_since.pop(made.slot, None)
            run.waiting.remove(made.task)
            run.started[made.task.number] = made
            heappush(ends, (made.at + made.task.seconds, made.slot, made))
    books.check()
    return arm, run


def figures(name: str, arm: Arm, run: Run) -> Figures:
    """Return the figures of a run in simulated time."""
    return figures_of(name, run, arm.exchange.cost, arm.books.entries)


def figures_of(name: str, run: Run, cost: Cost, entries: int) -> Figures:
    """Return the figures of a run, with what its negotiations have cost."""
    demand, tasks = run.world.demand, run.world.tasks
    horizon = demand.hours * 3600
    bins = [0.0] * round(horizon / 600)
    busy = 0.0
    for made in run.started.values():
        end = min(horizon, made.at + made.task.seconds)
        busy += max(0.0, end - made.at)
        for place in range(int(made.at // 600), min(len(bins), int(end // 600) + 1)):
            bins[place] += max(0.0, min(end, place * 600 + 600) - max(made.at, place * 600.0))
    asked = Counter(task.agent for task in tasks)
    got = Counter(made.task.agent for made in run.started.values())
    waits = {made.task.number: made.at - made.task.arrived for made in run.started.values()}
    still = [horizon - task.arrived for task in run.waiting]
    lost = [task.due - task.arrived for task in run.lost]
    urgent = [task for task in tasks if task.urgent]
    routine = [waits[task.number] for task in tasks if not task.urgent and task.number in waits]
    count = max(1, len(run.started))
    decided = cost.decided or [0.0, 0.0]
    return Figures(
        arm=name,
        utilisation=busy / (demand.slots * horizon),
        wasted=_wasted(run),
        value=sum(made.task.worth_at_first for made in run.started.values())
        / sum(task.worth_at_first for task in tasks),
        in_time=sum(task.number in run.started for task in urgent) / max(1, len(urgent)),
        starved=max([*waits.values(), *still, *lost, 0.0]) / 60,
        wait=median(routine or [0.0]) / 60,
        jain=evenness(got[agent] / asked[agent] for agent in asked).index,
        messages=cost.messages / count,
        decided_median=median(decided),
        decided_p99=quantiles(decided, n=100)[-1] if len(decided) > 1 else decided[0],
        price=sum(made.price for made in run.started.values()) / count,
        micros=cost.seconds * 1e6 / count,
        allocations=len(run.started),
        entries=entries,
        busy=[part / (demand.slots * 600) for part in bins],
    )


def _wasted(run: Run) -> float:
    """Return the part of slot time in which a slot was free while somebody waited."""
    demand = run.world.demand
    horizon = demand.hours * 3600
    changes: list[tuple[float, int, int]] = []
    for made in run.started.values():
        changes += [(made.at, -1, -1), (made.at + made.task.seconds, 1, 0)]
        changes.append((made.task.arrived, 0, 1))
    for task in run.waiting:
        changes += [(task.arrived, 0, 1), (horizon, 0, -1)]
    for task in run.lost:
        changes += [(task.arrived, 0, 1), (task.due, 0, -1)]
    free, waiting, last, wasted = demand.slots, 0, 0.0, 0.0
    for at, freed, came in sorted(changes):
        at = min(at, horizon)
        wasted += (at - last) * min(free, waiting)
        free, waiting, last = free + freed, waiting + came, at
    return wasted / (demand.slots * horizon)
