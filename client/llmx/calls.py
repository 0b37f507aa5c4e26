"""A contractor's view of a negotiation: the call, its own answer, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from llmx.messages import Message, number_in, object_in, text_in
from llmx.stakes import Lock, Payment, locks_in, payment_in
from llmx.thinking import Ask, Thinking, nobody_waits
from llmx.turns import Turn
from llmx.v1.envelope_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class Offer:
    """A binding proposal."""

    value: float
    """What the offer is worth: a price where low wins, a bid where high wins."""
    conditions: Mapping[str, Any] | None = None
    """Under what conditions, free fields, for example {"start_in": 2}."""
    terms: Mapping[str, Any] | None = None
    """What exactly is offered, free fields."""
    valid_for: float | None = None
    """Seconds that the offer stands; None means until the negotiation ends."""
    revocable: bool = False
    """May the offer be withdrawn before its award?"""
    text: str = ""
    """Words for a person or an LLM."""
    hold: bool = False
    """Hold the call's resources while the offer is valid, so that it cannot fail for them?"""
    claimed: float | None = None
    """What the work will be worth to the initiator, above 0; None: as much as the value."""

    def body(self) -> dict[str, Any]:
        """Return the payload without "$schema" and "act"."""
        body: dict[str, Any] = {"value": self.value}
        if self.conditions is not None:
            body["conditions"] = dict(self.conditions)
        if self.terms is not None:
            body["terms"] = dict(self.terms)
        if self.valid_for is not None:
            body["valid_for"] = self.valid_for
        if self.revocable:
            body["revocable"] = True
        if self.text:
            body["text"] = self.text
        if self.hold:
            body["hold"] = True
        if self.claimed is not None:
            body["claimed"] = self.claimed
        return body


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer of an agent that will not make an offer."""

    reason: str = ""
    """A short word or sentence for the initiator."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a language model wrote: an offer or a refusal as JSON, if all went well.

    The gateway judges it. One that it does not take comes back as a correction.
    """

    text: str


Answer = Offer | Refusal | Words | None
"""What a call can be answered with; None is a refusal without a reason."""


class Call(Message):
    """A call for proposals."""

    def __init__(self, envelope: Envelope, ask: Ask = nobody_waits) -> None:
        """Look at an envelope that calls; `ask` asks the gateway for more time."""
        super().__init__(envelope)
        self._ask = ask

    @property
    def initiator(self) -> str:
        """Return who calls, `agent://alice`."""
        return self.envelope.sender

    @property
    def task(self) -> Mapping[str, Any] | str:
        """Return what shall be done: an object, or words; an empty object when absent."""
        return text_in(self.body, "task") or object_in(self.body, "task")

    @property
    def constraints(self) -> Mapping[str, Any]:
        """Return what an offer has to keep to."""
        return object_in(self.body, "constraints")

    @property
    def direction(self) -> str:
        """Return "procure" when the lowest value wins, "allocate" when the highest does."""
        return text_in(self.body, "direction") or "procure"

    @property
    def reserve(self) -> float | None:
        """Return the value beyond which no offer is taken, if the initiator said one."""
        return number_in(self.body, "reserve")

    @property
    def protocol(self) -> str:
        """Return how it is negotiated, "contract-net" when it does not say."""
        return text_in(self.body, "protocol") or "contract-net"

    @property
    def round(self) -> int:
        """Return the number of the round, from 1."""
        said = number_in(self.body, "round")
        return int(said or (self.turn.round if self.turn else 1))

    @property
    def report_within(self) -> float | None:
        """Return how many seconds a winner has to report; None when no report is wanted."""
        return number_in(self.body, "report_within")

    @cached_property
    def reply_within(self) -> float:
        """Seconds between the call's coming and its deadline by this machine's clock.

        An estimate: what counts is when the gateway receives the answer, by its own clock.
        """
        seconds = number_in(self.body, "reply_within")
        if seconds is not None:
            return seconds
        try:
            deadline = datetime.fromisoformat(text_in(self.body, "deadline"))
        except ValueError:
            return 0.0
        if deadline.tzinfo is None:
            return 0.0
        return (deadline - datetime.now(UTC)).total_seconds()

    @property
    def seconds_left(self) -> float:
        """Return the seconds left to answer, negative when they are over.

        `thinking` extends them, up to `turn.seconds_left_at_most`.
        """
        if self.turn is not None:
            return self.turn.seconds_left
        return self.reply_within - (time.monotonic() - self._came)

    def read(self, path: str) -> Any:
        """Return what stands at a dotted path, "task.gpus"; None when nothing does."""
        value: Any = self.body
        for name in path.split("."):
            if not isinstance(value, dict) or name not in value:
                return None
            value = value[name]
        return value

    def offer(
        self,
        value: float,
        conditions: Mapping[str, Any] | None = None,
        terms: Mapping[str, Any] | None = None,
        *,
        valid_for: float | None = None,
        revocable: bool = False,
        text: str = "",
        hold: bool = False,
        claimed: float | None = None,
    ) -> Offer:
        """Return an offer; the handler returns it in turn."""
        return Offer(value, conditions, terms, valid_for, revocable, text, hold, claimed)

    def refuse(self, reason: str = "") -> Refusal:
        """Return a refusal; the handler returns it in turn."""
        return Refusal(reason)

    def asks_to_confirm(self, accept: Mapping[str, Any]) -> bool:
        """Must the winner confirm? The accept says so, or the policy that the call brought."""
        award = object_in(accept, "award")
        for name in ("confirm", "confirm_within", "confirm_by"):
            said = award.get(name, accept.get(name))
            if said is not None:
                return bool(said)
        return object_in(self.body, "policy").get("confirm") is True

    def words(self, text: str) -> Words:
        """Return what a language model answered, as it wrote it; the handler returns it in turn."""
        return Words(text)

    def thinking(self, seconds: float | None = None, *, turn: Turn | None = None) -> Thinking:
        """Ask to be waited for: await it to ask once, or ask as long as a block runs.

        `async with call.thinking():` asks again until the block ends, the deadline at most.
        """
        turn = turn or self.turn
        return Thinking(self._ask, seconds, turn.seconds_left_at_most if turn else None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a negotiation ended for one who made an offer."""

    won: bool
    reason: str
    """Why, as a short code: "best", "outbid", "late", "cancelled"."""
    negotiation_id: str
    offer_id: str
    """The msg_id of the offer."""
    offer: Offer
    call: Call
    price: float | None = None
    """What is paid, when won; in a Vickrey award it is not what was offered."""
    detail: str = ""
    """A sentence for people."""
    award: Mapping[str, Any] = field(default_factory=dict)
    """What else the award says."""
    turn: Turn | None = None
    """How long there is to confirm, where the winner is asked to."""
    retry_at: float | None = None
    """When it may be different, seconds since 1970 by the gateway's clock: a budget begins anew."""

    @property
    def locks(self) -> tuple[Lock, ...]:
        """Return the units that the award has locked."""
        return locks_in(self.award)

    @property
    def payment(self) -> Payment | None:
        """Return the credit that is held or paid for the award."""
        return payment_in(self.award)

    def thinking(self, seconds: float | None = None) -> Thinking:
        """Ask for more time to confirm, as `Call.thinking` does for an answer."""
        return self.call.thinking(seconds, turn=self.turn)

    @property
    def wants_report(self) -> bool:
        """Return whether the winner has to report the end of its work."""
        return self.call.report_within is not None or "report_within" in self.award
