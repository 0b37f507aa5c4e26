"""A shard: order, time, bounds, and who is told; driven by a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from policy.acceptance import PROFILES
from policy.call import Call
from policy.effects import Effect, Finish, Relay
from policy.events import DeadlinePassed, Event, OfferReceived
from policy.shard import SLICE, Shard
from policy.table import Table

ALICE, BOB, CAROL = "agent://alice", "agent://bob", "agent://carol"


class World:
    """A shard on a clock that stands still, and everything that it asked for."""

    def __init__(self, queue_max: int = 1000) -> None:
        self.now = 1000.0
        self.done: list[tuple[str, Event | Call, list[Effect] | None, str | None]] = []
        self.told = asyncio.Event()
        self.expected = 0
        self.shard: Shard[str] = Shard(
            3, Table(1000, 1000), lambda: self.now, self.perform, queue_max
        )

    def perform(
        self,
        shard: Shard[str],
        negotiation_id: str,
        event: Event | Call,
        effects: list[Effect] | None,
        cause: str | None,
    ) -> None:
        assert shard is self.shard
        self.done.append((negotiation_id, event, effects, cause))
        if len(self.done) >= self.expected:
            self.told.set()

    def post(
        self, negotiation_id: str, event: Event | Call, cause: str, at: float | None = None
    ) -> bool:
        """Post what was received now, or `at` another time."""
        return self.shard.post(self.now if at is None else at, negotiation_id, event, cause)

    async def until(self, count: int) -> None:
        """Wait until so many things were carried out."""
        self.expected = count
        if len(self.done) < count:
            self.told.clear()
            await self.told.wait()

    def call(self, negotiation_id: str = "n1", within: float = 10.0) -> Call:
        return Call(
            negotiation_id=negotiation_id,
            initiator=ALICE,
            msg_id=f"call-{negotiation_id}",
            eligible=(BOB, CAROL),
            acceptance=PROFILES["flow/high"],
            closes_at=self.now + within,
            opened_at=self.now,
        )

    def outcomes(self) -> list[object]:
        return [
            effect.outcome["state"]
            for _, _, effects, _ in self.done
            for effect in effects or ()
            if isinstance(effect, Finish)
        ]


def serve(play: Callable[[World], Coroutine[None, None, None]], queue_max: int = 1000) -> World:
    """Run a play beside its shard; a play that waits for ever fails."""

    async def run() -> World:
        world = World(queue_max)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(world.shard.run())
            await play(world)
            serving.cancel()
        return world

    return asyncio.run(run())


def offer(sender: str, value: float = 3.0) -> OfferReceived:
    return OfferReceived(sender, f"offer-{sender}", value)


def test_events_are_applied_in_the_order_in_which_they_were_posted() -> None:
    async def play(world: World) -> None:
        world.post("n1", world.call(), "a")
        world.post("n1", offer(BOB), "b")
        world.post("n1", offer(CAROL), "c")
        await world.until(3)

    world = serve(play)
    assert [cause for *_, cause in world.done] == ["a", "b", "c"]
    assert world.outcomes() == ["committed"]
    assert world.shard.events_total == 3 and world.shard.queued == 0


def test_what_caused_an_effect_comes_back_with_it() -> None:
    async def play(world: World) -> None:
        world.post("n1", world.call(), "the call")
        world.post("n1", offer(BOB), "the offer")
        await world.until(2)

    _, (_, event, effects, cause) = serve(play).done
    assert event == offer(BOB) and cause == "the offer"
    assert effects == [Relay(ALICE)]


def test_a_shard_that_may_not_decide_stands_still_until_it_may() -> None:
    """Somebody else may own its negotiations by now: not even a deadline passes."""
    asked: list[float] = []

    async def play(world: World) -> None:
        def may_decide() -> bool:
            asked.append(world.now)
            return len(asked) > 2

        world.shard.may_decide = may_decide
        world.post("n1", world.call(), "a")
        world.post("n1", offer(BOB), "b")
        await asyncio.sleep(0)  # the shard's turn: it asks for the first time
        assert asked and not world.done
        await world.until(2)

    world = serve(play)
    assert len(asked) > 2 and [cause for *_, cause in world.done] == ["a", "b"]


def test_an_event_of_no_known_negotiation_comes_back_without_effects() -> None:
    async def play(world: World) -> None:
        world.post("nowhere", offer(BOB), "b")
        await world.until(1)

    assert serve(play).done == [("nowhere", offer(BOB), None, "b")]


def test_a_deadline_that_has_come_is_told_to_its_negotiation() -> None:
    async def play(world: World) -> None:
        world.post("n1", world.call(within=10), "a")
        await world.until(1)
        world.now += 9.999
        world.shard.fire_timers(world.now)
        assert len(world.done) == 1, "not yet"
        world.now += 0.001
        world.shard.fire_timers(world.now)

    world = serve(play)
    assert world.done[1][1] == DeadlinePassed() and world.done[1][3] is None
    assert world.outcomes() == ["no_award"]


def test_a_sleeping_shard_wakes_by_itself_when_a_deadline_comes() -> None:
    async def play(world: World) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time() - world.now
        world.shard._now = lambda: loop.time() - start
        world.post("n1", world.call(within=0.01), "a")
        await world.until(2)

    assert serve(play).outcomes() == ["no_award"]


def test_an_offer_counts_by_when_it_was_received_however_long_it_was_queued() -> None:
    """N-1.11: one clock judges, the gateway's receive time."""

    async def play(world: World) -> None:
        world.post("n1", world.call(within=10), "a")
        await world.until(1)
        world.now += 60  # the shard was busy elsewhere
        world.post("n1", offer(BOB), "in time", at=1009.999)
        world.post("n1", offer(CAROL), "late", at=1010.0)
        await world.until(4)

    world = serve(play)
    assert world.outcomes() == ["committed"]
    finish = next(e for *_, effects, _ in world.done for e in effects or () if type(e) is Finish)
    assert [winner["agent"] for winner in finish.outcome["winners"]] == [BOB]  # type: ignore[attr-defined]


