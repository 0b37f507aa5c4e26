"""What effects about stakes are in the store, and what its answers mean."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from federation.award_log import Entry as Award
from gateway import commits
from gateway.commits import Owner
from policy import store
from policy.effects import Capture, Finish, Settle
from policy.events import HoldRefused, NotSettled, Settled
from policy.ledger import Entry
from policy.stakes import Lock, Stake
from policy.store import Committed, Decision, Refused
from tests.support.plays import make_call

OWNER = Owner("acme", "tag")
CALL = make_call()
STAKE = Stake(
    "g.0.n/1/1",
    "agent://bob",
    "o1",
    "agent://alice",
    "agent://alice",
    "vision",
    30,
    (Lock("gpu", 4, 10.0, 70.0),),
    99.0,
)
OTHER = replace(STAKE, key="g.0.n/1/2", agent="agent://carol", locks=(Lock("disk", 1, 10.0, 70.0),))
SETTLE = Settle(1, (STAKE, OTHER), 15.0)
BOTH = frozenset(("acme|agent://alice",))


def test_an_award_is_one_commit_of_decision_units_and_credit() -> None:
    """N-7.7: under a key that asking twice repeats."""
    award = Award("g.0.n", "g", b"{}", 7)
    commit = commits.settling(
        Settle(1, (STAKE,), 15.0), CALL, OWNER, 12.0, award, BOTH, frozenset((STAKE.key,))
    )
    decide, lock, hold, capture = commit.changes
    assert (commit.key, commit.at) == ("settle:g.0.n/1", 12.0)
    assert isinstance(decide, store.Decide) and decide.call == OWNER.key_of(CALL)
    stands = Decision(decide.call, "g.0.n", "g", decide.outcome, 12.0)
    assert commits.award_of(stands) == award
    assert lock == store.Lock(
        "g.0.n/1/1/0",
        "acme|gpu",
        4,
        10.0,
        70.0,
        agent="acme|agent://alice",
        negotiation_id="g.0.n",
    )
    assert hold == store.HoldCredit(
        "g.0.n/1/1",
        "acme|agent://alice",
        30,
        99.0,
        negotiation_id="g.0.n",
        resource="gpu",
        project="vision",
        budgets=("acme|agent://alice", "acme|project:vision"),
    )
    assert capture == store.Capture("g.0.n/1/1", 30)


def test_an_agent_without_a_budget_of_its_own_needs_none() -> None:
    commit = commits.settling(SETTLE, CALL, OWNER, 12.0, None, frozenset(), frozenset())
    holds = [one for one in commit.changes if isinstance(one, store.HoldCredit)]
    assert [one.budgets for one in holds] == [("acme|project:vision",)] * 2


def test_nothing_is_held_of_an_award_that_costs_nothing() -> None:
    free = replace(STAKE, micros=0, locks=())
    settle = Settle(1, (free,), 15.0)
    commit = commits.settling(settle, CALL, OWNER, 12.0, None, BOTH, frozenset((free.key,)))
    assert commit.changes == ()
    assert commits.capturing(free, OWNER, 12.0, unlock=False).changes == ()
    assert commits.returning(free, OWNER, 12.0, paid_by="", reopened=None).changes == ()
    assert commits.budgets_of(replace(free, payer=""), OWNER) == []


def test_what_an_award_locks_takes_the_place_of_what_its_offer_held() -> None:
    soft = commits.softly(replace(STAKE, key="g.0.n/hold-1/bob"), OWNER, "g.0.n", 11.0)
    [held] = soft.changes
    assert isinstance(held, store.Lock)
    assert (soft.key, held.lock_id, held.soft_until) == (
        "hold:g.0.n/hold-1/bob",
        "g.0.n/hold-1/bob/0",
        99.0,
    )
    won = replace(STAKE, instead_of="g.0.n/hold-1/bob")
    commit = commits.settling(Settle(1, (won,), 15.0), CALL, OWNER, 12.0, None, BOTH, frozenset())
    assert isinstance(lock := commit.changes[0], store.Lock) and lock.instead_of == held.lock_id


def test_an_award_is_paid_once_and_its_units_are_freed_when_they_are_not_used_any_more() -> None:
    """N-7.3: the key of the commit is that of the stake."""
    paid = commits.capturing(STAKE, OWNER, 12.0, unlock=True)
    assert paid.key == "paid:g.0.n/1/1"
    assert paid.changes == (
        store.Capture("g.0.n/1/1", 30),
        store.Unlock("acme|gpu", "g.0.n/1/1/0"),
    )


def test_what_is_given_back_was_held_or_paid() -> None:
    """What was paid is refunded; and the call may be awarded again."""
    unlock = store.Unlock("acme|gpu", "g.0.n/1/1/0")
    held = commits.returning(STAKE, OWNER, 12.0, paid_by="", reopened=None)
    assert held.changes == (unlock, store.Release("g.0.n/1/1"))
    paid = commits.returning(STAKE, OWNER, 12.0, paid_by="settle:g.0.n/1", reopened=CALL)
    assert paid.changes == (
        unlock,
        store.Refund("settle:g.0.n/1", "g.0.n/1/1", 30),
        store.Reopen(OWNER.key_of(CALL), "g.0.n"),
    )


def test_an_award_is_called_off_by_a_commit_without_changes() -> None:
    """N-7.10: whoever comes later under this key hears that nothing was written."""
    void = commits.voiding("g.0.n", 1, 12.0)
    assert (void.key, void.changes) == ("settle:g.0.n/1", ())
    nothing = Committed(Entry("settle:g.0.n/1", 12.0, "g", is_void=True), is_first=False)
    assert commits.event_of(SETTLE, nothing, OWNER) is None


def test_the_engine_hears_the_fencing_numbers() -> None:
    """N-7.8: of each lock, by the stake that it is of."""
    entry = Entry("settle:g.0.n/1", 12.0, "g", locks={"g.0.n/1/1/0": 7, "g.0.n/1/2/0": 3})
    event = commits.event_of(SETTLE, Committed(entry), OWNER)
    assert isinstance(event, Settled) and event.number == 1
    assert [lock.fence for locks in event.locks.values() for lock in locks] == [7, 3]


@pytest.mark.parametrize(
    ("code", "subject", "reason", "agents"),
    [
        ("RESOURCE_GONE", "acme|gpu", "RESOURCE_GONE", ("agent://bob",)),
        ("RESOURCE_GONE", "acme|disk", "RESOURCE_GONE", ("agent://carol",)),
        ("RESOURCE_UNKNOWN", "acme|tape", "RESOURCE_GONE", ("agent://carol",)),
        ("CREDIT_SHORT", "acme|agent://alice", "BUDGET_EXHAUSTED", ("agent://carol",)),
        ("BUDGET_EXHAUSTED", "acme|project:vision", "BUDGET_EXHAUSTED", ("agent://carol",)),
        ("ALREADY_DECIDED", "call", "SUPERSEDED", ()),
        ("INVALID", "x", "STORE_UNAVAILABLE", ()),
    ],
)
def test_the_engine_hears_who_cannot_have_its_award(
    code: store.Code, subject: str, reason: str, agents: tuple[str, ...]
) -> None:
    """Of several that could be meant, the one that ranks last."""
    refused = Refused(code, subject, "why", resets_at=3600.0)
    retry_at = 3600.0 if reason == "BUDGET_EXHAUSTED" else None
    detail = "" if reason == "SUPERSEDED" else f"{code}: {subject.removeprefix('acme|')}"
    assert commits.event_of(SETTLE, refused, OWNER) == NotSettled(
        number=1, reason=reason, agents=agents, retry_at=retry_at, detail=detail
    )


def test_an_offer_hears_only_of_units_that_are_not_to_be_had() -> None:
    assert commits.hold_event_of(STAKE, Committed(Entry("k", 1.0, "g"))) is None
    gone = Refused("RESOURCE_GONE", "acme|gpu", "why")
    assert commits.hold_event_of(STAKE, gone) == HoldRefused(
        agent="agent://bob", offer_id="o1", reason="RESOURCE_GONE"
    )


def test_a_key_tells_of_which_time_of_asking_a_stake_is() -> None:
    assert commits.number_of("g.0.n/3/1") == 3
    assert commits.number_of("g.0.n/hold-1/a/2/b") == 0
    assert commits.plain("acme|agent://bob") == "agent://bob"


def test_what_is_paid_at_once_is_what_is_captured_while_its_units_are_used() -> None:
    effects = [Finish({}), Capture(("a", "b"), False), Capture(("c",), True)]
    assert commits.paid_at_once(effects) == {"a", "b"}
