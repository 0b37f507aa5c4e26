"""The gateway's side of one stream: mirrors `gateway/session.py`, without its tasks.

`_read` is the reader as a generator: it yields where the real one awaits, and is closed where the
real one is cancelled. `_write`, `_next_frame` and `_fill` are the writer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from gateway.endings import RESUMABLE
from gateway.link import FLIGHTS_MAX, Answers, Heard, Link
from gateway.members import Member
from gateway.outbox import Parcel
from gateway.session import GOODBYE_SECONDS_MAX, SILENT_HEARTBEATS
from llmx.v1.exchange_service_pb2 import ExchangeRequest, Goodbye, Hello, RequestBatch, Welcome
from tests.simulation.ledger import Ledger, Letter, Violation
from tests.support.faulty_network import Wire
from tests.support.virtual_time import VirtualTime

FRAME = -1.0
"""What a reader yields that waits for a frame."""
DISK = -2.0
"""What one yields that waits for a commit; anything else is seconds."""


@dataclass(slots=True)
class Response:
    """A frame to an agent."""

    confirmed: int
    number: int = 0
    content: str = ""
    """Which of these it has, as `WhichOneof` names it; "" for none."""
    parcels: list[Parcel] | None = None
    answers: Answers | None = None
    welcome: Welcome | None = None
    goodbye: Goodbye | None = None


class StreamLimits(Protocol):
    """What a stream has to know of the settings."""

    @property
    def frame_share(self) -> int: ...
    @property
    def heartbeat(self) -> float: ...
    @property
    def grace(self) -> float: ...


class Gateway(Protocol):
    """What a stream needs of its gateway."""

    time: VirtualTime
    ledger: Ledger
    sessions: dict[Any, None]
    to_confirm: dict[Any, None]
    streams: dict[Any, None]
    on_way: dict[str, dict[str, None]]

    @property
    def limits(self) -> StreamLimits: ...
    @property
    def router(self) -> Any: ...
    def open(self, stream: Any, hello: Hello, received: int) -> None: ...
    def part(self, member: Member, *, said_so: bool) -> None: ...
    def admit(self, member: Member, letter: Letter, link: Link) -> Iterator[float]: ...
    def tell_admitted(self, member: Member) -> None: ...
    def confirm_later(self, stream: Any) -> None: ...


class StreamSide:
    """The stream of one agent."""

    def __init__(self, gateway: Gateway, wire: Wire) -> None:
        """Wait for a Hello on `wire`."""
        self._gateway = gateway
        self._wire = wire
        self._time = gateway.time
        self._inbound: deque[ExchangeRequest | None] = deque()
        self._reading: Generator[float, None, None] | None = None
        self._is_running = False
        self._waits_for = FRAME
        self._is_woken = False
        self._half_closed = False
        self._is_begun = self._is_over = False
        self._ending: str | None = None
        self._said_goodbye = False
        self._first: Welcome | None = None
        self._is_warned = False
        self._is_alive_due = False
        self._heard_at = self._spoke_at = self._time.now
        self.member: Member
        self.link: Link

    def begin(self, member: Member, *, resumed: bool) -> None:
        """Be the stream of `member`, whose link is the one to go on with."""
        assert member.link is not None, "a member with a stream has a session"
        self.member, self.link = member, member.link
        self._is_begun = True
        limits = self._gateway.limits
        welcome = Welcome(
            agent_id=member.agent_id,
            resume_token=member.link.token,
            resumed=resumed,
            window_messages=member.outbox.window,
        )
        welcome.heartbeat.FromNanoseconds(int(limits.heartbeat * 1e9))
        self._first = welcome
        self._reading = self._read()
        self.wake()

    # ------------------------------------------------------------------ what senders may ask of it

    def wake(self) -> None:
        """Send what is queued, at the next moment."""
        if not self._is_woken:
            self._is_woken = True
            self._time.after(0.0, self._write)

    def warn_slow(self, waiting: int, waiting_max: int) -> None:
        """Tell the agent that it acknowledges too slowly."""
        self._is_warned = True
        self.wake()

    def close(self, reason: str, detail: str) -> None:
        """End the stream with a Goodbye."""
        if self._ending is None and not self._is_over:
            self._gateway.ledger.note("gateway closes", self.member.agent_id, reason)
            self._ending = reason
            self.wake()
            self._time.after(GOODBYE_SECONDS_MAX, partial(self._finish, said_so=False))
            self._cancel_reader()

    def confirm_soon(self) -> None:
        """Tell the agent what was handled."""
        if self.link.handled_told != self.link.handled:
            self.wake()

    def show_life(self, now: float, heartbeat: float) -> None:
        """Send a frame without content after a heartbeat; end after several without one."""
        if now - self._heard_at > SILENT_HEARTBEATS * heartbeat:
            self.close("silent", "")
        elif now - self._spoke_at >= heartbeat:
            self._is_alive_due = True
            self.wake()

    # ------------------------------------------------------------------ what the wire says

    def heard(self, frame: ExchangeRequest | None) -> None:
        """Take a frame, or None when the agent half-closes."""
        if not self._is_begun:
            if frame is None or not frame.HasField("hello"):
                self._finish(said_so=False)
            else:
                self._gateway.open(self, frame.hello, frame.confirmed_number)
                self.go_on(FRAME)
            return
        self._inbound.append(frame)
        self.go_on(FRAME)

    def writable(self) -> None:
        """Go on writing."""
        self.wake()

    def lost(self) -> None:
        """The connection broke; grpc cancels the call."""
        self._finish(said_so=False)

    # ------------------------------------------------------------------ reading

    def go_on(self, waited_for: float) -> None:
        """Let the reader go on if it waits for this."""
        while (reading := self._reading) is not None and self._waits_for == waited_for:
            self._is_running = True
            wanted = next(reading, None)
            self._is_running = False
            if wanted is None:
                self._reading = None
                return
            if self._reading is not reading:  # it was cancelled while it ran
                reading.close()
                return
            self._waits_for = wanted
            if wanted >= 0.0:
                self._time.after(wanted, partial(self.go_on, wanted))
            if wanted != FRAME or not self._inbound:
                return

    def _cancel_reader(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None and not self._is_running:
            reading.close()

    def _read(self) -> Generator[float, None, None]:
        link = self.link
        while True:
            yield FRAME
            while self._inbound:
                frame = self._inbound.popleft()
                if frame is None:
                    self._half_closed = True
                    self.wake()
                    return
                self._heard_at = self._time.now
                link.confirm(frame.confirmed_number)
                if frame.HasField("batch") and not (
                    yield from self._take(frame.number, frame.batch)
                ):
                    return

    def _take(self, number: int, batch: RequestBatch) -> Generator[float, None, bool]:
        link, member, gateway = self.link, self.member, self._gateway
        match link.hear(number):
            case Heard.REPEAT:
                gateway.confirm_later(self)
                link.handled_told = 0
                return True
            case Heard.GAP:
                self.close("out_of_order", f"batch {number} came after batch {link.handled}")
                return False
        if batch.acked_msg_ids:
            self._take_acks(list(batch.acked_msg_ids))
        letters = [gateway.ledger.letters[envelope.msg_id] for envelope in batch.envelopes]
        try:
            for letter in letters:
                yield from gateway.admit(member, letter, link)
            yield from self._owed()
        except GeneratorExit:
            gateway.ledger.interrupted(letters)
            raise
        gateway.tell_admitted(member)
        if link.finish():
            self.wake()
        link.handled = number
        gateway.confirm_later(self)
        return True

    def _owed(self) -> Iterator[float]:
        member = self.member
        while member.owed:
            member.owed = [owed for owed in member.owed if not owed.is_set()]
            if member.owed:
                yield DISK

    def _take_acks(self, msg_ids: list[str]) -> None:
        member, gateway = self.member, self._gateway
        on_way = gateway.on_way.get(member.key, {})
        acked = [msg_id for msg_id in dict.fromkeys(msg_ids) if msg_id in on_way]
        for msg_id in acked:
            del on_way[msg_id]
            gateway.ledger.acknowledged(member.agent_id, msg_id)
        counted = member.outbox.confirm(msg_ids, self._time.now)
        if counted != len(acked):
            raise Violation(f"{counted} of {msg_ids} count as acknowledged, {acked} were owed")
        if member.outbox.followed or member.is_boxed:
            gateway.router.delivered(member)
        if member.outbox.has_queued:
            self.wake()

    # ------------------------------------------------------------------ writing

    def _write(self) -> None:
        self._is_woken = False
        while not self._is_over and self._wire.can_send:
            frame = self._next_frame()
            if frame is None:
                if self._half_closed or self._ending is not None:
                    self._finish(said_so=self._ending is None)
                return
            self._spoke_at = self._time.now
            self._wire.send(frame, is_numbered=frame.number > 0)

    def _next_frame(self) -> Response | None:
        if self._said_goodbye:
            return None
        link = self.link
        frame = Response(confirmed=link.handled)
        if self._first is not None:
            frame.content = "welcome"
            frame.welcome, self._first = self._first, None
        elif self._is_warned:
            frame.content, self._is_warned = "slow_consumer", False
        elif not self._fill(frame):
            if self._ending is not None:
                frame.content, frame.goodbye = "goodbye", self._goodbye(self._ending)
                self._said_goodbye = True
            elif self._half_closed:
                self._said_goodbye = True
            elif link.handled_told == link.handled and not self._is_alive_due:
                return None
        self._is_alive_due = False
        if frame.content in ("batch", ""):  # the agent takes others for no confirmation
            if link.pending:
                frame.confirmed = link.handled_told
            else:
                link.handled_told = link.handled
        return frame

    def _fill(self, frame: Response) -> bool:
        if self._ending is not None and self._ending != "stopping":
            return False
        link, share = self.link, self._gateway.limits.frame_share
        parcels = self.member.outbox.take(self._time.now, share)
        answers = link.pending.take(share) if link.pending else None
        if not parcels and answers is None:
            return False
        frame.content, frame.parcels, frame.answers = "batch", parcels, answers
        frame.number = link.send(parcels, answers)
        self._watch(parcels)
        return True

    def _watch(self, parcels: list[Parcel]) -> None:
        """Look at the bounds from outside."""
        member, gateway = self.member, self._gateway
        on_way = gateway.on_way.setdefault(member.key, {})
        for parcel in parcels:
            gateway.ledger.sent(parcel.msg_id)
            if parcel.repeats:
                on_way[parcel.msg_id] = None
        if len(on_way) > member.outbox.window:
            raise Violation(
                f"{len(on_way)} messages are on their way to {member.agent_id}, "
                f"which takes {member.outbox.window}: {list(on_way)}"
            )
        if len(member.outbox) > member.outbox.messages_max:
            raise Violation(f"{member.outbox!r} holds more than it may")
        if len(self.link._flights) > FLIGHTS_MAX:
            raise Violation(f"{self.link!r} holds more than it may")

    def _goodbye(self, reason: str) -> Goodbye:
        goodbye = Goodbye(reason=reason)
        if reason in RESUMABLE:
            goodbye.resume_token = self.link.token
        return goodbye

    # ------------------------------------------------------------------ the end

    def _finish(self, *, said_so: bool) -> None:
        """Mirror the end of `run` and of `Exchange._serve`."""
        if self._is_over:
            return
        self._is_over = True
        self._cancel_reader()
        gateway = self._gateway
        self._wire.close()
        gateway.streams.pop(self, None)
        gateway.sessions.pop(self, None)
        gateway.to_confirm.pop(self, None)
        if self._is_begun and self.member.stream is self:
            gateway.ledger.note("gateway parts from", self.member.agent_id)
            gateway.part(self.member, said_so=said_so)

    def die(self) -> None:
        """End with the process."""
        self._is_over = True
        self._cancel_reader()
        self._wire.kill()
