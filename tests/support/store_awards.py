"""What every store promises about awards: decision, units and escrow in one go."""

from __future__ import annotations

import asyncio

from policy.ledger import Balance
from policy.store import (
    Capture,
    Commit,
    Committed,
    Decide,
    Lock,
    Refused,
    Release,
    Reopen,
    ShowLock,
    Unlock,
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


class AwardPromises(Promises):
    """An award is whole or it is not."""

    def test_an_award_decides_locks_and_holds_together(self) -> None:
        """N-7.7: award = one compare-and-swap of the decision, the units and the escrow."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store)
            answer = await done(store, "a", *award("call"))
            assert answer.is_first
            assert answer.entry.locks == {"call/lock": 1}
            decision = await store.decision("call")
            assert decision is not None
            assert (decision.negotiation_id, decision.gateway_id) == ("n.call", "g1")
            assert await store.balance(ALICE) == Balance(90, 10)
            await balanced(store)

        self.play(scene)

    def test_an_award_that_lacks_one_thing_does_nothing(self) -> None:
        """N-7.7: all or none: without units no escrow, without credit no lock, no decision."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store)
            short = await refused(store, "a", *award("call", micros=101))
            assert (short.code, short.agent) == ("CREDIT_SHORT", ALICE)
            gone = await refused(store, "b", *award("call", units=5))
            assert (gone.code, gone.subject, gone.agent) == ("RESOURCE_GONE", "h100", BOB)
            assert await store.decision("call") is None
            assert await store.balance(ALICE) == Balance(100, 0)
            resource = await store.resource("h100")
            assert resource is not None and not resource.bookings
            assert [entry.key for entry in await store.entries()] == ["prepare"]

        self.play(scene)

    def test_of_two_gateways_that_award_one_call_the_first_does(self) -> None:
        """N-7.7: the second hears which award stands, and holds nothing."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one)
            await done(one, "a", *award("call"))
            lost = await refused(two, "b", Decide("call", "n.other"), *award("other")[1:])
            assert lost.code == "ALREADY_DECIDED"
            assert lost.decision is not None and lost.decision.negotiation_id == "n.call"
            assert (await one.balance(ALICE)).held == 10
            await balanced(two)

        self.play(scene)

    def test_a_unit_has_one_holder_however_many_want_it(self) -> None:
        """N-7.8: a unit of a resource has at most one committed contract for any instant."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one, micros=1_000)
            commits = [Commit(f"a{i}", 0.0, award(f"call{i}")) for i in range(12)]
            answers = await asyncio.gather(
                *((one, two)[i % 2].commit(commit) for i, commit in enumerate(commits))
            )
            won = [answer for answer in answers if isinstance(answer, Committed)]
            lost = {answer.code for answer in answers if isinstance(answer, Refused)}
            assert len(won) == 4
            assert lost == {"RESOURCE_GONE"}
            numbers = [number for answer in won for number in answer.entry.locks.values()]
            units = [
                unit for answer in won for units in answer.entry.units.values() for unit in units
            ]
            assert sorted(numbers) == [1, 2, 3, 4]
            assert sorted(units) == [0, 1, 2, 3]
            await balanced(one)

        self.play(scene)

    def test_a_stale_holder_is_refused(self) -> None:
        """N-7.8: a lock carries a fencing number that grows; a stale holder is refused."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store, units=1)
            old = await done(store, "a", *award("call"))
            number = old.entry.locks["call/lock"]
            await done(store, "show", ShowLock("h100", "call/lock", number))
            await done(store, "u", Unlock("h100", "call/lock"), Release("call/hold"))
            newer = await done(store, "b", *award("next"))
            assert newer.entry.locks["next/lock"] > number
            stale = ShowLock("h100", "call/lock", number)
            assert (await refused(store, "s1", stale)).code == "LOCK_STALE"
            paid = await refused(store, "s2", stale, Capture("next/hold", 1))
            assert paid.code == "LOCK_STALE"
            assert (await store.balance(ALICE)).held == 10
            ended = ShowLock("h100", "next/lock", newer.entry.locks["next/lock"])
            assert (await refused(store, "s3", ended, at=20.0)).code == "LOCK_STALE"

        self.play(scene)

    def test_an_offer_with_a_soft_hold_cannot_fail_for_lack_of_stock(self) -> None:
        """N-7.9: an offer may take a soft hold; without one the loser is told RESOURCE_GONE."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one, units=1)
            soft = Lock("offer", "h100", 1, 10.0, 20.0, BOB, soft_until=5.0)
            await done(one, "offer", soft)
            assert (await refused(two, "b", *award("other"))).code == "RESOURCE_GONE"
            hard = Lock("call/lock", "h100", 1, 10.0, 20.0, BOB, instead_of="offer")
            answer = await done(two, "a", hard, at=4.0)
            assert answer.entry.locks == {"call/lock": 1}
            resource = await one.resource("h100")
            assert resource is not None
            assert [booking.lock_id for booking in resource.bookings] == ["call/lock"]

        self.play(scene)

    def test_after_its_end_a_negotiation_holds_nothing(self) -> None:
        """N-7.4: after a terminal negotiation its held sum is 0."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store)
            await done(store, "a", *award("call"))
            (hold,) = await store.holds("call/")
            assert (hold.negotiation_id, hold.micros) == ("n.call", 10)
            await done(store, "end", Release("call/hold"), Unlock("h100", "call/lock"))
            assert not await store.holds("call/")
            assert await store.balance(ALICE) == Balance(100, 0)
            resource = await store.resource("h100")
            assert resource is not None and not resource.bookings

        self.play(scene)

    def test_a_void_key_stays_void(self) -> None:
        """N-7.10: an award whose fate is unknown is called off: it happened before, or never."""

        async def scene(stores: Stores) -> None:
            one, two = await stores.of("g1"), await stores.of("g2")
            await prepared(one)
            assert (await done(two, "a")).entry.is_void
            late = await done(one, "a", *award("call"))
            assert (late.is_first, late.entry.is_void) == (False, True)
            assert await one.decision("call") is None
            await done(one, "b", *award("call"))
            there = await done(two, "b")
            assert (there.is_first, there.entry.is_void) == (False, False)

        self.play(scene)

    def test_who_is_fenced_off_writes_nothing(self) -> None:
        """N-7.8: the write is refused if the writer's claim is no longer current."""

        async def scene(stores: Stores) -> None:
            one = await stores.of("g1")
            await prepared(one)
            await stores.fence("g1")
            assert (await refused(one, "a", *award("call"))).code == "FENCED"
            assert await one.decision("call") is None
            assert await one.balance(ALICE) == Balance(100, 0)

        self.play(scene)

    def test_an_award_that_is_taken_back_leaves_the_call_to_the_next_best(self) -> None:
        """N-7.7: CLOSED again, in one go with the release of what was locked and held."""

        async def scene(stores: Stores) -> None:
            store = await stores.of("g1")
            await prepared(store, units=1)
            await done(store, "a", *award("call"))
            other = await refused(store, "x", Reopen("call", "n.other"))
            assert other.code == "ALREADY_DECIDED"
            undo = (
                Reopen("call", "n.call"),
                Unlock("h100", "call/lock"),
                Release("call/hold"),
            )
            await done(store, "undo", *undo)
            assert await store.decision("call") is None
            second = (Decide("call", "n.call", b"2"), *award("second")[1:])
            await done(store, "b", *second)
            decision = await store.decision("call")
            assert decision is not None and decision.outcome == b"2"
            assert (await store.balance(ALICE)).held == 10

        self.play(scene)
