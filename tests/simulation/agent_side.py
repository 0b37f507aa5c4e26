"""An agent: its real parts, and what stands in for its tasks and its application.

Real are `Link`, `Pulse`, `Outbox`, `Inbox` (with `Seen`), `Backoff` and `Stream.next_frame`. What
holds them together mirrors `client/llmx/session.py` (`_say_hello`, `_begin`, `_leave`, `_take`,
`_take_batch`, `_take_refusal`, `_take_envelopes`), the parts of `client/llmx/admission.py` that
wait for nobody, and the reader, writer and watch of `client/llmx/exchange.py`.

The application sends what it is told to, and works on each message for a while.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateway.link import Answers
from gateway.outbox import Parcel
from llmx.backoff import Backoff
from llmx.endings import OUR_FAULTS
from llmx.inbox import Inbox, Key
from llmx.link import Arrival, Begun, Link
from llmx.outbox import Outbox
from llmx.session import SEEN_WINDOW
from llmx.stream import Stream
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import ExchangeRequest, Hello
from llmx.v1.receipt_pb2 import RECEIPT_STAGE_DELIVERED, Receipt
from tests.simulation.gateway_stream import Response
from tests.simulation.ledger import GATEWAYS_OWN, Ledger, Letter, Violation
from tests.support.faulty_network import FaultyNetwork, Peer, Wire

WELCOME_SECONDS_MAX = 4.0
"""How long a Welcome may take; the real one waits longer, on a slower clock."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How an agent behaves."""

    window: int
    """What it asks for; 0 for as the gateway likes."""
    room: int
    """How many messages its application works on at once."""
    work_seconds: float
    """How long that takes at most."""
    unconfirmed_max: int
    guesses: bool
    """Does it acknowledge what it was not sent yet, as no agent should?"""


