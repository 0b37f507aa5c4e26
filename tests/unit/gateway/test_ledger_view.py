"""What a ledger looks like to its operator."""

from __future__ import annotations

from gateway.known_budgets import KnownBudgets
from gateway.ledger_view import LedgerView
from llmx.v1.credit_pb2 import Budget
from llmx.v1.resource_pb2 import Resource
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import Capture, Commit, Committed, HoldCredit, Lock, Refund, Refused

NOW = 1755801900.0
ALICE = "default|agent://alice"


class Books:
    """A ledger with a hundred credits of alice's and eight units."""

    def __init__(self) -> None:
        self.store = MemoryStore(Writer("g"))
        self.view = LedgerView(self.store, KnownBudgets(self.store, lambda: NOW), lambda: NOW)

    async def commit(self, key: str, *changes: object) -> None:
        answer = await self.store.commit(Commit(key, NOW, changes))  # type: ignore[arg-type]
        assert isinstance(answer, Committed), answer


async def filled() -> Books:
    books = Books()
    assert await books.view.give("default", "agent://alice", 100, "") is None
    assert await books.view.set_resource("default", Resource(name="gpu", units=8)) is None
    return books


def hold(name: str, micros: int) -> HoldCredit:
    return HoldCredit(name, ALICE, micros, NOW + 60, "g.0.n", "gpu", "vision")


async def test_the_sums_are_those_of_the_tenant_and_come_out() -> None:
    """N-7.5: what was paid is what somebody has spent on something."""
    books = await filled()
    await books.view.give("other", "agent://eve", 7, "")
    await books.view.give("default", "agent://alice", -10, "")
    await books.commit("settle:1", hold("a", 30), Capture("a", 30))
    await books.commit("settle:2", hold("b", 20))
    await books.commit("back:1", Refund("settle:1", "a", 5))
    totals, accounts, costs = await books.view.ledger("default", 0.0)
    assert totals.minted_micros == 100
    assert totals.minted_micros == (
        totals.available_micros + totals.held_micros + totals.paid_micros + totals.burned_micros
    )
    assert (totals.held_micros, totals.paid_micros, totals.burned_micros) == (20, 25, 10)
    assert [(one.agent_id, one.available_micros, one.held_micros) for one in accounts] == [
        ("agent://alice", 45, 20)
    ]
    assert [(one.agent_id, one.resource, one.project, one.micros) for one in costs] == [
        ("agent://alice", "gpu", "vision", 25)
    ]
    _, _, later = await books.view.ledger("default", NOW + 1)
    assert later == []


async def test_a_statement_has_the_latest_lines_with_what_was_left() -> None:
    books = await filled()
    await books.commit("settle:1", hold("a", 30))
    await books.commit("paid:1", Capture("a", 25))
    account, lines, more = await books.view.statement("default", "agent://alice", 2)
    assert account.available_micros == 75 and more
    assert [(one.key, one.available_micros, one.held_micros) for one in lines] == [
        ("settle:1", -30, 30),
        ("paid:1", 5, -30),
    ]
    [spent] = lines[1].spent
    assert (spent.hold_id, spent.micros, spent.negotiation_id) == ("a", 25, "g.0.n")
    assert lines[1].balance.available_micros == 75


async def test_a_calendar_shows_who_has_which_units_when() -> None:
    books = await filled()
    await books.commit("a", Lock("l1", "default|gpu", 4, NOW, NOW + 60, ALICE, "g.0.n"))
    soft = Lock("l2", "default|gpu", 1, NOW, NOW + 60, ALICE, "g.0.n", soft_until=NOW + 9)
    await books.commit("b", soft)
    [gpu] = await books.view.resources("default", "")
    assert (gpu.name, gpu.units, gpu.fencing) == ("gpu", 8, 1)
    assert [(one.agent_id, one.units, one.fencing) for one in gpu.bookings] == [
        ("agent://alice", 4, 1),
        ("agent://alice", 1, 0),
    ]
    assert [one.HasField("soft_until") for one in gpu.bookings] == [False, True]
    assert not gpu.HasField("opens_at") and not gpu.HasField("closes_at")


async def test_a_resource_may_open_and_close() -> None:
    books = await filled()
    wanted = Resource(name="night", units=2)
    wanted.opens_at.FromSeconds(int(NOW))
    wanted.closes_at.FromSeconds(int(NOW) + 60)
    assert await books.view.set_resource("default", wanted) is None
    night = await books.view.resource("default", "night")
    assert night is not None
    assert (night.opens_at, night.closes_at) == (wanted.opens_at, wanted.closes_at)
    assert await books.view.resource("default", "day") is None


async def test_a_budget_of_a_project_has_no_end() -> None:
    books = await filled()
    assert await books.view.set_budget("default", Budget(name="vision", micros=9)) is None
    stands = await books.view.budget("default", "vision")
    assert stands is not None and stands.micros == 9
    assert not stands.HasField("window") and not stands.HasField("resets_at")
    assert await books.view.budget("default", "agent://alice") is None


async def test_bookings_that_do_not_fit_any_more_are_kept() -> None:
    books = await filled()
    await books.commit("a", Lock("l1", "default|gpu", 4, NOW, NOW + 60, ALICE, "g.0.n"))
    refused = await books.view.set_resource("default", Resource(name="gpu", units=1))
    assert isinstance(refused, Refused) and refused.code == "RESOURCE_BUSY"
