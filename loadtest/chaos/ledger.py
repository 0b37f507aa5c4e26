"""What every agent sent and was told, and what every application was handed.

The ledger only writes down; `promises` judges it. Times are seconds on one clock. A message has
a label of ours, which travels in its text, because its msg_id is known to the sender only when
it was admitted. An application has *lives*: a program that is killed and started again is the
same agent and a new life, and remembers nothing.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

FAULTS_KEPT_MAX = 50_000


class Fate(enum.Enum):
    """What the sender of a message, or the initiator of a call, was told."""

    OPEN = "open"
    ADMITTED = "admitted"
    """Of a call: its outcome was told."""
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """The sender died before it heard."""
    LOST = "lost"
    """Of a call: the library gave up. Of a message: never."""


@dataclass(slots=True)
class Sent:
    """A message that an agent sent."""

    label: str
    sender: str
    order: tuple[int, int]
    """The sender's life and the message's number in it."""
    mode: str
    """How it was addressed: "direct", "topic" or "group"."""
    owed_to: frozenset[str]
    """Who has to get it, if it is admitted by the gateway that lives while it is sent."""
    allowed: frozenset[str]
    """Who may get it."""
    once: bool
    durable: bool
    ttl: float
    sent_at: float
    in_peace: bool = False
    """Was everything healed when it was sent? Then it has to arrive."""
    fate: Fate = Fate.OPEN
    code: str = ""
    """Why it was refused."""
    settled_at: float = 0.0
    msg_id: str = ""


@dataclass(frozen=True, slots=True)
class Handed:
    """A message that an application was handed."""

    label: str
    recipient: str
    life: int
    at: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A word to the sender that a message did not reach a recipient."""

    msg_id: str
    recipient: str
    reason: str
    at: float


@dataclass(slots=True)
class Called:
    """A call for proposals and what its initiator was told in the end."""

    label: str
    initiator: str
    durable: bool
    called_at: float
    fate: Fate = Fate.OPEN
    code: str = ""
    """The state of the outcome, the refusal's code, or why it was lost."""
    settled_at: float = 0.0
    negotiation_id: str = ""
    winners: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict that a contractor heard."""

    label: str
    negotiation_id: str
    contractor: str
    life: int
    won: bool
    at: float


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault, and whom it hit; nobody means the gateway."""

    at: float
    name: str
    agents: tuple[str, ...] = ()


@dataclass(slots=True)
class Ledger:
    """Everything that was said and done."""

    sent: dict[str, Sent] = field(default_factory=dict)
    handed: dict[str, list[Handed]] = field(default_factory=lambda: defaultdict(list))
    """What came, by label, in the order in which it came."""
    handings: list[Handed] = field(default_factory=list)
    """The same for everybody together."""
    failed: dict[str, list[Failed]] = field(default_factory=lambda: defaultdict(list))
    """By msg_id."""
    receipted: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of messages whose sender asked for receipts, by label: who it was told has them."""
    called: dict[str, Called] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)
    """When the gateway was killed."""
    agent_deaths: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    absences: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """From when to when an agent that had said good-bye was away, and heard no topics."""
    faults: deque[Struck] = field(default_factory=lambda: deque(maxlen=FAULTS_KEPT_MAX))
    sessions_lost: list[str] = field(default_factory=list)
    """Sessions that ended for good, with the reason; nobody's should."""
    counts: Counter[str] = field(default_factory=Counter)

    def send(self, message: Sent) -> None:
        """Write down what is about to be sent."""
        assert message.label not in self.sent, "labels are unique"
        self.sent[message.label] = message

    def settle(
        self, message: Sent | Called, fate: Fate, at: float, *, code: str = "", msg_id: str = ""
    ) -> None:
        """Write down what was told about a message or a call."""
        message.fate, message.code, message.settled_at = fate, code, at
        if isinstance(message, Sent):
            message.msg_id = msg_id

    def hand(self, handed: Handed) -> None:
        """Write down what an application was handed."""
        self.handed[handed.label].append(handed)
        self.handings.append(handed)

    def fail(self, failed: Failed) -> None:
        """Write down what a sender was told of a message that did not arrive."""
        self.failed[failed.msg_id].append(failed)

    def strike(self, fault: Struck) -> None:
        """Write down a fault."""
        self.faults.append(fault)
        self.counts[f"fault: {fault.name}"] += 1

    def died_between(self, start: float, end: float) -> bool:
        """Tell whether the gateway was killed between two moments."""
        at = bisect_left(self.deaths, start)
        return at < len(self.deaths) and self.deaths[at] <= end

    def was_away_between(self, agent: str, start: float, end: float) -> bool:
        """Tell whether an agent was away, after a good-bye, at any moment between two."""
        return any(left <= end and start <= back for left, back in self.absences.get(agent, ()))

    def agent_died_between(self, agent: str, start: float, end: float) -> bool:
        """Tell whether an application was killed between two moments."""
        return any(start <= at <= end for at in self.agent_deaths.get(agent, ()))

    def owed(self, message: Sent) -> Iterator[str]:
        """Yield the recipients that neither got a message nor were told of as failed."""
        if message.fate is not Fate.ADMITTED:
            return
        got = {one.recipient for one in self.handed.get(message.label, ())}
        failed = {one.recipient for one in self.failed.get(message.msg_id, ())}
        yield from sorted(message.owed_to - got - failed)
