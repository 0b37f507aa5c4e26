"""Alice and her contractors in one case, without a clock and without a wire.

A message comes in with the time, what is to be sent comes out with its delay. In real time a
socket is around this, in simulated time a heap of moments: the agents are the same. What they
see is told as events, and kept for each round until nothing more can come of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from loadtest.experiments import bidding, weighty
from loadtest.experiments.bidding import Bid
from loadtest.experiments.cases import LIVE_PROFILE, Case
from loadtest.messages import SCHEMA
from loadtest.run_records import Happened
from policy.acceptance import PROFILES

DIGITS = 6
"""Of the number of a round in its msg_ids."""
VERDICTS = ("accept", "reject", "cancel")
AFTERWARDS_SECONDS = 5.0
"""How long after its last possible answer a round is watched for what comes twice."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What one agent says, or is told."""

    sender: str
    act: str
    msg_id: str
    payload: bytes = b""
    """JSON; empty where `body` has it parsed already."""
    negotiation_id: str = ""
    in_reply_to: str = ""
    body: Mapping[str, Any] | None = None

    def content(self) -> Mapping[str, Any]:
        """Return the payload."""
        parsed: Mapping[str, Any] = orjson.loads(self.payload) if self.body is None else self.body
        return parsed


class Due(msgspec.Struct, frozen=True, gc=False):
    """A message that is to be sent."""

    message: Message
    delay: float
    """Seconds from now."""


