"""Agents that are away, and agents that come back.

An agent within its grace keeps its outbox in memory. One that stays away longer is *absent*: what
its outbox held moves to its mailbox, and whatever comes for it waits there. When it is back
the mailbox refills the outbox, a few messages at a time, as the agent acknowledges; until the
last one is taken, newer messages queue up behind them in the mailbox, so the order stays.

    here ⇄ within its grace → absent → forgotten
      ↑__________ refilled _____|

An absent agent is forgotten when it stays away too long, or when the gateway knows as many agents
as it may: then the one that is absent longest with nothing waiting goes first.
"""

from __future__ import annotations

import asyncio
from itertools import islice

import structlog

from gateway.mailbox import Mailbox
from gateway.members import Member, Members, Recipient
from gateway.outbox import Parcel, Pushed
from gateway.roster import Roster
from gateway.router import Router
from gateway.store import Store

REFILL_MESSAGES_MAX = 256
"""Messages that an outbox gets from its mailbox at once."""
REFILL_BYTES_MAX = 1024 * 1024
REFILL_SHARE = 4
"""At most this part of an outbox is filled from the mailbox."""
ROOM_LOOKS_MAX = 1_000
"""How many absent agents are looked at to find one that may be forgotten."""

log = structlog.get_logger("llmx.absences")


