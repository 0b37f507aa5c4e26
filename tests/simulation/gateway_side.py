"""A gateway: its real parts, and what stands in for its tasks.

Real are `Link`, `Outbox`, `Duplicates`, `RepeatBudget`, `Members`, `Router`, `Mailbox` with its
index, `Absences` and `Durability`. What holds them together mirrors, in the same order of calls,
`gateway/exchange.py` (`_serve`, `_resume`, `_settle`, `_part`), `gateway/upkeep.py` (`look`,
`_tend`), what `gateway/admission.py` does with a plain message (`admit`, `_enter_message`,
`_enter_durably`) and `gateway/restoration.py`. `gateway_stream` mirrors `gateway/session.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from gateway.absences import Absences
from gateway.allowances import AllowanceLimits
from gateway.durability import Durability
from gateway.link import Link
from gateway.mailbox import Mailbox, MailboxLimits
from gateway.members import Member, MemberLimits, Members
from gateway.metrics import Metrics
from gateway.outbox import Parcel, Pushed
from gateway.quota import RepeatBudget
from gateway.router import Router
from gateway.store import Store
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import Hello
from llmx.v1.receipt_pb2 import RECEIPT_STAGE_ADMITTED, Receipt
from tests.simulation.gateway_stream import DISK, StreamSide
from tests.simulation.ledger import Ledger, Letter
from tests.simulation.virtual_disk import VirtualDisk, finished
from tests.support.faulty_network import Peer, Wire
from tests.support.virtual_time import VirtualTime

TENANT = "acme"
FOREVER = 1e9


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of one gateway."""

    outbox_messages_max: int
    outbox_bytes_max: int
    window: int
    frame_share: int
    """Bytes of messages in one frame."""
    retry_first: float
    retry_max: float
    grace: float
    heartbeat: float
    mailbox_messages_max: int
    """For each agent."""
    repeats_per_second: float
    upkeep_seconds: float
    worker_share: float
    """Of all messages: how many wait for a worker."""
    worker_seconds: float


class WatchedRouter(Router):
    """Tells the ledger what is given up, and of which failures nobody can be told."""

    def __init__(self, gateway: GatewaySide, members: Members, mailbox: Mailbox) -> None:
        self._gateway = gateway
        super().__init__("gw", gateway.now, members, gateway.metrics, FOREVER, 100, mailbox)

    def undelivered(self, member: Member, parcels: list[Parcel], reason: str) -> None:
        gateway = self._gateway
        for parcel in parcels:
            gateway.on_way.get(member.key, {}).pop(parcel.msg_id, None)
            gateway.ledger.given_up(member.agent_id, parcel.msg_id, reason)
        super().undelivered(member, parcels, reason)

    def tell_failure(self, tenant: Any, parcel: Parcel, recipient: str, reason: str) -> None:
        overflowed = self._gateway.metrics.overflowed
        super().tell_failure(tenant, parcel, recipient, reason)
        if self._gateway.metrics.overflowed != overflowed:
            self._gateway.untold.add(parcel.msg_id)


class PromptAbsences(Absences):
    """Refills outboxes in virtual time, one after the other, as `run` does."""

    def __init__(self, gateway: GatewaySide, mailbox: Mailbox, members: Members) -> None:
        self._gateway = gateway
        self._turn: dict[str, Member] = {}
        self._refilling: Coroutine[Any, Any, None] | None = None
        self._is_woken = False
        super().__init__(mailbox, members, gateway.router, FOREVER, None, None)

    def refill_soon(self, member: Member) -> None:
        if member.is_boxed and not member.is_away:
            self._turn[member.key] = member
            if not self._is_woken:
                self._is_woken = True
                self._gateway.time.after(0.0, self._go_on)

    async def _refill_all(self) -> None:
        while self._turn:
            await self.refill(self._turn.pop(next(iter(self._turn))))

    def _go_on(self) -> None:
        if self._gateway.is_dead:
            return
        if self._refilling is None:
            self._refilling = self._refill_all()
        try:
            seconds = self._refilling.send(None)
        except StopIteration:
            self._refilling = None
            self._is_woken = False
        else:
            self._gateway.time.after(seconds, self._go_on)