@dataclass(slots=True)
class Round:
    """What was seen of one call."""

    number: int
    msg_id: str
    called_at: float
    bids: list[Bid]
    """What each contractor does with the call."""
    negotiation_id: str = ""
    heard: dict[str, float] = field(default_factory=dict)
    """When each contractor heard the call."""
    offered: dict[str, str] = field(default_factory=dict)
    """The first valid offer of each contractor, its msg_id."""
    received: dict[str, float] = field(default_factory=dict)
    """When Alice heard the offer of each contractor."""
    verdicts: dict[str, dict[str, str]] = field(default_factory=dict)
    """What each contractor was told: verdicts by msg_id."""
    acked: dict[str, float] = field(default_factory=dict)
    """When Alice heard that a contractor has acknowledged the call."""
    outcomes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What Alice was told in the end, by msg_id; one, if all is well."""
    decided_at: float | None = None
    confirms: int = 0
    copies: int = 0
    """Messages that came again under the same msg_id."""
    refusals: list[tuple[str, str]] = field(default_factory=list)
    """Who was refused something, with the code."""

    @property
    def outcome(self) -> Mapping[str, Any] | None:
        """Return what Alice was told, None when she has heard nothing yet."""
        return next(iter(self.outcomes.values()), None)

    @property
    def untold(self) -> list[str]:
        """Return who has made an offer and heard nothing of it, though it has to."""
        label = str((self.outcome or {}).get("policy", "")).partition("@")[0]
        profile = PROFILES.get(label)
        if label != LIVE_PROFILE and (profile is None or profile.final == "optional"):
            return []
        answered = self.verdicts.keys() | {agent for agent, _ in self.refusals}
        return [agent for agent in self.offered if agent not in answered]


class Cast:
    """The agents of one case."""

    def __init__(
        self,
        case: Case,
        tag: str,
        tell: Callable[[Happened], None],
        closed: Callable[[Round], None],
        begins_at: float = 0.0,
    ) -> None:
        """Tell what happens to `tell`, and hand each round to `closed` when it is over.

        `tag` tells these agents from those of other cases, `begins_at` is what the clock says
        when the run begins.
        """
        self.case = case
        self._tag = tag
        self.alice = f"agent://alice-{tag}"
        self.contractors = [f"agent://c{at:02d}-{tag}" for at in range(case.contractors)]
        self.topic = tag
        self.open: dict[str, Round] = {}
        """Rounds without an outcome, by the msg_id of their call."""
        self.strays = 0
        """Messages of rounds that were over long ago, or of none."""
        self.on_outcome: Callable[[Round], None] = lambda round_: None
        self._tell = tell
        self._closed = closed
        self._begins_at = begins_at
        self._rounds: dict[str, Round] = {}
        self._named: dict[str, Round] = {}
        self._watched: deque[tuple[float, Round]] = deque()
        self._index = {agent: at for at, agent in enumerate(self.contractors)}
        self._call = orjson.dumps(bidding.call_payload(case))
        self._added = {} if case.judging is None else weighty.added_to_offers(case.judging)

    def call(self, number: int, now: float) -> Message:
        """Begin a round; returns the call."""
        self._let_go(now)
        msg_id = f"{self._tag}-{number:0{DIGITS}d}"
        round_ = self.open[msg_id] = self._rounds[msg_id] = Round(
            number, msg_id, now, bidding.bids(self.case, number)
        )
        self._note(now, "call_sent", round_, self.alice, msg_id)
        return Message(self.alice, "cfp", msg_id, self._call)

    def named(self, msg_id: str, negotiation_id: str) -> None:
        """Hear which negotiation a call has opened."""
        round_ = self._rounds.get(msg_id)
        if round_ is not None:
            round_.negotiation_id = negotiation_id
            self._named[negotiation_id] = round_

    def hear(self, agent: str, message: Message, now: float) -> list[Due]:
        """Let an agent hear a message; returns what it will send."""
        if message.act == "cfp":
            return self._hear_call(agent, message, now)
        round_ = self._named.get(message.negotiation_id)
        if round_ is None:
            self.strays += 1
            return []
        if agent == self.alice:
            self._alice_hears(round_, message, now)
            return []
        return self._verdict(round_, agent, message, now)

    def acked(self, msg_id: str, agent: str, now: float) -> None:
        """Let Alice hear that a contractor has acknowledged her call."""
        round_ = self._rounds.get(msg_id)
        if round_ is not None:
            round_.acked.setdefault(agent, now)

    def refused(self, agent: str, msg_id: str, code: str, now: float) -> None:
        """Let an agent hear that what it sent did not count."""
        round_ = self._rounds.get(msg_id[: len(self._tag) + 1 + DIGITS])
        if round_ is None:
            self.strays += 1
            return
        round_.refusals.append((agent, code))
        self._note(now, "refused", round_, agent, msg_id, word=code)

    @property
    def is_over(self) -> bool:
        """Tell whether every call has its outcome, and every offer its answer."""
        return not self.open and not any(round_.untold for _, round_ in self._watched)

    def end(self) -> None:
        """Hand over every round that is still watched, the unfinished ones last."""
        while self._watched:
            self._close(self._watched.popleft()[1])
        for round_ in list(self.open.values()):
            self._close(round_)

    # ------------------------------------------------------------------ contractors

    def _hear_call(self, agent: str, message: Message, now: float) -> list[Due]:
        round_ = self._rounds.get(message.msg_id)
        if round_ is None:
            self.strays += 1
            return []
        if agent in round_.heard:
            round_.copies += 1
            return []
        self.named(message.msg_id, message.negotiation_id)
        round_.heard[agent] = now
        self._note(now, "call_heard", round_, agent, message.msg_id)
        at = self._index[agent]
        made = round_.bids[at]
        if made.kind == "silent":
            return []
        first = Message(
            agent,
            "offer",
            f"{message.msg_id}-{at:02d}",
            orjson.dumps(bidding.offer_payload(made) | self._added),
            message.negotiation_id,
            message.msg_id,
        )
        due = [Due(first, made.delay)]
        if made.repeat == "message":
            due.append(Due(first, made.delay))
        elif made.repeat == "offer":
            again = msgspec.structs.replace(first, msg_id=f"{first.msg_id}-again")
            due.append(Due(again, made.delay))
        return due

    def sent(self, message: Message, now: float) -> None:
        """Note that an agent has sent something."""
        round_ = self._named.get(message.negotiation_id)
        if round_ is None:
            return
        if message.act == "offer":
            made = round_.bids[self._index[message.sender]]
            if made.kind == "offer":
                round_.offered.setdefault(message.sender, message.msg_id)
            self._note(now, "offer_sent", round_, message.sender, message.msg_id, made.value)
        else:
            self._note(now, f"{message.act}_sent", round_, message.sender, message.msg_id)

    def _verdict(self, round_: Round, agent: str, message: Message, now: float) -> list[Due]:
        heard = round_.verdicts.setdefault(agent, {})
        if message.act not in VERDICTS:
            self.strays += 1
            return []
        if message.msg_id in heard:
            round_.copies += 1
            return []
        heard[message.msg_id] = message.act
        self._note(now, f"{message.act}_heard", round_, agent, message.msg_id)
        if message.act != "accept":
            return []
        body = message.content()
        if "confirm_within" not in body.get("award", {}):
            return []
        round_.confirms += 1
        payload = {"$schema": SCHEMA, "act": "confirm", "offer_id": body["offer_id"]}
        confirm = Message(
            agent,
            "confirm",
            f"{round_.msg_id}-{self._index[agent]:02d}-confirm",
            orjson.dumps(payload),
            message.negotiation_id,
            round_.offered.get(agent, ""),
        )
        return [Due(confirm, 0.0)]

    # ------------------------------------------------------------------ Alice

    def _alice_hears(self, round_: Round, message: Message, now: float) -> None:
        if message.act == "offer":
            if message.sender in round_.received:
                round_.copies += 1
                return
            round_.received[message.sender] = now
            self._note(now, "offer_heard", round_, message.sender, message.msg_id)
            return
        body = message.content()
        if "outcome" not in body:
            self._note(now, f"{message.act}_heard", round_, self.alice, message.msg_id)
            return
        if message.msg_id in round_.outcomes:
            round_.copies += 1
            return
        outcome = round_.outcomes[message.msg_id] = body["outcome"]
        if round_.decided_at is None:
            round_.decided_at = now
            self.open.pop(round_.msg_id, None)
            wait = self.case.reply_within + AFTERWARDS_SECONDS
            self._watched.append((now + wait, round_))
        self._note(now, "outcome_heard", round_, self.alice, message.msg_id, word=outcome["state"])
        self.on_outcome(round_)

    # ------------------------------------------------------------------ rounds

    def _let_go(self, now: float) -> None:
        while self._watched and self._watched[0][0] <= now:
            self._close(self._watched.popleft()[1])

    def _close(self, round_: Round) -> None:
        self._rounds.pop(round_.msg_id, None)
        self._named.pop(round_.negotiation_id, None)
        self._closed(round_)

    def _note(
        self,
        now: float,
        kind: str,
        round_: Round,
        agent: str,
        msg_id: str,
        value: float | None = None,
        word: str = "",
    ) -> None:
        at = round(now - self._begins_at, 6)
        self._tell(Happened(at, kind, self.case.name, round_.number, agent, msg_id, value, word))