class Absences:
    """Who is away for longer, and what that means for messages."""

    def __init__(
        self,
        mailbox: Mailbox,
        members: Members,
        router: Router,
        keep_seconds: float,
        roster: Roster | None,
        store: Store | None,
    ) -> None:
        """Look after the members of one gateway."""
        self._mailbox = mailbox
        self._members = members
        self._router = router
        self._keep_seconds = keep_seconds
        self._roster = roster
        self._store = store
        self._returned: dict[str, Recipient] = {}
        self._without_room: dict[str, Recipient] = {}
        # Whose messages are being read from the disk, and what its outbox gave back meanwhile.
        self._reading: dict[str, list[Parcel]] = {}
        self._wake = asyncio.Event()
        members.make_room = self.make_room
        router.on_room = self.refill_soon

    def leave(self, member: Member) -> None:
        """Make a member absent whose grace is over; its messages wait in its mailbox."""
        self._members.retire(member)
        member.link = None
        member.is_boxed = True
        self._returned.pop(member.key, None)
        parcels = member.outbox.empty()
        homeless = self._mailbox.put_back(member.key, parcels)
        if member.key in self._reading:
            self._reading[member.key] += parcels
        self._router.undelivered(member, homeless, "recipient_overloaded")
        log.debug("agent absent", agent=member.agent_id)

    def back(self, member: Recipient) -> None:
        """Give a member that has a stream again what waited for it."""
        is_read = member.key in self._reading  # those come first, though they do not wait any more
        member.is_boxed = is_read or self._mailbox.index.waiting(member.key) > 0
        self.refill_soon(member)

    def refill_soon(self, member: Recipient) -> None:
        """Fill the outbox of a member from its mailbox, if anything waits there."""
        if member.is_boxed and not member.is_away:
            self._returned[member.key] = member
            self._wake.set()

    async def run(self) -> None:
        """Refill outboxes until cancelled, one batch for each agent in turn."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            turn, self._returned = self._returned, {}
            for member in turn.values():
                await self.refill(member)

    async def refill(self, member: Recipient) -> None:
        """Move the next batch from the mailbox to the outbox, as far as there is room.

        Where there is none it is tried again when the agent acknowledges, and at every upkeep.
        """
        outbox, key = member.outbox, member.key
        room = min(REFILL_MESSAGES_MAX, max(1, outbox.messages_max // REFILL_SHARE))
        if member.stream is None:
            return  # it is asked again when the agent comes back
        if len(outbox) >= room:
            self._without_room[key] = member  # what is sent at most once is never acknowledged
            return
        self._reading[key] = []
        try:
            parcels = await self._mailbox.take(key, room - len(outbox), REFILL_BYTES_MAX)
        finally:
            before = self._reading.pop(key)
        if before or member.is_away:  # it left while the disk was read; it may be back, too
            find = self._mailbox.index.find
            before = [parcel for parcel in before if find(key, parcel.msg_id) is not None]
            self._mailbox.put_back(key, [*before, *parcels])
            self.refill_soon(member)
            return
        member.is_boxed = False  # while these go past those that wait
        rest = self._fill(member, parcels)
        self._mailbox.put_back(key, rest)
        member.is_boxed = self._mailbox.index.waiting(key) > 0
        if rest or not parcels:  # no room, or a disk that cannot be read
            self._without_room[key] = member
        else:
            self.refill_soon(member)

    def _fill(self, member: Recipient, parcels: list[Parcel]) -> list[Parcel]:
        """Push parcels from the mailbox; returns those that the outbox has no room for."""
        for index, parcel in enumerate(parcels):
            if not member.outbox.has_room(len(parcel.envelope)):
                return parcels[index:]  # to deliver it would end the stream, again and again
            pushed = self._router.deliver(member, parcel)
            if pushed is Pushed.REPEATED:
                self._mailbox.settle(member.key, [parcel.msg_id])
            elif pushed is Pushed.ID_TAKEN:
                self._router.undelivered(member, [parcel], "msg_id_taken")
        return []

    def upkeep(self, now: float) -> None:
        """Expire what waited too long, save what is in memory, forget who stays away."""
        self._mailbox.expire(now, self._expired)
        self._mailbox.save()
        if self._roster is not None:
            self._roster.flush()
        waiting, self._without_room = self._without_room, {}
        for member in waiting.values():
            self.refill_soon(member)
        for member in self._members.absent_before(now - self._keep_seconds):
            self.forget(member)

    def _expired(self, owner: str, parcel: Parcel) -> None:
        member = self._members.find(owner)
        if member is not None:
            self._router.undelivered(member, [parcel], "expired")
            return
        # It was forgotten while the message was on its way to the disk.
        tenant_name, agent_id, _ = owner.rsplit("|", 2)
        tenant = self._members.tenants.get(tenant_name)
        if tenant is not None:
            self._router.tell_failure(tenant, parcel, agent_id, "agent_absent")

    def forget(self, member: Member) -> None:
        """Know an agent no more; the senders of what waited for it hear that."""
        self._members.forget(member)
        self._returned.pop(member.key, None)
        waiting = member.outbox.empty() + self._mailbox.clear(member.key)
        self._router.undelivered(member, waiting, "agent_absent")
        if self._roster is not None:
            self._roster.forget(member)
        log.debug("agent forgotten", agent=member.agent_id)

    def depart(self, member: Member) -> list[Parcel]:
        """Know a member no more whose home is elsewhere now; returns what its outbox held.

        What waits in its mailbox stays there, to be sent after it.
        """
        self._members.forget(member)
        self._returned.pop(member.key, None)
        if self._roster is not None:
            self._roster.forget(member)
        parcels = member.outbox.empty()
        if member.key in self._reading:  # those come back to the mailbox
            self._mailbox.put_back(member.key, parcels)
            return []
        return parcels

    def make_room(self) -> bool:
        """Forget the member that is absent longest with nothing waiting, if there is one."""
        for member in list(islice(self._members.absent.values(), ROOM_LOOKS_MAX)):
            if not self._mailbox.index.kept(member.key):
                self.forget(member)
                return True
        return False

    async def stop(self) -> None:
        """Bring everything that is owed to anybody to the disk, as far as it takes it."""
        store = self._store
        if store is None:
            return
        await store.committed()
        for tenant in self._members.tenants.values():
            for member in tenant.members.values():
                self._mailbox.put_back(member.key, member.outbox.empty())
        while self._mailbox.unsaved and store.is_available:
            self._mailbox.save()
            await store.committed()
        if self._mailbox.unsaved:
            log.error("messages are lost, the store took no more", count=self._mailbox.unsaved)
