"""What every store promises about credit: holds, budgets, and what gateways take along."""

from __future__ import annotations

import asyncio

from policy import ledger
from policy.ledger import Balance
from policy.store import (
    Capture,
    Commit,
    Committed,
    GiveBack,
    HoldCredit,
    Lock,
    Mint,
    Refund,
    Refused,
    Release,
    SetBudget,
)
from tests.support.store_scenes import (
    ALICE,
    BOB,
    Promises,
    Stores,
    award,
    balanced,
    done,
    prepared,
    refused,
)


class CreditPromises(Promises):
    """Credit is moved, and never made, lost or promised twice."""

    def test_the_same_key_is_answered_as_the_first_time_by_whichever_gateway(self) -> None:
        """N-7.3: replays with the same idempotency key are no-ops returning the first answer."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one)
            first = await done(one, "a", *award("call"))
            for store in (one, two):
                again = await done(store, "a", *award("call"), at=5.0)
                assert not again.is_first
                assert again.entry == first.entry
            await done(one, "c", Capture("call/hold", 4))
            assert (await done(two, "c", Capture("call/hold", 4))).is_first is False
            assert await two.balance(ALICE) == Balance(96, 0)
            await balanced(one)

        self.play(scene)

    def test_commits_under_one_key_at_the_same_time_happen_once(self) -> None:
        """N-7.3: who asks while the first is under way hears the same answer."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one)
            commit = Commit("a", 0.0, award("call"))
            answers = await asyncio.gather(*(store.commit(commit) for store in (one, two, one)))
            assert all(isinstance(answer, Committed) for answer in answers)
            firsts = [one.is_first for one in answers if isinstance(one, Committed)]
            assert sorted(firsts) == [False, False, True]
            assert (await one.balance(ALICE)).held == 10
            await balanced(one)

        self.play(scene)

    def test_a_soft_hold_ends_with_its_offer(self) -> None:
        """N-7.9: it expires at valid_until; who comes later gets the units, and it loses them."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store, units=1)
            await done(store, "offer", Lock("offer", "h100", 1, 10.0, 20.0, BOB, soft_until=5.0))
            await done(store, "other", *award("other"), at=5.0)
            late = Lock("call/lock", "h100", 1, 10.0, 20.0, BOB, instead_of="offer")
            assert (await refused(store, "a", late, at=5.0)).code == "RESOURCE_GONE"

        self.play(scene)

    def test_a_hold_ends_once(self) -> None:
        """N-7.3: capture and release of the rest, or release of all, or expiry; never two."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one)
            for name in ("paid", "freed", "over"):
                await done(one, name, HoldCredit(name, ALICE, 10, 30.0))
            await done(two, "p", Capture("paid", 6))
            await done(two, "f", Release("freed"))
            assert await two.expire(29.0) == 0
            assert await two.expire(30.0) == 1
            assert await one.balance(ALICE) == Balance(94, 0)
            for name in ("paid", "freed", "over"):
                assert (await refused(one, f"x{name}", Capture(name, 1))).code == "HOLD_ENDED"
                await done(one, f"y{name}", Release(name))
            assert await one.balance(ALICE) == Balance(94, 0)
            await balanced(one)

        self.play(scene)

    def test_a_hold_cannot_be_captured_once_its_time_is_over(self) -> None:
        """N-7.3: the act's time decides, not the moment at which somebody sweeps."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store)
            await done(store, "h", HoldCredit("h", ALICE, 10, 30.0))
            assert (await refused(store, "c", Capture("h", 10), at=30.0)).code == "HOLD_ENDED"
            large = await refused(store, "l", Capture("h", 11), at=29.0)
            assert large.code == "CAPTURE_TOO_LARGE"
            await done(store, "d", Capture("h", 10), at=29.0)

        self.play(scene)

    def test_nobody_holds_more_than_there_is_however_many_gateways_try(self) -> None:
        """N-7.2: hold(a) requires available ≥ a, at whichever gateways the credit lies."""

        async def scene(stores: Stores) -> None:
            three = [await stores.of(name) for name in ("g1", "g2", "g3")]
            await done(three[0], "mint", Mint(ALICE, 100))
            answers = await asyncio.gather(
                *(
                    three[i % 3].commit(Commit(f"h{i}", 0.0, (HoldCredit(f"h{i}", ALICE, 7, 9.0),)))
                    for i in range(30)
                )
            )
            assert sum(isinstance(answer, Committed) for answer in answers) == 14
            lost = {answer.code for answer in answers if isinstance(answer, Refused)}
            assert lost == {"CREDIT_SHORT"}
            assert await three[0].balance(ALICE) == Balance(2, 98)
            await balanced(three[2])

        self.play(scene)

    def test_what_was_spent_is_attributed(self) -> None:
        """N-7.5: the sum of captures by agent, resource and negotiation is the market's credit."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store)
            await done(store, "a", *award("one"))
            await done(store, "b", *award("two", micros=20))
            await done(store, "c", Capture("one/hold", 8))
            await done(store, "d", Capture("two/hold", 20))
            await done(store, "r", Refund("d", "two/hold", 5))
            costs = ledger.attribution(await store.entries())
            assert [(cost.negotiation_id, cost.micros) for cost in costs] == [
                ("n.one", 8),
                ("n.two", 15),
            ]
            assert {(cost.agent, cost.resource, cost.project) for cost in costs} == {
                (ALICE, "h100", "atlas")
            }
            assert ledger.totals(await store.entries())["market"] == 23
            more = await refused(store, "s", Refund("d", "two/hold", 16))
            assert more.code == "REFUND_TOO_LARGE"
            await balanced(store)

        self.play(scene)

    def test_a_budget_is_refused_when_its_window_is_used_up(self) -> None:
        """N-7.6: refused with BUDGET_EXHAUSTED and reset time; the next window begins anew."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store, micros=1_000, units=100)
            await done(store, "budget", SetBudget("alice", 30), SetBudget("atlas", 45, None))
            both = ("alice", "atlas")
            await done(store, "a", *award("one", 20, budgets=both), at=1.0)
            await done(store, "c", Capture("one/hold", 15), at=2.0)
            over = await refused(store, "b", *award("two", 16, budgets=both), at=3.0)
            assert (over.code, over.subject, over.resets_at) == (
                "BUDGET_EXHAUSTED",
                "alice",
                3600.0,
            )
            await done(store, "d", HoldCredit("d", ALICE, 15, 9e9, budgets=both), at=4.0)
            await done(store, "e", HoldCredit("e", ALICE, 15, 9e9, budgets=both), at=3600.0)
            project = HoldCredit("f", ALICE, 1, 9e9, budgets=both)
            gone = await refused(store, "f", project, at=3601.0)
            assert (gone.code, gone.subject, gone.resets_at) == ("BUDGET_EXHAUSTED", "atlas", None)
            used = await store.budget("alice", 3601.0)
            assert used is not None and (used.used, used.resets_at) == (15, 7200.0)
            unknown = await refused(store, "g", HoldCredit("g", ALICE, 1, 9e9, budgets=("x",)))
            assert unknown.code == "BUDGET_UNKNOWN"
            assert await store.budget("x", 0.0) is None

        self.play(scene)

    def test_what_was_released_does_not_count_in_its_budget(self) -> None:
        """N-7.6: captures and open holds count; what was given back does not."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store)
            await done(store, "budget", SetBudget("alice", 30))
            await done(store, "h", HoldCredit("h", ALICE, 30, 9e9, budgets=("alice",)))
            await done(store, "r", Release("h"), at=1.0)
            await done(store, "i", HoldCredit("i", ALICE, 30, 9e9, budgets=("alice",)), at=2.0)
            await done(store, "s", Release("i"), at=3600.0)
            used = await store.budget("alice", 3600.0)
            assert used is not None and used.used == 0

        self.play(scene)

    def test_a_limit_of_the_cluster_holds_at_all_gateways_together(self) -> None:
        """N-8.6: Σ local leases ≤ global, and what is admitted never exceeds it."""

        async def scene(stores: Stores) -> None:
            three = [await stores.of(name) for name in ("g1", "g2", "g3")]
            await done(three[0], "m", Mint(ALICE, 1_000), SetBudget("hour", 100))
            answers = await asyncio.gather(
                *(
                    three[i % 3].commit(
                        Commit(
                            f"h{i}", 0.0, (HoldCredit(f"h{i}", ALICE, 7, 9.0, budgets=("hour",)),)
                        )
                    )
                    for i in range(30)
                )
            )
            lost = [answer for answer in answers if isinstance(answer, Refused)]
            assert {(one.code, one.resets_at) for one in lost} == {("BUDGET_EXHAUSTED", 3600.0)}
            assert len(lost) == 16
            use = await three[1].budget("hour", 0.0)
            assert use is not None and use.used == 98
            assert sum(use.grant.leased.values()) <= 100

        self.play(scene)

    def test_a_smaller_grant_takes_back_what_nobody_has_used(self) -> None:
        """N-8.6: leases that were given out under a larger grant do not outlive it."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await done(one, "m", Mint(ALICE, 1_000), SetBudget("hour", 100))
            await done(one, "a", HoldCredit("a", ALICE, 1, 9.0, budgets=("hour",)))
            await done(two, "b", HoldCredit("b", ALICE, 1, 9.0, budgets=("hour",)))
            await done(two, "less", SetBudget("hour", 3))
            over = HoldCredit("c", ALICE, 2, 9.0, budgets=("hour",))
            assert (await refused(one, "c", over)).code == "BUDGET_EXHAUSTED"
            await done(one, "d", HoldCredit("d", ALICE, 1, 9.0, budgets=("hour",)))

        self.play(scene)

    def test_credit_that_lies_elsewhere_is_found(self) -> None:
        """N-8.6: chunks that others took along are taken back when the treasury is empty."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await done(one, "m", Mint(ALICE, 30))
            await done(one, "a", HoldCredit("a", ALICE, 20, 9.0))
            await done(one, "r", Release("a"))
            await done(two, "b", HoldCredit("b", ALICE, 30, 9.0))
            assert await two.balance(ALICE) == Balance(0, 30)
            await done(two, "s", Release("b"))
            await done(two, "give", GiveBack(ALICE))
            await done(one, "c", HoldCredit("c", ALICE, 30, 9.0))
            await balanced(one)

        self.play(scene)

    def test_what_is_carried_forward_changes_no_balance(self) -> None:
        """N-7.1: balance = fold(ledger), also when the past is one entry."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one)
            for name in ("a", "b", "c"):
                await done(one, name, *award(name))
                await done(two, f"{name} paid", Capture(f"{name}/hold", 6))
            totals = ledger.totals(await one.entries())
            assert await two.carry_forward(1.0, 2.0) == 1
            await done(one, "later", *award("later"), at=3.0)
            entries = await one.entries()
            assert [entry.is_carried for entry in entries] == [True, False]
            assert ledger.totals(entries[:1]) == totals
            assert await one.balance(ALICE) == Balance(72, 10)
            await balanced(two)

        self.play(scene)

    def test_a_statement_tells_what_changed_in_its_order(self) -> None:
        """N-7.1: balance = fold(ledger), line by line."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one)
            await done(one, "a", *award("call"))
            await done(two, "c", Capture("call/hold", 4))
            lines = ledger.statement(ALICE, await two.entries())
            assert [(line.key, line.available, line.held) for line in lines] == [
                ("prepare", 100, 0),
                ("a", -10, 10),
                ("c", 6, -10),
            ]
            assert lines[-1].balance == await one.balance(ALICE) == Balance(96, 0)
            assert [resource.name for resource in await one.resources()] == ["h100"]

        self.play(scene)
