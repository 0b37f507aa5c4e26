"""What is read from a store: balances, budgets, resources, and what is due."""

from __future__ import annotations

from policy.judging import Writer
from policy.ledger import Balance
from policy.memory_store import Memory, MemoryStore
from policy.store import Decide, HoldCredit, Mint, Reopen, SetBudget, SetResource
from policy.views import EXPIRED_MAX
from tests.support.store_scenes import done


async def test_an_agent_is_not_another_one_whose_name_begins_so() -> None:
    store = MemoryStore(Writer("g1", "g1", 10))
    await done(store, "m", Mint("agent://al", 10), Mint("agent://alice", 20))
    await done(store, "h", HoldCredit("h", "agent://al", 5, 9.0))
    assert await store.balance("agent://al") == Balance(5, 5)
    assert await store.balance("agent://alice") == Balance(20, 0)
    assert await store.balance("agent://bob") == Balance(0, 0)


async def test_the_award_of_a_call_is_told_while_it_stands() -> None:
    store = MemoryStore(Writer("g1"))
    assert await store.decision("c") is None
    await done(store, "a", Decide("c", "n"), Decide("c2", "n2"))
    decision = await store.decision("c")
    assert decision is not None and decision.negotiation_id == "n"
    await done(store, "b", Reopen("c", "n"))
    assert await store.decision("c") is None


async def test_resources_and_budgets_are_told_by_name() -> None:
    store = MemoryStore(Writer("g1"))
    await done(store, "a", SetResource("h100", 4), SetResource("a100", 2))
    await done(store, "b", SetBudget("hour", 10), SetBudget("hours", 20))
    assert [one.name for one in await store.resources()] == ["a100", "h100"]
    assert await store.resource("h") is None
    use = await store.budget("hour", 0.0)
    assert use is not None and (use.grant.micros, use.used, use.resets_at) == (10, 0, 3600.0)
    assert await store.budget("hou", 0.0) is None


async def test_who_is_fenced_off_ends_nothing() -> None:
    store = MemoryStore(Writer("g1"))
    await done(store, "m", Mint("a", 5), HoldCredit("h", "a", 5, 9.0))
    store.memory.epochs["g1"] = 7
    assert await store.expire(9.0) == 0
    assert len(await store.holds()) == 1


async def test_the_journal_is_told_from_a_time_on() -> None:
    store = MemoryStore(Writer("g1"))
    for at in (1.0, 2.0, 3.0):
        await done(store, f"m{at}", Mint("a", 1), at=at)
    assert [entry.key for entry in await store.entries(since=2.0)] == ["m2.0", "m3.0"]


async def test_everything_that_is_due_ends_however_much_it_is() -> None:
    """N-7.4: nothing stays held because nobody came back for it."""
    memory = Memory()
    stores = [MemoryStore(Writer(name, name), memory) for name in ("g1", "g2")]
    many = 2 * EXPIRED_MAX + 1
    await done(stores[0], "m", Mint("a", many + 1))
    await done(stores[0], "late", HoldCredit("late", "a", 1, 10.0))
    for number in range(many):
        await done(stores[0], f"h{number}", HoldCredit(f"h{number}", "a", 1, 9.0))
    assert await stores[1].expire(9.0) == many
    assert await stores[1].balance("a") == Balance(many, 1)
    assert [hold.hold_id for hold in await stores[0].holds()] == ["late"]
