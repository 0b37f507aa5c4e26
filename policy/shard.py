"""A shard: the one that owns a part of the negotiations.

Clock, queue and table meet here and nowhere else. Whoever has something for a negotiation
posts it; the shard applies it and hands the effects to `perform`. There is no lock, because
nobody else touches the table. The queue is bounded: `post` says when it is full, and its
caller waits for `room`, up to the socket of the agent that sends too fast.

Time in a shard is the time at which the gateway received what is applied next (N-1.11): an
offer that came before the deadline counts, however long the queue was in front of it, because
timers fire only up to the receive time of the head of the queue, and a deadline is held
while an offer that came before it is still judged by a worker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from policy.call import Call
from policy.effects import Effect
from policy.events import DeadlinePassed, Event
from policy.table import Record, Table

Cause = TypeVar("Cause")
"""What the shell wants back with the effects, for example the message that caused them."""

Perform = Callable[
    ["Shard[Cause]", str, "Event | Call", "list[Effect] | None", "Cause | None"], None
]
"""Carries out the effects of an event; None instead of effects: no such negotiation."""

FENCED_LOOK_SECONDS = 0.05
"""How often a shard that may not decide looks whether it may again."""

HELD_LOOK_SECONDS = 0.05
"""How often the clock is looked at while a deadline is held."""

SLICE = 256
"""How many events are applied before other tasks get their turn."""


class Shard(Generic[Cause]):
    """Applies events to the negotiations that it owns."""

    def __init__(
        self,
        number: int,
        table: Table,
        now: Callable[[], float],
        perform: Perform[Cause],
        queue_max: int,
    ) -> None:
        """Serve `table` and hand what it asks for to `perform`."""
        self.number = number
        self.table = table
        self._now = now
        self.perform = perform
        """Carries out effects; who follows negotiations may put itself around it."""
        self.apply_slice: Callable[[], None] = self._apply_slice
        """Applies what waits, `SLICE` of it at most; who measures may put itself around it."""
        self.may_decide: Callable[[], bool] = lambda: True
        """Asked before each slice. A shard whose negotiations may be somebody else's by now stands
        still, and its queue fills."""
        self._queue_max = queue_max
        self._queue: deque[tuple[float, str, Event | Call, Cause | None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failed: asyncio.Future[None] | None = None
        self._next: asyncio.Handle | None = None
        self._idle = False  # does it run, and wait for something to do?
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._held: dict[str, int] = {}
        self._deferred: dict[str, list[tuple[float, str, Event | Call, Cause | None]]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self.events_total = 0
        self.at = 0.0
        """The time of the event whose effects are carried out."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        due = self.table.next_deadline()
        when = "no deadline" if due is None else f"next deadline in {due - self._now():.1f} s"
        held = f"{self.table.open_count} open, {len(self._queue)} queued"
        return f"<Shard {self.number}: {held}, {when}>"

    @property
    def queued(self) -> int:
        """Return how many events wait."""
        return len(self._queue)

    @property
    def oldest(self) -> float:
        """Return when the first of the events that wait was received, now when none does."""
        return self._queue[0][0] if self._queue else self._now()

    def post(
        self, received_at: float, negotiation_id: str, event: Event | Call, cause: Cause | None
    ) -> bool:
        """Queue an event, or a call that opens; False when the caller must wait for `room`.

        The event is taken in any case, so the queue exceeds its bound by one event for each
        stream, which then waits, and by what the gateway itself has to say: at most one
        departure for each agent and negotiation.
        """
        self._queue.append((received_at, negotiation_id, event, cause))
        if self._idle:
            self.wake()
        if len(self._queue) < self._queue_max:
            return True
        self._room.clear()
        return False

    def hold(self, negotiation_id: str, received_at: float) -> bool:
        """Let no deadline pass that was to come while something received before is judged.

        What comes after the deadline waits too. Tells whether there is anything to `release`:
        not for a negotiation that is unknown or whose deadline is past.
        """
        state = self.table.state(negotiation_id)
        if state is None or received_at > state.due:
            return False
        self._held[negotiation_id] = self._held.get(negotiation_id, 0) + 1
        return True

    def release(self, negotiation_id: str) -> None:
        """Undo a `hold`; what was judged has been posted before, so it comes first."""
        self._held[negotiation_id] -= 1
        if not self._held[negotiation_id]:
            del self._held[negotiation_id]
            self._queue.extend(self._deferred.pop(negotiation_id, ()))
            self.wake()

    def _waits(self, negotiation_id: str, received_at: float) -> bool:
        state = self.table.state(negotiation_id)
        return negotiation_id in self._held and state is not None and received_at > state.due

    def give_up(self, negotiation_id: str) -> Record | None:
        """Own an open negotiation no more; returns what it was made of.

        None when it is not open here, or something of it is still judged.
        """
        return None if negotiation_id in self._held else self.table.give_up(negotiation_id)

    def wake(self) -> None:
        """Look at the queue and the table: something has come, or has changed from outside."""
        if self._idle:
            self._go_on()

    async def room(self) -> None:
        """Wait until the queue is below its bound."""
        await self._room.wait()

    async def run(self) -> None:
        """Serve until cancelled; raises what a step raised, and applies nothing more then.

        The work is done in callbacks of the loop. A task that waits for each message takes a turn
        of the loop more to wake up.
        """
        self._loop = asyncio.get_running_loop()
        self._failed = self._loop.create_future()
        try:
            self._work()
            await self._failed
        finally:
            self._idle = False
            for handle in (self._next, self._alarm):
                if handle is not None:
                    handle.cancel()

    def _go_on(self, within: float = 0.0) -> None:
        assert self._loop is not None, "it runs"
        self._idle = False
        if within:
            self._next = self._loop.call_later(within, self._work)
        else:
            self._next = self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Apply what waits, then wait for more or for the next deadline."""
        assert self._failed is not None, "it runs"
        if self._failed.done():
            return  # it was cancelled while this was on its way
        try:
            if not self.may_decide():  # a lease that ends has no event
                self._go_on(FENCED_LOOK_SECONDS)
                return
            self.turn()
            if self._queue:
                self._go_on()
                return
            due = self.table.next_deadline()
            if due is not None and due <= self._now():
                if not self._held:
                    self._go_on()
                    return
                due = self._now() + HELD_LOOK_SECONDS
            self._idle = True
            self._set_alarm(due)
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._failed.set_exception(error)

    def turn(self) -> None:
        """Fire the timers that are due, then apply a slice of the queue; who simulates calls it."""
        self.fire_timers(self._queue[0][0] if self._queue else self._now())
        self.apply_slice()

    def _set_alarm(self, due: float | None) -> None:
        """Wake up for the next deadline, if there is one.

        An alarm that rings too early costs one look at the clock, so one that is set for an
        earlier time than it need be stays; a timeout around each wait cost 15 µs a message.
        """
        if due is None or (self._alarm is not None and self._alarm_at <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        assert self._loop is not None, "it runs"
        self._alarm_at = due
        self._alarm = self._loop.call_later(max(0.0, due - self._now()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.wake()

    def fire_timers(self, now: float) -> None:
        """Tell every negotiation whose time has come by `now`."""
        for negotiation_id in self.table.due(now):
            if negotiation_id in self._held:
                continue
            event = DeadlinePassed()
            self.at = now
            effects = self.table.apply(negotiation_id, event, now)
            self.perform(self, negotiation_id, event, effects, None)

    def _apply_slice(self) -> None:
        table, queue, perform = self.table, self._queue, self.perform
        for _ in range(min(len(queue), SLICE)):
            now, negotiation_id, event, cause = queue.popleft()
            if self._held and self._waits(negotiation_id, now):
                self._deferred.setdefault(negotiation_id, []).append(
                    (now, negotiation_id, event, cause)
                )
                continue
            if type(event) is Call:
                effects: list[Effect] | None = table.open(event, now)
            else:
                effects = table.apply(negotiation_id, event, now)
            self.events_total += 1
            self.at = now
            perform(self, negotiation_id, event, effects, cause)
        if len(queue) < self._queue_max:
            self._room.set()
