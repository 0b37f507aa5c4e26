"""The ways of sharing slots: two queues, three auctions, two bargains.

An arm is asked whenever a slot is free and somebody waits, and says who gets which slot. The
queues know no price. In the auctions the pool sells free slots, or the owner of a task buys one
from ten hosts of four slots each. In the bargains the owner and the cheapest host agree on a price.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadtest.market.books import Books
from loadtest.market.exchange import POOL, Exchange, Outcome, accept, propose
from loadtest.market.world import Demand, Task
from policy.call import AWARDS_MAX, Call
from policy.events import Event, RefusalReceived
from policy.fairness import Fairness, FairnessRules
from policy.rating import Ratings

HOST_SLOTS = 4
RETRY, RETRY_MAX = 60.0, 900.0
"""Seconds after which who asked in vain asks again: doubled each time, up to the second."""
MARGIN = 0.2
"""What a bidder that pays its own bid keeps of its worth."""
DELTA = 0.9
STEPS = 8


@dataclass(frozen=True, slots=True)
class Grant:
    """A slot for a task."""

    task: Task
    slot: int
    at: float
    """When the decision is known."""
    price: float = 0.0


class Arm(ABC):
    """One way of sharing."""

    def __init__(self, demand: Demand, exchange: Exchange, books: Books) -> None:
        """Share the slots of `demand`."""
        self.demand = demand
        self.exchange = exchange
        self.books = books
        self.free_since: dict[int, float] = dict.fromkeys(range(demand.slots), 0.0)
        """Since when each free slot is free."""

    @abstractmethod
    def share(self, now: float, waiting: Sequence[Task]) -> list[Grant]:
        """Return who gets which of the free slots."""

    def paid(self, task: Task, slot: int, outcome: Outcome, price: float) -> list[Grant]:
        """Let the owner of a task pay, and grant it the slot if it can."""
        hold = self.books.hold(task.agent, price, f"task-{task.number}", outcome.at)
        if hold is None:
            return []
        self.books.capture(hold, price)
        return [Grant(task, slot, outcome.at, price)]


class Fifo(Arm):
    """Who came first is served first."""

    def share(self, now: float, waiting: Sequence[Task]) -> list[Grant]:
        """Serve the head of the queue."""
        pairs = zip(sorted(self.free_since), waiting, strict=False)
        return [Grant(task, slot, now) for slot, task in pairs]


class Quota(Arm):
    """Each team has slots of its own, and a queue for them."""

    def share(self, now: float, waiting: Sequence[Task]) -> list[Grant]:
        """Serve the heads of the queues."""
        free = {slot % self.demand.teams: slot for slot in sorted(self.free_since, reverse=True)}
        grants = []
        for task in waiting:
            slot = free.pop(task.team, None)
            if slot is not None:
                grants.append(Grant(task, slot, now))
        return grants


class Auction(Arm):
    """The pool sells all free slots at once to those that wait, one each."""

    price = "first"
    margin = MARGIN

    def share(self, now: float, waiting: Sequence[Task]) -> list[Grant]:
        """Hold one auction."""
        best: dict[str, Task] = {}
        for task in waiting:
            known = best.get(task.agent)
            if known is None or task.worth(now) > known.worth(now):
                best[task.agent] = task
        slots = sorted(self.free_since)[:AWARDS_MAX]
        bids = {agent: self._bid(task, now) for agent, task in best.items()}
        outcome = self.exchange.round(self._call(now, list(best), len(slots)), bids)
        grants: list[Grant] = []
        for slot, (agent, price) in zip(slots, outcome.winners, strict=False):
            grants += self.paid(best[agent], slot, outcome, max(0.0, price))
        return grants

    def _call(self, now: float, agents: Sequence[str], units: int) -> Call:
        return self.exchange.call(
            now,
            POOL,
            agents,
            "sealed-bid",
            units=units,
            direction="allocate",
            reserve=0.0,
            options={"price": self.price},
        )

    def _bid(self, task: Task, now: float) -> float:
        worth = task.worth(now) * (1 - self.margin)
        return min(worth, self.books.available(task.agent, now))


class Vickrey(Auction):
    """The same, at the price of the best bid that lost."""

    price = "second"
    margin = 0.0


class Claims(Auction):
    """Slots go to the highest claims, at no price; ratings decide what a claim counts."""

    ratings: Ratings | None = None

    def _call(self, now: float, agents: Sequence[str], units: int) -> Call:
        fairness = None
        if self.ratings is not None:
            rules = FairnessRules(by_rating=True)
            fairness = Fairness(rules, ratings=self.ratings.of_all(agents))
        return self.exchange.call(
            now, POOL, agents, units=units, direction="allocate", fairness=fairness
        )

    def _bid(self, task: Task, now: float) -> float:
        return task.worth(now) * task.claim

    def paid(self, task: Task, slot: int, outcome: Outcome, price: float) -> list[Grant]:
        """Grant the slot; a claim is not a price."""
        return [Grant(task, slot, outcome.at)]


class Hosted(Arm):
    """What owners and hosts deal with: a host asks more the fuller it is, less the longer idle."""

    def hosts(self, now: float) -> dict[str, tuple[float, int]]:
        """Return the hosts that have a free slot, each with what it asks and the slot."""
        offers: dict[str, tuple[float, int]] = {}
        by_host: dict[int, list[int]] = {}
        for slot in sorted(self.free_since):
            by_host.setdefault(slot // HOST_SLOTS, []).append(slot)
        for host, slots in by_host.items():
            load = 1 - len(slots) / HOST_SLOTS
            idle = now - min(self.free_since[slot] for slot in slots)
            offers[f"agent://host{host}"] = (0.05 * 200**load * 0.5 ** (idle / 60), slots[0])
        return offers

    def share(self, now: float, waiting: Sequence[Task]) -> list[Grant]:
        """Let those that wait ask in turn, each less often the oftener it asked in vain."""
        grants: list[Grant] = []
        for task in waiting:
            hosts = self.hosts(now)
            if not hosts:
                break
            if task.again_at > now:
                continue
            task.again_at = now + min(RETRY_MAX, RETRY * 2**task.tries)
            task.tries += 1
            limit = min(task.worth(now), self.books.available(task.agent, now))
            for grant in self.deal(now, task, hosts, limit):
                del self.free_since[grant.slot]
                grants.append(grant)
        return grants

    @abstractmethod
    def deal(
        self, now: float, task: Task, hosts: Mapping[str, tuple[float, int]], limit: float
    ) -> list[Grant]:
        """Return the grant that the owner and a host agree on, if they do."""


class ContractNet(Hosted):
    """The owner of a task calls the hosts, and the lowest price within its worth wins."""

    def deal(
        self, now: float, task: Task, hosts: Mapping[str, tuple[float, int]], limit: float
    ) -> list[Grant]:
        """Call all hosts; full ones refuse."""
        count = self.demand.slots // HOST_SLOTS
        everybody = [f"agent://host{host}" for host in range(count)]
        bids = {host: hosts[host][0] if host in hosts else None for host in everybody}
        outcome = self.exchange.round(
            self.exchange.call(now, task.agent, everybody, reserve=limit), bids
        )
        return [
            grant
            for host, price in outcome.winners
            for grant in self.paid(task, hosts[host][1], outcome, price)
        ]


Mover = Callable[[int, Mapping[str, float]], Event]


class Bargain(Hosted):
    """The owner bargains with the cheapest host."""

    protocol = ""

    def deal(
        self, now: float, task: Task, hosts: Mapping[str, tuple[float, int]], limit: float
    ) -> list[Grant]:
        """Bargain once."""
        host = min(hosts, key=lambda name: hosts[name][0])
        ask, slot = hosts[host]
        call = self.exchange.call(
            now, task.agent, [host], self.protocol, options=self.options(limit, ask)
        )
        outcome = self.exchange.bargain(
            call, self.movers(task.agent, host, limit, ask, call.msg_id)
        )
        price = outcome.winners[0][1] if outcome.winners else -1.0
        return self.paid(task, slot, outcome, price) if price >= 0 else []

    @abstractmethod
    def options(self, limit: float, ask: float) -> dict[str, object]:
        """Return what the call says about the bargain."""

    @abstractmethod
    def movers(
        self, owner: str, host: str, limit: float, ask: float, call_id: str
    ) -> dict[str, Mover]:
        """Return how each side moves."""


class Concession(Bargain):
    """Monotonic concession: both give way in eight steps until their prices meet."""

    protocol = "monotonic-concession"

    def options(self, limit: float, ask: float) -> dict[str, object]:
        """Let either concede."""
        return {"concession": "either"}

    def movers(
        self, owner: str, host: str, limit: float, ask: float, call_id: str
    ) -> dict[str, Mover]:
        """Go from nothing to the limit, and from four times the ask to the ask."""
        return {
            owner: lambda step, _: propose(owner, limit * min(step, STEPS) / STEPS, step),
            host: lambda step, _: propose(host, ask * (4 - 3 * min(step, STEPS) / STEPS), step),
        }


class Rubinstein(Bargain):
    """Alternating offers: the owner opens with the share of the equilibrium, δ = 0.9 each."""

    protocol = "alternating-offers"
    first_share = (1 - DELTA) / (1 - DELTA * DELTA)

    def options(self, limit: float, ask: float) -> dict[str, object]:
        """Open with what leaves the host its share of the gain, if there is a gain."""
        price = limit - self.first_share * (limit - ask) if limit > ask else limit
        return {"opening": {"value": price}, "first": "initiator"}

    def movers(
        self, owner: str, host: str, limit: float, ask: float, call_id: str
    ) -> dict[str, Mover]:
        """Accept what is above the ask; it cannot get more than that by waiting."""

        def answer(step: int, _: Mapping[str, float]) -> Event:
            if limit > ask:
                return accept(host, call_id, step)
            return RefusalReceived(host, f"no-{step}", "below_cost")

        def give_up(step: int, _: Mapping[str, float]) -> Event:
            return RefusalReceived(owner, f"no-{step}")

        return {host: answer, owner: give_up}


ARMS: dict[str, type[Arm]] = {
    "static quota": Quota,
    "FIFO": Fifo,
    "contract net": ContractNet,
    "sealed, first price": Auction,
    "Vickrey": Vickrey,
    "monotonic concession": Concession,
    "alternating offers": Rubinstein,
}
"""The arms of the table, in its order."""
