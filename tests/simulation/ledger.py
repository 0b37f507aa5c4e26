"""What everybody was told and handed, and whether it may be so.

The ledger knows nothing of how messages travel. It is told what happened to each at the borders:
posted by an application, admitted by a gateway, stored, settled (acknowledged, expired, given up),
handed to an application, told to its sender. Whatever breaks a promise raises `Violation` on the
spot; `check_end` says what is missing when nothing may be missing any more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from llmx.v1.envelope_pb2 import Envelope

TRACE_MAX = 80
GATEWAYS_OWN = ":"
"""Stands in the ids of what a gateway says itself, and in no other."""


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(slots=True, eq=False)
class Letter:
    """One message, and what became of it."""

    msg_id: str
    sender: str
    recipient: str
    conversation: str
    """The negotiation; order is promised within one of a sender and a recipient."""
    number: int
    """From 1 in its conversation."""
    repeats: bool
    """False for at most once."""
    ttl: float
    durable: bool
    receipt: bool
    size: int
    envelope: Envelope = field(repr=False)
    posted_at: float = 0.0
    told: str = ""
    """What the sender knows: "admitted" or the code of a refusal."""
    is_orphan: bool = False
    """Has its sender begun a new life before it was told?"""
    admitted_in: int = -1
    """The life of the gateway that admitted it last."""
    was_stored: bool = False
    was_interrupted: bool = False
    """Was a stream cut while the gateway was busy with its batch?

    It is handled again then, and what was refused the first time may be admitted the second time.
    """
    was_unadmitted: bool = False
    """Has the disk ever refused it?"""
    expires_at: float = 0.0
    session: int = 0
    """The session of its sender that was on when it was admitted."""
    fate: str = ""
    """How the gateway settled it: "acknowledged", a reason for a failure, or "lost"."""
    fate_in: int = -1
    settled_in: int = -1
    """In which life of the gateway it was settled first."""
    was_given_up: bool = False
    """Has any life of the gateway given it up?"""
    failures: int = 0
    """How often the sender was handed a failure."""
    receipts: int = 0
    was_sent: bool = False
    was_guessed: bool = False
    """Has its recipient acknowledged it before it was sent?"""
    was_handed: bool = False


@dataclass(slots=True)
class Reader:
    """An application, as far as it was handed something."""

    handed: set[str] = field(default_factory=set)
    last: dict[tuple[str, str], int] = field(default_factory=dict)
    """The place of the last message handed on, by sender and conversation."""
    session: int = 0


class Ledger:
    """All messages of one simulation."""

    def __init__(self) -> None:
        """Start empty."""
        self.now = 0.0
        self.letters: dict[str, Letter] = {}
        self.readers: dict[str, Reader] = {}
        self.life = 0
        """Of the gateway."""
        self.settled = 0
        self._places = 0
        self._last_admitted: dict[tuple[str, str, str, str], int] = {}
        self._trace: deque[tuple[Any, ...]] = deque(maxlen=TRACE_MAX)

    def note(self, *words: Any) -> None:
        """Remember something for the trace."""
        self._trace.append((self.now, *words))

    def trace(self) -> str:
        """Return the last events, oldest first."""
        return "\n".join(
            f"{now:9.4f}  {' '.join(str(word) for word in words)}" for now, *words in self._trace
        )

    def reader(self, agent: str) -> Reader:
        """Return what an agent's application was handed in this life of it."""
        return self.readers.setdefault(agent, Reader())

    # ------------------------------------------------------------------ the sender's side

    def posted(self, letter: Letter) -> None:
        """An application sent a message."""
        letter.posted_at = self.now
        self.letters[letter.msg_id] = letter
        self.note(letter.sender, "posts", letter.msg_id)

    def told_admitted(self, msg_id: str) -> None:
        """A sender was told that a message was admitted."""
        letter = self.letters[msg_id]
        self.note(letter.sender, "is told that", msg_id, "was admitted")
        if letter.admitted_in < 0:
            raise Violation(f"{msg_id} was never admitted, and its sender was told so")
        if letter.durable and letter.repeats and not letter.was_stored:
            raise Violation(f"{msg_id} is durable, told as admitted, and not on the disk")
        if letter.told not in ("", "admitted"):
            raise Violation(f"{msg_id} was told as admitted after {letter.told}")
        letter.told = "admitted"

    def told_refused(self, msg_id: str, code: str) -> None:
        """A sender was told that a message did not count."""
        letter = self.letters[msg_id]
        self.note(letter.sender, "is told that", msg_id, "was refused:", code)
        if letter.admitted_in == self.life or (code == "DUPLICATE" and letter.admitted_in >= 0):
            raise Violation(f"{msg_id} was admitted, and its sender was told {code}")
        if letter.told:
            raise Violation(f"{msg_id} was told as {code} after {letter.told}")
        letter.told = code

    def told_receipt(self, msg_id: str, recipient: str) -> None:
        """A sender was told that a message was acknowledged."""
        letter = self.letters[msg_id]
        self.note(letter.sender, "has a receipt for", msg_id)
        letter.receipts += 1
        if not letter.receipt or letter.receipts > 1 + self.life:  # each life may acknowledge it
            raise Violation(f"receipt {letter.receipts} for {msg_id}")
        if recipient != letter.recipient or not (letter.was_handed or letter.was_guessed):
            raise Violation(f"a receipt for {msg_id}, which was not handed on")

    def began_session(self, agent: str, *, resumed: bool) -> None:
        """An agent was welcomed."""
        self.note(agent, "resumes" if resumed else "begins anew")
        if not resumed:
            self.reader(agent).session += 1

    def began_life(self, agent: str) -> None:
        """An agent's process was started anew and knows nothing."""
        self.note(agent, "is started anew")
        session = self.reader(agent).session + 1
        self.readers[agent] = Reader(session=session)
        for letter in self.letters.values():
            if letter.sender == agent:
                letter.is_orphan = True

    # ------------------------------------------------------------------ the gateway

    def next_place(self) -> int:
        """Return the place of a message in the order of admission."""
        self._places += 1
        return self._places

    def admitted(self, letter: Letter, expires_at: float, link: str) -> None:
        """A gateway admitted a message in the session `link`."""
        self.note("gateway admits", letter.msg_id)
        if letter.admitted_in == self.life:
            raise Violation(f"{letter.msg_id} was admitted twice")
        if letter.told not in ("", "admitted"):
            raise Violation(f"{letter.msg_id} is admitted after its sender was told {letter.told}")
        key = (link, letter.sender, letter.recipient, letter.conversation)
        comes_again = letter.was_unadmitted or letter.was_interrupted
        if letter.number <= self._last_admitted.get(key, 0) and not comes_again:
            raise Violation(f"{letter.msg_id} is admitted after a later message")
        self._last_admitted[key] = letter.number
        letter.admitted_in = self.life
        letter.expires_at = expires_at
        letter.fate = ""
        letter.session = self.reader(letter.sender).session

    def unadmitted(self, msg_id: str) -> None:
        """The disk did not take a durable message, which is refused after all."""
        self.note("gateway cannot keep", msg_id)
        letter = self.letters[msg_id]
        if letter.told == "admitted":
            raise Violation(f"{msg_id} was told as admitted, and the disk did not take it")
        letter.admitted_in = -1
        letter.was_unadmitted = True

    def interrupted(self, letters: list[Letter]) -> None:
        """A stream ended while these were being admitted."""
        for letter in letters:
            self.note("gateway is interrupted while it admits", letter.msg_id)
            letter.was_interrupted = True

    def stored(self, msg_id: str) -> None:
        """A row is on the disk."""
        if msg_id in self.letters:
            self.letters[msg_id].was_stored = True

    def sent(self, msg_id: str) -> None:
        """A message went out to its recipient."""
        letter = self.letters.get(msg_id)
        if letter is not None:
            letter.was_sent = True

    def guess(self, recipient: str) -> list[str]:
        """Return messages that a recipient may acknowledge though it cannot know of them."""
        unsent = [
            letter
            for letter in self.letters.values()
            if letter.recipient == recipient and letter.admitted_in >= 0 and not letter.was_sent
        ]
        for letter in unsent:
            letter.was_guessed = True
        return [letter.msg_id for letter in unsent]

    def given_up(self, recipient: str, msg_id: str, reason: str) -> None:
        """A gateway will not deliver a message any more, and its sender is to hear of it."""
        if msg_id not in self.letters:
            return  # a failure that nobody fetched
        self._settle(msg_id, recipient, reason)

    def acknowledged(self, recipient: str, msg_id: str) -> None:
        """A gateway heard that a message arrived."""
        letter = self.letters.get(msg_id)
        if letter is None:
            return
        if not letter.was_handed and not letter.was_guessed:
            raise Violation(f"{msg_id} counts as delivered and was not handed on")
        self._settle(msg_id, recipient, "acknowledged")

    def _settle(self, msg_id: str, recipient: str, fate: str) -> None:
        letter = self.letters[msg_id]
        self.note("gateway settles", msg_id, "as", fate)
        if letter.recipient != recipient:
            raise Violation(f"{msg_id} was settled for {recipient}")
        if letter.fate and letter.fate_in == self.life:
            raise Violation(f"{msg_id} was settled as {letter.fate}, then as {fate}")
        letter.fate, letter.fate_in = fate, self.life
        if letter.settled_in < 0:
            letter.settled_in = self.life
        letter.was_given_up = letter.was_given_up or fate != "acknowledged"
        self.settled += 1

    def restarted(self, kept: set[str]) -> None:
        """A gateway died; only `kept` is on its disk."""
        self.note("gateway restarts; its disk has", *sorted(kept))
        for letter in self.letters.values():
            if letter.admitted_in == self.life and not letter.fate and letter.msg_id not in kept:
                letter.fate, letter.fate_in = "lost", self.life
                if letter.told == "admitted" and letter.durable and letter.repeats:
                    raise Violation(f"{letter.msg_id} is durable, and lost")
        self.life += 1

    # ------------------------------------------------------------------ the recipient's side

    def handed(self, agent: str, msg_id: str, place: int) -> None:
        """An application was handed a message that was admitted in this place."""
        self.note(agent, "is handed", msg_id)
        reader = self.reader(agent)
        if msg_id in reader.handed:
            raise Violation(f"{agent} was handed {msg_id} twice")
        reader.handed.add(msg_id)
        if GATEWAYS_OWN in msg_id:
            return
        letter = self.letters[msg_id]
        if letter.recipient != agent:
            raise Violation(f"{agent} was handed {msg_id}, which is for {letter.recipient}")
        letter.was_handed = True
        key = (letter.sender, letter.conversation)
        # What was settled comes again if the gateway dies before the disk has forgotten it.
        comes_again = 0 <= letter.settled_in < self.life
        if place <= reader.last.get(key, 0) and not comes_again:
            raise Violation(f"{agent} was handed {msg_id} after one that was admitted later")
        reader.last[key] = max(place, reader.last.get(key, 0))

    def handed_failure(self, agent: str, msg_id: str, failed: str) -> None:
        """An application was handed the news that a message of its own did not arrive."""
        self.handed(agent, msg_id, 0)
        letter = self.letters[failed]
        if letter.sender != agent:
            raise Violation(f"{agent} was told of {failed}, which {letter.sender} sent")
        if not letter.was_given_up:
            raise Violation(f"{agent} was told that {failed} failed; it did not")
        letter.failures += 1

    # ------------------------------------------------------------------ the end

    def check_end(self, healed_at: float, patience: float, untold: set[str]) -> None:
        """Say what is missing, now that the network was perfect for so long.

        `untold` are messages of whose failure there was no room to tell.
        """
        for letter in self.letters.values():
            self._check_letter(letter, healed_at + patience, untold)

    def _check_letter(self, letter: Letter, patient_until: float, untold: set[str]) -> None:
        msg_id = letter.msg_id
        if not letter.told:
            if not letter.is_orphan:
                raise Violation(f"{letter.sender} never heard what became of {msg_id}")
            if letter.admitted_in < 0:
                return
        elif letter.told != "admitted":
            return
        if not letter.repeats:
            return
        if not letter.fate:
            raise Violation(f"{msg_id} was admitted and is owed for ever")
        if letter.fate == "lost":
            return  # with a gateway; it was not durable, which was checked then
        if letter.fate == "expired" and letter.expires_at > patient_until:
            raise Violation(f"{msg_id} expired before its time")
        if letter.fate_in != self.life:
            return
        if letter.fate != "acknowledged" and not letter.failures and msg_id not in untold:
            raise Violation(f"{letter.sender} was not told that {msg_id} failed: {letter.fate}")
        same_session = letter.session == self.reader(letter.sender).session
        is_due = letter.fate == "acknowledged" and letter.receipt and same_session
        if is_due and not letter.receipts:
            raise Violation(f"{letter.sender} has no receipt for {msg_id}")