def test_an_offer_counts_by_when_it_was_received_however_long_it_was_judged() -> None:
    """N-1.11: for what a worker judges too: the deadline waits, and so does what came after it."""

    async def play(world: World) -> None:
        world.post("n1", world.call(within=10), "a")
        await world.until(1)
        assert world.shard.hold("n1", 1009.9) and world.shard.hold("n1", 1010.0)
        assert not world.shard.hold("n1", 1010.1) and not world.shard.hold("n2", 1000.0)
        world.now += 60
        world.post("n1", offer(CAROL), "late", at=1010.5)
        world.post("n2", offer(CAROL), "unknown")
        await world.until(2)  # the deadline has not passed, and the late offer waits
        world.shard.release("n1")
        world.post("n1", offer(BOB), "judged", at=1009.9)
        world.shard.release("n1")
        await world.until(4)

    world = serve(play)
    assert [cause for *_, cause in world.done][:4] == ["a", "unknown", "judged", "late"]
    assert world.outcomes() == ["committed"]
    finish = next(e for *_, effects, _ in world.done for e in effects or () if type(e) is Finish)
    assert [winner["agent"] for winner in finish.outcome["winners"]] == [BOB]  # type: ignore[attr-defined]


def test_a_negotiation_is_not_given_up_while_something_of_it_is_judged() -> None:
    async def play(world: World) -> None:
        world.shard.table = Table(keep_records=True)
        world.post("n1", world.call(), "a")
        await world.until(1)
        assert world.shard.hold("n1", world.now)
        assert world.shard.give_up("n1") is None
        world.shard.release("n1")
        record = world.shard.give_up("n1")
        assert record is not None and record.call.negotiation_id == "n1"
        assert not world.shard.table.knows("n1")

    serve(play)


def test_a_shard_that_is_woken_sees_what_was_put_into_its_table() -> None:
    async def play(world: World) -> None:
        world.post("n1", world.call(within=60), "a")
        await world.until(1)
        await asyncio.sleep(0)  # it waits for n1
        world.shard.table.open(world.call("n2"), world.now)
        world.now += 10
        world.shard.wake()
        await world.until(2)

    world = serve(play)
    assert [negotiation_id for negotiation_id, *_ in world.done] == ["n1", "n2"]
    assert world.outcomes() == ["no_award"]


def test_a_nearer_deadline_does_not_wait_for_a_farther_one() -> None:
    async def play(world: World) -> None:
        world.post("n1", world.call("n1", within=10), "a")
        await world.until(1)
        world.post("n2", world.call("n2", within=0.01), "b")
        await world.until(2)
        world.now += 0.01
        await world.until(3)

    assert [negotiation for negotiation, *_ in serve(play).done] == ["n1", "n2", "n2"]


