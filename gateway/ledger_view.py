"""What an operator sees of a ledger and changes in it, and an agent of its own account.

Everything is of one tenant. What cannot be is told by the store as a `Refused`.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.clock import Clock
from gateway.commits import PROJECT, plain
from gateway.known_budgets import KnownBudgets
from gateway.ledger_reading import STATEMENTS_MAX, JournalReader
from llmx.v1 import credit_pb2 as credit
from llmx.v1 import resource_pb2 as things
from policy import ledger
from policy.ledger import Entry, Spent
from policy.resources import Resource
from policy.store import (
    Burn,
    Change,
    Commit,
    Committed,
    Mint,
    Refund,
    Refused,
    SetBudget,
    SetResource,
    Store,
)

COSTS_MAX = 10_000
AGENT = "agent://"


class LedgerView:
    """One ledger, as the service shows it."""

    def __init__(self, store: Store, budgets: KnownBudgets, now: Clock) -> None:
        """Look into `store`; whoever believes to know its budgets hears of changes."""
        self._store = store
        self._journal = JournalReader(store)
        self._known = budgets
        self._now = now

    async def statement(
        self, tenant: str, agent: str, lines_max: int
    ) -> tuple[credit.Account, list[credit.StatementLine], bool]:
        """Return an account, its latest lines, and whether there are earlier ones."""
        name = f"{tenant}|{agent}"
        lines = await self._journal.look(partial(ledger.statement, name), STATEMENTS_MAX)
        shown = [_line(agent, line) for line in lines[-lines_max:]]
        return await self.account(tenant, agent), shown, len(lines) > lines_max

    async def account(self, tenant: str, agent: str) -> credit.Account:
        """Return what an agent has."""
        return _account(agent, await self._store.balance(f"{tenant}|{agent}"))

    async def ledger(
        self, tenant: str, since: float
    ) -> tuple[credit.LedgerTotals, list[credit.Account], list[credit.Cost]]:
        """Return sums, accounts by agent, and who has spent how much on what since a time."""
        return await self._journal.look(partial(_summed, f"{tenant}|", since))

    async def give(self, tenant: str, agent: str, micros: int, key: str) -> Refused | None:
        """Give an agent credit, or take some out; returns why that cannot be."""
        name = f"{tenant}|{agent}"
        change: Change = Mint(name, micros) if micros > 0 else Burn(name, -micros)
        return await self._do(tenant, key, change)

    async def refund(self, tenant: str, hold_id: str, micros: int, key: str) -> Refused | str:
        """Give back what was paid of a hold; returns who has it now, or why that cannot be."""
        paid = await self._journal.look(partial(_paid_of, f"{tenant}|", hold_id))
        if paid is None:
            return Refused("REFUND_TOO_LARGE", hold_id, "nothing was paid of a hold of this id")
        refund = Refund(paid.key, hold_id, micros or max(paid.left, 1))
        return await self._do(tenant, key, refund) or plain(paid.payer)

    async def set_budget(self, tenant: str, budget: credit.Budget) -> Refused | None:
        """Make a budget, or change it; returns why that cannot be."""
        window = budget.window.ToNanoseconds() / 1e9 if budget.HasField("window") else None
        name = f"{tenant}|{_budget_name(budget.name)}"
        refused = await self._do(tenant, "", SetBudget(name, budget.micros, window))
        self._known.forget()
        return refused

    async def budget(self, tenant: str, name: str) -> credit.Budget | None:
        """Return how a budget stands now."""
        use = await self._store.budget(f"{tenant}|{_budget_name(name)}", self._now())
        if use is None:
            return None
        told = credit.Budget(name=name, micros=use.grant.micros, used_micros=use.used)
        if use.grant.seconds is not None:
            told.window.FromNanoseconds(round(use.grant.seconds * 1e9))
        if use.resets_at is not None:
            told.resets_at.CopyFrom(_moment(use.resets_at))
        return told

    async def resources(self, tenant: str, prefix: str) -> list[things.Resource]:
        """Return resources, by name."""
        head, now = f"{tenant}|", self._now()
        return [
            _resource(one, now)
            for one in await self._store.resources()
            if one.name.startswith(head + prefix) and one.units
        ]

    async def set_resource(self, tenant: str, resource: things.Resource) -> Refused | None:
        """Register a resource, or change it; returns why that cannot be."""
        closes = resource.closes_at if resource.HasField("closes_at") else None
        change = SetResource(
            f"{tenant}|{resource.name}",
            resource.units,
            opens_at=resource.opens_at.ToNanoseconds() / 1e9,
            closes_at=None if closes is None else closes.ToNanoseconds() / 1e9,
            reserve=resource.reserve if resource.HasField("reserve") else None,
        )
        return await self._do(tenant, "", change)

    async def resource(self, tenant: str, name: str) -> things.Resource | None:
        """Return one resource."""
        found = await self._store.resource(f"{tenant}|{name}")
        return None if found is None else _resource(found, self._now())

    async def _do(self, tenant: str, key: str, change: Change) -> Refused | None:
        """Carry out what an operator wants; without a key it is a change of its own."""
        now = self._now()
        own = f"operator:{tenant}:{key or secrets.token_hex(8)}"
        answer = await self._store.commit(Commit(own, now, (change,)))
        return None if isinstance(answer, Committed) else answer


def _budget_name(name: str) -> str:
    return name if name.startswith(AGENT) else PROJECT + name


def _is_of(entry: Entry, head: str) -> bool:
    return any(posting.owner.startswith(head) for posting in entry.postings) or any(
        spent.agent.startswith(head) for spent in entry.spent
    )


class _Paid(msgspec.Struct, frozen=True):
    """What was paid of a hold."""

    key: str
    """Of the first entry that says so."""
    payer: str
    left: int
    """Of it in millionths, without what was given back."""


def _paid_of(head: str, hold_id: str, entries: Sequence[Entry]) -> _Paid | None:
    key, payer, left = "", "", 0
    for entry in entries:
        for spent in entry.spent:
            if spent.hold_id == hold_id and spent.agent.startswith(head):
                left += spent.micros
                key = key or (entry.key if spent.micros > 0 else "")
                payer = spent.agent
    return _Paid(key, payer, left) if key else None


def _summed(
    head: str, since: float, everybodys: Sequence[Entry]
) -> tuple[credit.LedgerTotals, list[credit.Account], list[credit.Cost]]:
    entries = [entry for entry in everybodys if _is_of(entry, head)]
    costs = [
        credit.Cost(
            agent_id=plain(cost.agent),
            resource=cost.resource,
            negotiation_id=cost.negotiation_id,
            project=cost.project,
            micros=cost.micros,
        )
        for cost in ledger.attribution(entry for entry in entries if entry.at >= since)
    ]
    costs.sort(key=lambda cost: -cost.micros)
    return _totals(entries), _accounts(entries), costs[:COSTS_MAX]


def _totals(entries: Sequence[Entry]) -> credit.LedgerTotals:
    sums = ledger.totals(entries)
    return credit.LedgerTotals(
        minted_micros=-sums["mint"],
        available_micros=sums["available"],
        held_micros=sums["held"],
        paid_micros=sums["market"],
        burned_micros=sums["burn"],
    )


def _accounts(entries: Iterable[Entry]) -> list[credit.Account]:
    sums: Counter[tuple[str, str]] = Counter()
    for (kind, owner, _), micros in ledger.balances(entries).items():
        if owner:
            sums[owner, kind] += micros
    return [
        credit.Account(
            agent_id=plain(owner),
            available_micros=sums[owner, "available"],
            held_micros=sums[owner, "held"],
        )
        for owner in sorted({owner for owner, _ in sums})
    ]


def _account(agent: str, balance: ledger.Balance) -> credit.Account:
    return credit.Account(
        agent_id=agent, available_micros=balance.available, held_micros=balance.held
    )


def _line(agent: str, line: ledger.Line) -> credit.StatementLine:
    return credit.StatementLine(
        at=_moment(line.at),
        key=line.key,
        available_micros=line.available,
        held_micros=line.held,
        balance=_account(agent, line.balance),
        spent=map(_spending, line.spent),
    )


def _spending(spent: Spent) -> credit.Spending:
    return credit.Spending(
        hold_id=spent.hold_id,
        micros=spent.micros,
        negotiation_id=spent.negotiation_id,
        resource=spent.resource,
        project=spent.project,
    )


def _resource(resource: Resource, now: float) -> things.Resource:
    told = things.Resource(
        name=plain(resource.name),
        units=resource.units,
        fencing=resource.fencing,
        reserve=resource.reserve,
    )
    if resource.opens_at:
        told.opens_at.CopyFrom(_moment(resource.opens_at))
    if resource.closes_at is not None:
        told.closes_at.CopyFrom(_moment(resource.closes_at))
    for one in resource.bookings:
        if one.is_over(now):
            continue
        booking = told.bookings.add(
            lock_id=one.lock_id,
            units=len(one.units),
            starts_at=_moment(one.starts_at),
            ends_at=_moment(one.ends_at),
            agent_id=plain(one.agent),
            negotiation_id=one.negotiation_id,
            fencing=one.fencing,
        )
        if one.soft_until is not None:
            booking.soft_until.CopyFrom(_moment(one.soft_until))
    return told


def _moment(seconds: float) -> Timestamp:
    told = Timestamp()
    told.FromNanoseconds(int(seconds * 1e9))
    return told