class GatewaySide:
    """One life of a gateway."""

    def __init__(
        self,
        time: VirtualTime,
        rng: random.Random,
        limits: Limits,
        disk: VirtualDisk,
        ledger: Ledger,
        untold: set[str],
    ) -> None:
        """Begin with what the disk has."""
        self.time = time
        self.rng = rng
        self.limits = limits
        self.disk = disk
        self.ledger = ledger
        self.untold = untold
        self.metrics = Metrics()
        self.members = Members(
            MemberLimits(
                1000,
                AllowanceLimits(FOREVER, FOREVER),
                limits.outbox_messages_max,
                limits.outbox_bytes_max,
                limits.window,
                limits.retry_first,
                limits.retry_max,
                FOREVER,
                100_000,
            ),
            time.now,
        )
        most = limits.mailbox_messages_max
        store = cast(Store, disk)
        self.mailbox = Mailbox(MailboxLimits(most, 100 * most, 20 * most, 1000 * most), store)
        self.router = WatchedRouter(self, self.members, self.mailbox)
        self.absences = PromptAbsences(self, self.mailbox, self.members)
        self.durability = Durability(
            store,
            self.mailbox,
            self.members,
            self.router,
            remember_seconds=FOREVER,
            remember_ids_max=100_000,
            now=self.now,
        )
        self.router.tell_durably = self._tell_durably
        self.repeats = RepeatBudget(limits.repeats_per_second, time.now)
        self.sessions: dict[StreamSide, None] = {}
        self.to_confirm: dict[StreamSide, None] = {}
        self.streams: dict[StreamSide, None] = {}
        self.on_way: dict[str, dict[str, None]] = {}
        """What each member was sent and has not acknowledged, as seen from outside."""
        self.is_dead = False
        self._tokens = count(1)
        disk.on_commit = self._committed
        self._restore()
        time.after(limits.upkeep_seconds, self._look_after)

    def now(self) -> float:
        """Return the virtual time."""
        return self.time.now

    def _tell_durably(self, member: Member, failure: Parcel) -> None:
        held = len(self.mailbox.index)
        self.durability.tell(member, failure)
        if len(self.mailbox.index) == held:
            self.untold.add(Envelope.FromString(failure.envelope).in_reply_to)

    def _restore(self) -> None:
        for key, opened in self.disk.admitted.items():
            self.members.duplicates.remember(key, opened, self.time.now)
        for agent in self.ledger.readers:
            self.members.join(TENANT, agent, self.time.now)
        for owner in finished(self.mailbox.restore()):
            member = self.members.find(owner)
            assert member is not None, "only agents that joined have boxes"
            member.is_boxed = True

    # ------------------------------------------------------------------ streams

    def accept(self, wire: Wire) -> Peer | None:
        """Take a connection, unless dead."""
        if self.is_dead:
            return None
        stream = StreamSide(self, wire)
        self.streams[stream] = None
        return stream

    def open(self, stream: StreamSide, hello: Hello, received: int) -> None:
        """Mirror `Exchange._serve` from the Hello on."""
        member = self.members.join(TENANT, hello.agent_id, self.time.now)
        assert member is not None, "there is room for all"
        if member.stream is not None:
            member.stream.close("replaced", "the agent has opened a newer stream")
        resumed = self._resume(member, hello, received)
        self.ledger.note("gateway welcomes", member.agent_id, "resumed" if resumed else "anew")
        stream.begin(member, resumed=resumed)
        member.stream = stream
        self.members.arrive(member)
        self.absences.back(member)
        self.sessions[stream] = None

    def _resume(self, member: Member, hello: Hello, received: int) -> bool:
        link, lost = member.link, None
        if link is not None and link.token == hello.resume_token:
            lost = link.resume(received)
        if lost is None:
            member.link = Link(f"token-{self.ledger.life}-{next(self._tokens)}")
        member.receipts_due.clear()
        most = self.limits.window
        member.outbox.window = min(hello.window_messages or most, most)
        member.outbox.resume(lost)
        return lost is not None

    def part(self, member: Member, *, said_so: bool) -> None:
        """Mirror `Exchange._part`."""
        self.members.part(member, self.time.now)
        if said_so:
            member.is_away = True

    def tell_admitted(self, member: Member) -> None:
        """Mirror `Exchange._tell_admitted`."""
        due, member.receipts_due = member.receipts_due, []
        for msg_id in due:
            receipt = Receipt(msg_id=msg_id, stage=RECEIPT_STAGE_ADMITTED)
            member.answer_receipt(receipt.SerializeToString())

    # ------------------------------------------------------------------ admission

    def admit(self, member: Member, letter: Letter, link: Link) -> Iterator[float]:
        """Mirror `Admission.admit` for a plain message to one agent."""
        key = member.key + letter.msg_id
        while member.owed and self.members.duplicates.find(key) is not None:
            member.owed = [owed for owed in member.owed if not owed.is_set()]
            if member.owed:
                yield DISK
        if self.members.duplicates.find(key) is not None:
            self._refuse(member, letter.msg_id, "DUPLICATE")
            return
        received_at = self.time.now
        if self.limits.worker_share and self.rng.random() < self.limits.worker_share:
            yield self.rng.random() * self.limits.worker_seconds
        while member.owed and not letter.durable:
            member.owed = [owed for owed in member.owed if not owed.is_set()]
            if member.owed:
                yield DISK
        other = member.tenant.members.get(letter.recipient)
        if other is None:
            self._refuse(member, letter.msg_id, "AGENT_ABSENT")
            return
        expires_at = received_at + letter.ttl
        parcel = Parcel(
            letter.msg_id,
            b"%d " % self.ledger.next_place() + bytes(letter.size),
            expires_at,
            letter.sender,
            letter.conversation,
            letter.repeats,
            "",
            letter.receipt,
        )
        if letter.durable:
            self._enter_durably(member, other, parcel, key, letter, link)
            return
        pushed = self.router.deliver(other, parcel)
        if pushed in (Pushed.FULL, Pushed.ID_TAKEN):
            self._refuse(member, letter.msg_id, pushed.name)
            return
        self.ledger.admitted(letter, expires_at, link.token)
        self.members.duplicates.remember(key, "", self.time.now)
        if letter.receipt:
            member.receipts_due.append(letter.msg_id)

    def _enter_durably(
        self,
        member: Member,
        other: Member,
        parcel: Parcel,
        key: str,
        letter: Letter,
        link: Link,
    ) -> None:
        stream = member.stream

        def hear(written: bool) -> None:
            if written:
                self.ledger.stored(parcel.msg_id)
            else:
                member.receipts_due = [one for one in member.receipts_due if one != parcel.msg_id]
                self.ledger.unadmitted(parcel.msg_id)
                if member.stream is stream:
                    self._refuse(member, parcel.msg_id, "STORE_UNAVAILABLE")

        if letter.receipt:
            member.receipts_due.append(letter.msg_id)
        missed = self.durability.send(member, key, [(other, parcel)], self.time.now, hear)
        if not missed:
            self.ledger.admitted(letter, parcel.expires_at, link.token)
        else:
            member.receipts_due = [one for one in member.receipts_due if one != parcel.msg_id]
            self._refuse(member, parcel.msg_id, missed[0][1])

    def _refuse(self, member: Member, msg_id: str, code: str) -> None:
        self.ledger.note("gateway refuses", msg_id, code)
        member.refuse(f"{code} {msg_id}".encode())

    # ------------------------------------------------------------------ upkeep

    def confirm_later(self, stream: StreamSide) -> None:
        """Mirror `Exchange.confirm`."""
        if not self.to_confirm:
            self.time.after(0.02, self._confirm)
        self.to_confirm[stream] = None

    def _confirm(self) -> None:
        streams, self.to_confirm = self.to_confirm, {}
        for stream in streams:
            stream.confirm_soon()

    def _committed(self) -> None:
        for stream in list(self.streams):
            stream.go_on(DISK)

    def _look_after(self) -> None:
        if not self.is_dead:
            self.upkeep(self.time.now, self.rng.random)
            self.time.after(self.limits.upkeep_seconds, self._look_after)

    def upkeep(self, now: float, chance: Callable[[], float]) -> None:
        """Mirror `Upkeep.look`."""
        for session in list(self.sessions):
            session.show_life(now, self.limits.heartbeat)
        for member in list(self.members.owing.values()):
            if not len(member.outbox):
                del self.members.owing[member.key]
            elif member.outbox.next_due <= now:
                self._tend(member, now, chance)
        for member in self.members.away_before(now - self.limits.grace):
            self.on_way.pop(member.key, None)
            self.absences.leave(member)
        self.absences.upkeep(now)

    def _tend(self, member: Member, now: float, chance: Callable[[], float]) -> None:
        outbox = member.outbox
        over = outbox.expire(now)
        if over:
            self.router.undelivered(member, over, "expired")
        stream = member.stream
        if stream is None or not outbox.is_late(now):
            return
        if self.repeats.allows(now, outbox.sent_count):
            outbox.repeat(now, chance())
            stream.wake()

    # ------------------------------------------------------------------ the end

    def die(self) -> None:
        """Be killed: all that was not on the disk is gone."""
        self.is_dead = True
        for stream in list(self.streams):
            stream.die()
        self.disk.crash()

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing is owed to anybody."""
        members = self.members.tenants[TENANT].members.values()
        return not len(self.mailbox.index) and not any(
            len(member.outbox) or (member.link is not None and _owes_answers(member.link))
            for member in members
        )


def _owes_answers(link: Link) -> bool:
    return bool(link.pending) or any(flight.answers is not None for flight in link._flights)
