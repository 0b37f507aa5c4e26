"""Durable messages and negotiations: first the disk, then the world.

A durable message is checked like any other and reserves its room; then it is written, with its id
so that a repeat is known after a crash, and when the disk has it, it is delivered. If the
disk refuses it, it is refused, and it was never there.

A step of a durable negotiation is computed at once, on a `Tape`: what it tells whom is
recorded instead of done. The event and the messages it caused are written together, and when
the disk has them the tape is played. The store answers in the order in which it was asked, so tapes
play in the order of their steps. While the disk takes nothing they wait, and new acts are refused.

Whoever sent the message is *owed*: the frame it came in is confirmed when all that is owed for
it is settled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from gateway.clock import Clock
from gateway.journal import Journal, Opening
from gateway.mailbox import Mailbox, Promise
from gateway.members import Member, Members, Recipient
from gateway.outbox import Parcel, Pushed
from gateway.refusals import Fault
from gateway.router import Router
from gateway.store import Statement, Store
from policy.call import Call
from policy.events import Event
from policy.states import Negotiation

REMEMBER = "INSERT OR REPLACE INTO admitted (key, opened, at) VALUES (?, ?, ?)"
PURGE = (
    "DELETE FROM admitted WHERE key IN "
    "(SELECT key FROM admitted WHERE at < ? ORDER BY at LIMIT 20000)"
)
"""Not all at once: whoever sends durable messages waits for it."""
PURGE_SECONDS = 1.0
SWEEP_SECONDS = 60.0
"""How often journals without a negotiation are looked for."""

NO_STORE = Fault(
    "STORE_UNAVAILABLE",
    "this gateway keeps no store, so nothing in it is durable",
    "leave durable out, or use a gateway whose operator has set mailbox.file",
    "/envelope/durable",
)
STORE_FAILS = Fault(
    "STORE_UNAVAILABLE",
    "the store takes nothing at the moment, its disk is full or fails",
    "send it again later, or without durable",
    "/envelope/durable",
    retry_after=5.0,
)
STORE_FULL = Fault(
    "STORE_UNAVAILABLE",
    "the store holds as much as its operator allows, mailbox.file_bytes_max",
    "send it again when some of it is acknowledged, or without durable",
    "/envelope/durable",
    retry_after=5.0,
)


class Tape:
    """What one step asks for, recorded; a router as far as a step needs one."""

    def __init__(self, mailbox: Mailbox, router: Router, hand_over: HandOver) -> None:
        """Promise messages to `mailbox`, and do all else with `router`, later."""
        self._mailbox = mailbox
        self._router = router
        self._hand_over = hand_over
        self._scenes: list[Callable[[], object]] = []
        self._promises: list[Promise] = []

    @property
    def statements(self) -> list[Statement]:
        """Return what writes the messages."""
        return [self._mailbox.statement(promise) for promise in self._promises]

    def deliver(self, member: Recipient, parcel: Parcel) -> Pushed:
        """Promise a message, and tell what became of that."""
        if not parcel.repeats:  # at most once is not worth a place on the disk
            self.then(lambda: self._router.deliver(member, parcel))
            return Pushed.QUEUED
        promise = self._mailbox.promise(member.key, parcel)
        if isinstance(promise, Promise):
            self._promises.append(promise)
            self.then(partial(self._hand_over, member, promise))
            return Pushed.QUEUED
        return promise

    def undelivered(self, member: Recipient, parcels: list[Parcel], reason: str) -> None:
        """Account later for what finds no room."""
        self.then(lambda: self._router.undelivered(member, parcels, reason))

    def answer_opened(self, member: Recipient, opened: bytes) -> None:
        """Tell an initiator later that its call is open."""
        self.then(lambda: member.answer_opened(opened))

    def answer_refused(self, member: Recipient, refusal: bytes) -> None:
        """Tell an agent later that its act did not count."""
        self.then(lambda: member.answer_refused(refusal))

    def then(self, scene: Callable[[], object]) -> None:
        """Do something later, in order."""
        self._scenes.append(scene)

    def play(self) -> None:
        """Do all of it."""
        for scene in self._scenes:
            scene()

    def discard(self) -> None:
        """Give the room back; none of it will happen."""
        for promise in self._promises:
            self._mailbox.renounce(promise)


HandOver = Callable[[Recipient, Promise], None]


class Durability:
    """What is durable on one gateway that has a store."""

    def __init__(
        self,
        store: Store,
        mailbox: Mailbox,
        members: Members,
        router: Router,
        remember_seconds: float,
        remember_ids_max: int,
        now: Clock,
    ) -> None:
        """Write to `store`; ids are known again for `remember_seconds` after a restart.

        Of more than `remember_ids_max` the oldest are not.
        """
        self._store = store
        self._mailbox = mailbox
        self._members = members
        self._router = router
        self._remember_seconds = remember_seconds
        self._now = now
        self._ids_max = remember_ids_max
        self._ids: deque[tuple[float, int]] = deque()  # how many were written, by when
        self._ids_count = self._ids_lately = 0
        self._started = now()
        self._sweep_at = 0.0
        self.journal = Journal()

    @property
    def is_available(self) -> bool:
        """Tell whether the disk takes anything new."""
        return self._store.is_available

    def hindrance(self) -> Fault | None:
        """Return why nothing new can be durable at the moment, or None."""
        if self._store.is_available:
            return None
        return STORE_FAILS if self._store.is_failing else STORE_FULL

    def owe(self, member: Member) -> asyncio.Event:
        """Let the frame at hand wait for something; whoever has done it sets the event."""
        owed = asyncio.Event()
        member.owed.append(owed)
        return owed

    def send(
        self,
        sender: Member,
        key: str,
        letters: Sequence[tuple[Recipient, Parcel]],
        now: float,
        heard: Callable[[bool], None],
    ) -> list[tuple[str, str]]:
        """Write a message for its recipients and deliver it when it is on disk.

        Returns those that it cannot reach, with the reason; if those are all, nothing is
        written. Otherwise `heard` is told whether the disk took it.
        """
        tape, missed = self._tape(), []
        for member, parcel in letters:
            pushed = tape.deliver(member, parcel)
            if pushed is Pushed.FULL:
                missed.append((member.agent_id, "recipient_overloaded"))
            elif pushed is Pushed.ID_TAKEN:
                missed.append((member.agent_id, "msg_id_taken"))
        if len(missed) == len(letters):
            return missed
        self._members.duplicates.remember(key, "", now)
        self._ids_lately += 1
        owed = self.owe(sender)

        def hear(written: bool) -> None:
            if written:
                tape.play()
            else:
                tape.discard()
                self._members.duplicates.forget(key)
            heard(written)
            owed.set()

        self._store.write([(REMEMBER, (key, "", now)), *tape.statements], hear, keep=False)
        return missed

    def _tape(self) -> Tape:
        return Tape(self._mailbox, self._router, self._hand_over)

    def _hand_over(self, member: Recipient, promise: Promise) -> None:
        """Deliver what the disk has: into the outbox, or behind what waits already."""
        member = self._members.find(member.key) or member
        is_taken = not member.is_boxed
        if not self._mailbox.fulfil(promise, taken=is_taken) or not is_taken:
            return
        pushed = self._router.deliver(member, promise.parcel)
        if pushed is Pushed.FULL:
            self._mailbox.put_back(member.key, [promise.parcel])
            member.is_boxed = True
        elif pushed is Pushed.REPEATED:
            self._mailbox.settle(member.key, [promise.parcel.msg_id])
        elif pushed is Pushed.ID_TAKEN:
            self._router.undelivered(member, [promise.parcel], "msg_id_taken")

    def tell(self, member: Recipient, parcel: Parcel) -> None:
        """Write a message of the gateway's own, which has nobody to be refused to."""
        tape = self._tape()
        if tape.deliver(member, parcel) is Pushed.QUEUED:
            self._store.write(tape.statements, lambda written: _end(tape, written=written))
        else:  # no room to keep it; it may reach an agent that is here
            self._router.deliver(member, parcel)

    def concerns(self, negotiation_id: str) -> bool:
        """Tell whether a negotiation is durable."""
        return negotiation_id in self.journal

    def record(
        self,
        step: Callable[[Tape], None],
        negotiation_id: str,
        at: float,
        event: Event | Call | None,
        state: Negotiation | None,
        opening: Opening | None,
        owed: asyncio.Event | None,
    ) -> None:
        """Write what a step has changed and told, and let it be told when the disk has it.

        `step` carries the step out with the tape for a router; `state` is what it led to. An
        `opening` is there when it may have begun the negotiation.
        """
        tape = self._tape()
        step(tape)
        statements: list[Statement] = []
        if opening is not None and state is not None and not self.concerns(negotiation_id):
            statements += self.journal.open(opening, state)
            call = opening.call
            key = f"{opening.tenant}|{call.initiator}|{call.msg_id}"
            statements.append((REMEMBER, (key, negotiation_id, at)))
            self._ids_lately += 1
        elif event is not None and not isinstance(event, Call) and self.concerns(negotiation_id):
            statements += self.journal.note(negotiation_id, at, event, state)

        def hear(written: bool) -> None:
            _end(tape, written=written)
            if owed is not None:
                owed.set()

        self._store.write([*statements, *tape.statements], hear)

    async def purge(self, is_known: Callable[[str], bool]) -> None:
        """Forget what is old every now and then, until cancelled."""
        while True:
            self.forget_old(self._now(), is_known)
            await asyncio.sleep(PURGE_SECONDS)

    def forget_old(self, now: float, is_known: Callable[[str], bool]) -> None:
        """Forget ids that are old, and journals of negotiations that the tables pushed out."""
        if self._store.is_failing:  # one that is only full needs this to have room again
            return
        statements: list[Statement] = [(PURGE, (self._remembered_since(now),))]
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            for negotiation_id in self.journal.negotiation_ids:
                if not is_known(negotiation_id):
                    statements += self.journal.forget(negotiation_id)
        self._store.write(statements, keep=False)

    def _remembered_since(self, now: float) -> float:
        """Return from when on ids are kept, so that they are neither too old nor too many."""
        self._ids.append((now, self._ids_lately))
        self._ids_count += self._ids_lately
        self._ids_lately = 0
        # Ids of before the start are known for as long as those of just after it.
        is_early = now < self._started + self._remember_seconds
        since = 0.0 if is_early else now - self._remember_seconds
        while self._ids and (self._ids[0][0] <= since or self._ids_count > self._ids_max):
            at, count = self._ids.popleft()
            self._ids_count -= count
            since = max(since, at)
        return since


def _end(tape: Tape, *, written: bool) -> None:
    if written:
        tape.play()
    else:
        tape.discard()
