"""Scenes for the stores of awards, locks and credit: a few gateways, alice's credit, four units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from policy import ledger
from policy.ledger import Balance
from policy.store import (
    Change,
    Commit,
    Committed,
    Decide,
    HoldCredit,
    Lock,
    Mint,
    Refused,
    SetResource,
    Store,
)

ALICE, BOB = "agent://alice", "agent://bob"
CHUNK = 10
"""What gateways of these tests take along."""
SECONDS_MAX = 60

OpenStore = Callable[[str], AbstractAsyncContextManager[Store]]
Scene = Callable[["Stores"], Awaitable[None]]


class Stores:
    """The stores of one world by gateway, opened when they are first asked for."""

    def __init__(self, opened: OpenStore, fence: Callable[[str], Awaitable[None]]) -> None:
        """`opened` makes the store of a gateway, `fence` ends the epoch that it lives in."""
        self._opened = opened
        self.fence = fence
        self._stack = AsyncExitStack()
        self._there: dict[str, Store] = {}

    async def of(self, gateway_id: str) -> Store:
        """Return the store of a gateway."""
        if gateway_id not in self._there:
            self._there[gateway_id] = await self._stack.enter_async_context(
                self._opened(gateway_id)
            )
        return self._there[gateway_id]

    async def __aenter__(self) -> Stores:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def done(store: Store, key: str, *changes: Change, at: float = 0.0) -> Committed:
    """Commit, and have it happen."""
    answer = await store.commit(Commit(key, at, changes))
    assert isinstance(answer, Committed), answer
    return answer


async def refused(store: Store, key: str, *changes: Change, at: float = 0.0) -> Refused:
    """Commit, and have it refused."""
    answer = await store.commit(Commit(key, at, changes))
    assert isinstance(answer, Refused), answer
    return answer


def award(
    name: str, micros: int = 10, units: int = 1, agent: str = BOB, budgets: Sequence[str] = ()
) -> tuple[Change, ...]:
    """Return what an award of the call `name` changes: a lock from 10 to 20, and alice's credit."""
    return (
        Decide(name, f"n.{name}", b"{}"),
        Lock(f"{name}/lock", "h100", units, 10.0, 20.0, agent, f"n.{name}"),
        HoldCredit(
            f"{name}/hold",
            ALICE,
            micros,
            30.0,
            f"n.{name}",
            "h100",
            "atlas",
            tuple(budgets),
        ),
    )


async def prepared(store: Store, micros: int = 100, units: int = 4) -> None:
    """Give alice credit, and let there be a resource."""
    await done(store, "prepare", Mint(ALICE, micros), SetResource("h100", units))


async def balanced(store: Store) -> None:
    """See that the journal adds up, at every prefix, and that purses are what it says."""
    entries = await store.entries()
    running: Counter[tuple[str, str, str]] = Counter()
    for entry in entries:
        assert sum(posting.micros for posting in entry.postings) == 0
        for posting in entry.postings:
            running[posting.kind, posting.owner, posting.place] += posting.micros
        assert all(
            micros >= 0
            for (kind, *_), micros in running.items()
            if kind in ("available", "held", "market", "burn")
        )
    totals = ledger.totals(entries)
    assert sum(totals.values()) == 0
    for agent in (ALICE, BOB):
        sums: Counter[str] = Counter()
        for (kind, owner, _), micros in ledger.balances(entries).items():
            if owner == agent:
                sums[kind] += micros
        assert await store.balance(agent) == Balance(sums["available"], sums["held"])
    assert totals["held"] == sum(hold.micros for hold in await store.holds())
    assert totals["market"] == sum(cost.micros for cost in ledger.attribution(entries))


class Promises:
    """Some of what a store promises; who inherits says in `play` how a scene gets its stores."""

    def play(self, scene: Scene) -> None:
        """Run a scene in a world of its own."""
        raise AssertionError("the class that inherits knows its world")
