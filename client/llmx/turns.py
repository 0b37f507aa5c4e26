"""What a gateway tells an agent with a message that it expects an answer to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from llmx.v1 import turn_pb2
from llmx.v1.envelope_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class StandingOffer:
    """The best offer so far, as far as the agent may know of it."""

    offer_id: str
    agent: str
    value: float


@dataclass(frozen=True, slots=True)
class Turn:
    """How long the agent has, what stands, and what it did last.

    The times are counted by the gateway's clock, so they are right for a message that came late.
    """

    round: int
    """The round of the negotiation, from 1."""
    rounds_left: int
    """How many rounds may follow; 0 when this is the last."""
    answer_in: float
    """Seconds from the message's coming for which an answer counts; thinking extends it."""
    deadline_in: float
    """Seconds beyond which nothing extends it."""
    standing_offer: StandingOffer | None = None
    own_last_msg_id: str = ""
    """The msg_id of what this agent did last in the negotiation; empty for nothing."""
    came: float = field(default_factory=time.monotonic, repr=False, compare=False)
    """When the message came, by this machine's monotonic clock."""

    @property
    def seconds_left(self) -> float:
        """Return the seconds for which an answer still counts; negative when they are over."""
        return self.answer_in - (time.monotonic() - self.came)

    @property
    def seconds_left_at_most(self) -> float:
        """Return the seconds that thinking can still gain."""
        return self.deadline_in - (time.monotonic() - self.came)

    def as_text(self) -> str:
        """Return the turn in sentences, for the prompt of a language model."""
        left, most = max(self.seconds_left, 0.0), max(self.seconds_left_at_most, 0.0)
        said = [f"You have {left:.0f} seconds to answer."]
        if most > left + 1:
            said.append(f"Asking for more time gains you {most - left:.0f} more at most.")
        if self.rounds_left:
            said.append(f"This is round {self.round}; {self.rounds_left} more may follow.")
        else:
            said.append(f"This is round {self.round}, the last one.")
        if self.standing_offer is not None:
            offer = self.standing_offer
            said.append(f"The best offer so far is {offer.value:g} by {offer.agent}.")
        return " ".join(said)


def count_from(told: turn_pb2.Turn, now: float) -> None:
    """Shorten the durations of a turn to what is left of them at `now`, by the gateway's clock.

    A gateway tells the times when it queues a message; one that waited for its agent, or was sent
    again, has less left. From one that tells no times the durations stay as they are.
    """
    for duration, until in ((told.answer_in, "answer_by"), (told.deadline_in, "deadline_at")):
        if told.HasField(until):
            left = getattr(told, until).ToNanoseconds() - round(now * 1e9)
            duration.FromNanoseconds(min(duration.ToNanoseconds(), left))


def turn_of(envelope: Envelope, came: float) -> Turn | None:
    """Return the turn that a gateway told with a message which came at `came`, if it did."""
    if not envelope.HasField("turn"):
        return None
    told = envelope.turn
    offer = told.standing_offer
    return Turn(
        told.round,
        told.rounds_left,
        told.answer_in.ToNanoseconds() / 1e9,
        told.deadline_in.ToNanoseconds() / 1e9,
        StandingOffer(offer.offer_id, offer.sender, offer.value)
        if told.HasField("standing_offer")
        else None,
        told.own_last_msg_id,
        came,
    )