class AgentSide:
    """One life of one agent."""

    def __init__(
        self,
        agent_id: str,
        manner: Manner,
        network: FaultyNetwork,
        rng: random.Random,
        ledger: Ledger,
        accept: Callable[[Wire], Peer | None],
    ) -> None:
        """Know where the gateway is; `open` connects."""
        self.agent_id = agent_id
        self._manner = manner
        self._network = network
        self._time = network.time
        self._rng = rng
        self._ledger = ledger
        self._accept = accept
        self.link = Link()
        self.outbox = Outbox()
        self.inbox = Inbox(SEEN_WINDOW)
        self._backoff = Backoff(0.05, 2.0, 1.0)
        self._stream = Stream()
        self._wire: Wire | None = None
        self._failures = 0
        self._is_waking = False
        self._is_dead = False
        self._sleeps = False
        self.waiting: deque[Letter] = deque()
        """What the application wants to send and has no room for."""
        self._at_work = 0

    # ------------------------------------------------------------------ the application

    def post(self, letter: Letter) -> None:
        """Send a message when there is room."""
        self.waiting.append(letter)
        self._post_waiting()

    def _post_waiting(self) -> None:
        while self.waiting and len(self.outbox) < self._manner.unconfirmed_max:
            letter = self.waiting.popleft()
            self._ledger.posted(letter)
            self.outbox.put(letter.envelope)
            self.wake()

    def _deliver(self, parcel: Parcel, key: Key) -> bool:
        manner = self._manner
        if self._at_work >= manner.room:
            return False
        if GATEWAYS_OWN in parcel.msg_id:
            failed = Envelope.FromString(parcel.envelope).in_reply_to
            self._ledger.handed_failure(self.agent_id, parcel.msg_id, failed)
        else:
            place = int(parcel.envelope.split(b" ", 1)[0])
            self._ledger.handed(self.agent_id, parcel.msg_id, place)
        if manner.work_seconds:
            self._at_work += 1
            seconds = self._rng.random() * manner.work_seconds
            self._time.after(seconds, partial(self._worked, key))
        else:
            self._finish(key)
        return True

    def _worked(self, key: Key) -> None:
        self._at_work -= 1
        if not self._is_dead:
            self._finish(key)

    def die(self) -> None:
        """Be killed with all that is not on a disk, which is everything."""
        self._is_dead = True
        if self._wire is not None:
            self._wire.kill()

    def doze(self, seconds: float, *, says_so: bool) -> None:
        """Be away for a while: half-close the call first, or just let it break."""
        self._sleeps = True
        wire = self._wire
        if wire is not None and wire.is_open:
            if says_so and self._stream.welcomed:
                wire.send(None)
            wire.close()
            self._ended("")
        self._time.after(seconds, self._awake)

    def _awake(self) -> None:
        self._sleeps = False
        self.open()

    @property
    def is_quiet(self) -> bool:
        """Tell whether the agent owes nothing and is connected, not only in its own opinion."""
        return (
            self._wire is not None
            and not self._wire.is_cut
            and self._stream.welcomed
            and not self.outbox
            and not self.waiting
            and not self.inbox.has_acks
            and not self._at_work
        )

    # ------------------------------------------------------------------ one stream

    def open(self) -> None:
        """Connect, unless connected, asleep or dead."""
        if self._wire is not None or self._sleeps or self._is_dead:
            return
        stream = self._stream = Stream()
        wire = self._wire = self._network.connect(self, self._accept)
        hello = Hello(
            agent_id=self.agent_id,
            resume_token=self.link.token,
            window_messages=self._manner.window,
        )
        wire.send(ExchangeRequest(confirmed_number=self.link.received, hello=hello))

        def give_up() -> None:
            if self._wire is wire and not stream.welcomed:
                wire.close()
                self._ended("")

        self._time.after(WELCOME_SECONDS_MAX, give_up)

    def heard(self, frame: Response) -> None:
        """Take a frame of the stream."""
        if not self._stream.welcomed:
            self._begin(frame)
            return
        self._stream.pulse.heard_at = self._time.now
        self._take(frame)

    def writable(self) -> None:
        """Go on writing."""
        self.wake()

    def lost(self) -> None:
        """The stream ended."""
        self._ended(self._stream.goodbye.reason if self._stream.goodbye is not None else "")

    def wake(self) -> None:
        """Send what is queued, at the next moment."""
        if not self._is_waking:
            self._is_waking = True
            self._time.after(0.0, self._write)

    def _write(self) -> None:
        self._is_waking = False
        wire, stream = self._wire, self._stream
        if wire is None or not stream.welcomed:
            return
        while wire.can_send:
            frame = stream.next_frame(self.link, self.outbox, self.inbox)
            if frame is None:
                return
            if self._manner.guesses and frame.number:
                frame.batch.acked_msg_ids.extend(self._ledger.guess(self.agent_id))
            wire.send(frame, is_numbered=frame.number > 0)
            stream.pulse.said_at = self._time.now

    def _watch(self, stream: Stream) -> None:
        if stream is not self._stream or self._wire is None:
            return
        now, pulse = self._time.now, stream.pulse
        if pulse.is_lost(now):
            self._give_up("silent")
            return
        if pulse.owes_beat(now):
            stream.owes_beat = True
            self.wake()
        self._time.after(pulse.rest(now), partial(self._watch, stream))

    def _give_up(self, reason: str) -> None:
        """Leave a stream that is no use; stands for StreamLost."""
        assert self._wire is not None, "there is a stream to leave"
        self._wire.close()
        self._ended(reason)

    def _ended(self, reason: str) -> None:
        # "replaced" is not final here, as it is for the real one: there is one client of each
        # agent, so it was a Hello on a connection that this one had given up.
        stream, self._wire = self._stream, None
        self._ledger.note(self.agent_id, "has no stream any more", reason)
        if stream.welcomed and stream.goodbye is not None:
            self.link.move(stream.goodbye.resume_token)
        if stream.welcomed and reason not in OUR_FAULTS:
            self._failures = 0
        self._failures += 1
        if not self._is_dead:
            wait = self._backoff.wait(self._failures, self._rng.random)
            self._time.after(wait, self.open)

    def _begin(self, frame: Response) -> None:
        welcome = frame.welcome
        if welcome is None:
            raise Violation(f"the first frame is {frame}")
        match self.link.begin(
            welcome.resume_token, resumed=welcome.resumed, confirmed=frame.confirmed
        ):
            case Begun.RESUMED:
                self.outbox.rewind(frame.confirmed)
                self.inbox.rewind(frame.confirmed)
                self._stream.asks_for_word = self.outbox.is_flying
            case Begun.FRESH:
                self.outbox.rewind()
                self.inbox.restart()
            case Begun.IMPOSSIBLE:
                raise Violation(f"{self.agent_id} is to resume what never was: {frame}")
        self._ledger.began_session(self.agent_id, resumed=welcome.resumed)
        stream = self._stream
        stream.begin(welcome, self._time.now)
        self._time.after(stream.pulse.rest(self._time.now), partial(self._watch, stream))
        self.wake()

    # ------------------------------------------------------------------ what came

    def _take(self, frame: Response) -> None:
        if frame.content == "goodbye":
            self._stream.goodbye = frame.goodbye
            return
        match self.link.hear(frame.number):
            case Arrival.REPEAT:
                return
            case Arrival.GAP:
                self._ledger.note(self.agent_id, "misses a batch before", frame.number)
                self._give_up("out_of_order")
                return
        if frame.content == "batch":
            self._take_batch(frame.parcels or [], frame.answers)
        self.link.took(frame.number)
        if frame.content in ("batch", ""):
            for msg_id in self.outbox.confirm(frame.confirmed):
                self._ledger.told_admitted(msg_id)
            self.inbox.confirm(frame.confirmed)
            self._post_waiting()
        if self.link.owes_confirmation:
            self.wake()

    def _take_batch(self, parcels: list[Parcel], answers: Answers | None) -> None:
        if answers is not None:
            for refusal in answers.refusals:
                self._take_refusal(*refusal.decode().split(" ", 1))
            for raw in answers.receipts:
                self._take_receipt(Receipt.FromString(raw))
        for parcel in parcels:
            key = (parcel.sender, parcel.msg_id, parcel.negotiation_id)
            if not self.inbox.admits(key):
                continue
            if self._deliver(parcel, key):
                self.inbox.took(key)
            else:
                self.inbox.turn_away(key)
        if self.inbox.has_acks:
            self.wake()

    def _take_refusal(self, code: str, msg_id: str) -> None:
        if code == "DUPLICATE" and self.outbox.is_repeated(msg_id):
            self._admit(msg_id)
        elif self.outbox.settle(msg_id) is not None:
            self._ledger.told_refused(msg_id, code)
        self._post_waiting()

    def _take_receipt(self, receipt: Receipt) -> None:
        self._admit(receipt.msg_id)
        if receipt.stage == RECEIPT_STAGE_DELIVERED:
            self._ledger.told_receipt(receipt.msg_id, receipt.recipient)

    def _admit(self, msg_id: str) -> None:
        if self.outbox.settle(msg_id) is not None:
            self._ledger.told_admitted(msg_id)

    def _finish(self, key: Key) -> None:
        self.inbox.finish(key)
        self.wake()
