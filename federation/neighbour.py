"""One other gateway, as this one sees it: its epoch, the link to it, and how it is reached.

    down ──a stream opens──▸ open ──it ends──▸ down ──for too long──▸ relayed ──a stream──▸ open

The link belongs to the epochs of both. When either begins a new one there is a new link, and
what the old one has not seen confirmed is handed back: nobody can know whether it was handled.
A gateway that leaves the membership has its messages handed back too, and is remembered, in
case that it returns under the same epoch with its numbers where they were.

Pure: the caller says what time it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from federation.link import Link, LinkLimits
from federation.peer_states import UNHEARD, LinkState, PeerView
from federation.way import Way
from llmx.wire.v1.peer_frame_pb2 import PeerFrameBytes

INBOX_FRAMES_MAX = 8
"""Frames that came and wait to be handled; then the stream is not read, and what comes by
relay is dropped, to come again."""
RETRY_FIRST_SECONDS = 0.5
RETRY_MOST_SECONDS = 4.0
"""How long a relayed frame may stay unconfirmed before it goes again."""


@dataclass(frozen=True, slots=True)
class News:
    """Whom a neighbour tells that a link begins or ends."""

    begun: Callable[[str], None]
    ended: Callable[[str, list[bytes]], None]


class Arrived(msgspec.Struct, gc=False):
    """A frame that came and is to be handled."""

    link: Link
    number: int
    messages: list[bytes]


class Neighbour:
    """Another gateway of the cluster."""

    def __init__(self, gateway_id: str, limits: LinkLimits, news: News, now: float) -> None:
        """Know of a gateway that was not met yet."""
        self.gateway_id = gateway_id
        self.region = ""
        self.epoch = 0
        self.told_epoch = 0
        """The last one that the membership told."""
        self.link: Link | None = None
        self.way: Way | None = None
        """The open stream, if there is one."""
        self.view: PeerView = UNHEARD
        self.down_since = now
        self.inbox: deque[Arrived] = deque()
        self.is_busy = False
        """Is a frame of it being handled?"""
        self.owes_word = False
        """Is a confirmation due, or another sign that we know it, if no frame goes anyway?"""
        self.owes_word_by_relay = False
        self.word_due = False
        """Is it due now?"""
        self.relayed_by = ""
        """Who brought its last frame while there was no stream."""
        self.relayed_at = float("-inf")
        self.probed_at = float("-inf")
        self.attempts = 0
        """How often a relay brought no confirmation."""
        self.retry_at = float("inf")
        self._limits = limits
        self._news = news
        self._wait = RETRY_FIRST_SECONDS
        self._is_former = False
        self._received = 0
        self._resumed = 0
        self._state = "down"
        self._since = now
        self._round_trip = 0.0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Neighbour {self.gateway_id}, epoch {self.epoch}: {self._state}, {self.link!r}>"

    # ------------------------------------------------------------------ epochs

    def meet(self, epoch: int, own_epoch: int) -> None:
        """Learn under which epoch it lives; one that it had before says nothing."""
        if epoch > self.epoch:
            self.epoch = epoch
            self.begin(own_epoch)

    def hear_told(self, epoch: int) -> None:
        """Hear which epoch the membership tells, 0 for none.

        For one gateway it tells higher and higher ones, though later than the gateway itself may.
        When it tells a lower one, the store behind it has begun anew, and epochs with it.
        """
        if 0 < epoch < self.told_epoch:
            self.epoch = 0
        self.told_epoch = epoch or self.told_epoch

    def begin(self, own_epoch: int) -> None:
        """Begin a new link, for epochs of which at least one is new."""
        ended, self.link = self.link, None
        self.inbox.clear()
        self.owes_word = self.owes_word_by_relay = self.word_due = False
        self.view = UNHEARD
        self.progressed()
        self._received = self._resumed = 0
        if ended is not None and not self._is_former:
            self._news.ended(self.gateway_id, ended.hand_back())
        self._is_former = False
        if self.epoch and own_epoch:
            self.link = Link(own_epoch, self.epoch, self._limits)
            self._news.begun(self.gateway_id)

    def leave(self) -> None:
        """Be no member any more; what waits here is handed back."""
        self.view = UNHEARD
        self._is_former = True
        if self.link is not None:
            while len(self.inbox) > self.is_busy:
                self.inbox.pop()
            self.link.forget_accepted(int(bool(self.inbox)))
            self._news.ended(self.gateway_id, self.link.hand_back())

    def come_back(self, now: float) -> None:
        """Be a member again under the same epoch, or for the first time."""
        self.down_since = now
        if self._is_former and self.link is not None:
            self._is_former = False
            self._news.begun(self.gateway_id)

    # ------------------------------------------------------------------ frames

    @property
    def has_room(self) -> bool:
        """Tell whether one more frame may come."""
        return len(self.inbox) < INBOX_FRAMES_MAX

    def next_frame(self) -> PeerFrameBytes | None:
        """Return what is due for it on its stream: messages, or a word without."""
        link = self.link
        if link is None:
            return None
        if link.has_due:
            return self.frame(link)
        return self.word() if self.word_due else None

    def frame(self, link: Link) -> PeerFrameBytes:
        """Return the frame that is due."""
        sent = link.take()
        assert sent is not None, "something is due"
        frame = self.word()
        frame.number = sent.number
        frame.messages.extend(sent.messages)
        return frame

    def word(self) -> PeerFrameBytes:
        """Return a frame that only confirms."""
        self.word_due = self.owes_word = False
        link = self.link
        if link is None:
            return PeerFrameBytes(receiver_epoch=self.epoch)
        return PeerFrameBytes(
            confirmed_number=link.handled, epoch=link.own_epoch, receiver_epoch=link.peer_epoch
        )

    def finish(self, arrived: Arrived) -> bool:
        """Note that a frame was handled; tells whether it is to be confirmed."""
        self.is_busy = False
        if self.inbox and self.inbox[0] is arrived:
            self.inbox.popleft()
        arrived.link.finish(arrived.number)
        if arrived.link is not self.link:
            return False  # it was of an epoch that is over
        self._received += len(arrived.messages)
        return True

    # ------------------------------------------------------------------ ways

    def opened(self, way: Way, now: float) -> None:
        """Be reached on a stream."""
        self.way = way
        if self.link is not None:
            self._resumed += bool(self.link.sent or self.link.handled)
            self.link.go_back()  # what went through others since the hello may be lost there
        self.progressed()
        self.note_state(now)

    def closed(self, now: float) -> None:
        """Be reached on no stream any more."""
        assert self.way is not None, "it was open"
        self._round_trip = self.way.pulse.round_trip
        self.way = None
        self.down_since = now
        self.word_due = False
        if self.link is not None:
            self.link.go_back()
        self.note_state(now)

    def is_relayed(self, now: float, after: float) -> bool:
        """Tell whether its frames go through others."""
        return self.way is None and now - self.down_since >= after

    def progressed(self) -> None:
        """Note that what was sent arrives."""
        self.attempts = 0
        self._wait = RETRY_FIRST_SECONDS
        self.retry_at = float("inf")

    def relayed(self, now: float) -> None:
        """Note that frames went through another gateway."""
        if self.retry_at == float("inf"):
            self.retry_at = now + self._wait

    def retry(self, now: float) -> None:
        """Make unconfirmed frames due again when they have waited too long on relays."""
        if now >= self.retry_at and self.link is not None:
            self.attempts += 1
            self._wait = min(2 * self._wait, RETRY_MOST_SECONDS)
            self.retry_at = float("inf")
            self.link.go_back()

    # ------------------------------------------------------------------ what an operator sees

    def note_state(self, now: float, relayed_seconds: float = 0.0) -> None:
        """Notice a change of state; relayed is who was heard through others lately."""
        if self.way is not None:
            state = "open"
        elif now - self.relayed_at < relayed_seconds:
            state = f"relayed by {self.relayed_by}"
        else:
            state = "down"
        if state != self._state:
            self._state, self._since = state, now

    def state(self) -> LinkState:
        """Return how the link is."""
        link, way = self.link, self.way
        queued = 0 if link is None else link.waiting
        return LinkState(
            gateway_id=self.gateway_id,
            region=self.region,
            state=self._state,
            round_trip=self._round_trip if way is None else way.pulse.round_trip,
            queued=queued,
            unconfirmed=0 if link is None else link.kept - queued,
            sent=0 if link is None else link.sent_messages,
            received=self._received,
            resumed=self._resumed,
            since=self._since,
        )