def test_a_busy_queue_does_not_starve_the_clock() -> None:
    async def play(world: World) -> None:
        world.post("n1", world.call(within=1), "a")
        await world.until(1)
        world.now += 1
        for _ in range(10 * SLICE):
            world.post("nowhere", offer(BOB), "noise")
        await world.until(10 * SLICE + 2)

    world = serve(play)
    place = [event for _, event, _, _ in world.done].index(DeadlinePassed())
    assert place <= 1 + SLICE


def test_other_tasks_get_their_turn_between_slices() -> None:
    seen: list[int] = []

    async def play(world: World) -> None:
        for _ in range(4 * SLICE):
            world.post("nowhere", offer(BOB), "noise")
        while world.shard.queued:
            await asyncio.sleep(0)
            seen.append(world.shard.queued)

    serve(play)
    assert seen == [3 * SLICE, 2 * SLICE, SLICE, 0]


def test_a_full_queue_takes_the_event_and_makes_its_caller_wait_for_room() -> None:
    async def play(world: World) -> None:
        assert world.post("nowhere", offer(BOB), "1")
        assert not world.post("nowhere", offer(BOB), "2")
        assert not world.post("nowhere", offer(BOB), "3")
        await world.shard.room()
        assert world.shard.queued < 2
        assert [cause for *_, cause in world.done] == ["1", "2", "3"], "nothing was dropped"
        assert world.post("nowhere", offer(BOB), "4")

    serve(play, queue_max=2)


def test_there_is_room_from_the_start() -> None:
    async def play(world: World) -> None:
        await world.shard.room()

    serve(play)


def test_what_is_posted_while_effects_are_carried_out_is_applied_too() -> None:
    async def play(world: World) -> None:
        def echo(
            shard: Shard[str],
            negotiation_id: str,
            event: Event | Call,
            effects: list[Effect] | None,
            cause: str | None,
        ) -> None:
            world.perform(shard, negotiation_id, event, effects, cause)
            if cause == "first":
                shard.post(world.now, "nowhere", offer(CAROL), "second")

        world.shard.perform = echo
        world.post("nowhere", offer(BOB), "first")
        await world.until(2)

    assert [cause for *_, cause in serve(play).done] == ["first", "second"]


def test_an_error_of_ours_ends_the_shard_loudly() -> None:
    """What we do wrong is a crash: a shard that lives on would decide from a broken table."""

    async def run() -> None:
        def broken(*_: object) -> None:
            raise AssertionError("ours")

        shard: Shard[str] = Shard(0, Table(1, 1), lambda: 0.0, broken, 10)
        shard.post(0.0, "nowhere", offer(BOB), "x")
        await shard.run()

    with pytest.raises(AssertionError, match="ours"):
        asyncio.run(run())


def test_a_shard_that_is_cancelled_applies_nothing_more() -> None:
    async def run() -> World:
        world = World()
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(world.shard.run())
            await asyncio.sleep(0)
            world.post("nowhere", offer(BOB), "x")
            serving.cancel()
        return world

    world = asyncio.run(run())
    assert not world.done and world.shard.queued == 1


def test_a_shard_tells_its_state_in_words() -> None:
    async def play(world: World) -> None:
        assert repr(world.shard) == "<Shard 3: 0 open, 0 queued, no deadline>"
        world.post("n1", world.call("n1"), "a")
        world.post("n2", world.call("n2", within=2), "b")
        await world.until(2)
        world.post("n1", offer(BOB), "c")
        assert repr(world.shard) == "<Shard 3: 2 open, 1 queued, next deadline in 2.0 s>"
        world.now += 2
        world.shard.fire_timers(world.now)
        assert "1 open" in repr(world.shard), "what has ended is not open, though remembered"

    serve(play)


def test_a_shard_says_when_the_oldest_event_came_that_waits() -> None:
    """Who measures how long events wait asks before they are applied."""
    shard: Shard[str] = Shard(0, Table(1, 1), lambda: 9.0, lambda *_: None, 10)
    assert shard.oldest == 9.0
    shard.post(3.0, "n1", offer(BOB), "a")
    shard.post(5.0, "n1", offer(BOB), "b")
    assert shard.oldest == 3.0


def test_who_measures_may_put_itself_around_a_slice() -> None:
    seen: list[int] = []

    async def play(world: World) -> None:
        apply_slice = world.shard.apply_slice

        def watched() -> None:
            seen.append(world.shard.queued)
            apply_slice()

        world.shard.apply_slice = watched
        world.post("n1", world.call(), "a")
        world.post("n1", offer(BOB), "b")
        await world.until(2)

    serve(play)
    assert 2 in seen
