"""Where a contract net stands, as a value that can be compared, pickled and moved.

A `State` has three parts that change at different speeds: what every offer changes (answers,
offers), what happens rarely (`Aside`), and what exists only after the close (`Course`). The
terms never change and are shared by all states of a negotiation.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec

from policy.auction import Ranked
from policy.call import Terms
from policy.events import OfferReceived


class Phase(Enum):
    """Where a negotiation stands.

    DECIDED of the protocol has no member: the step that decides also asks for what follows.
    """

    OPEN = "open"
    """Offers are taken."""
    CLOSED = "closed"
    """The initiator decides."""
    CONFIRMING = "confirming"
    """Winners were asked to confirm."""
    COMMITTED = "committed"
    """The award is made."""
    DONE = "done"
    """Every winner reported success."""
    FAILED = "failed"
    """A winner reported failure, or did not report in time."""
    CANCELLED = "cancelled"
    """The initiator ended it."""
    NO_AWARD = "no_award"
    """It ended without a winner."""


ENDED = (Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.NO_AWARD)


class Aside(msgspec.Struct, frozen=True, gc=False):
    """What happens rarely while offers come in, and who was heard besides."""

    met: bool = False
    """The quorum was met; the round only settles."""
    settled_at: float = 0.0
    """When the round has settled, once the quorum is met."""
    declined: frozenset[str] = frozenset()
    """Agents that refused or did not understand."""
    withdrawn: frozenset[str] = frozenset()
    """Agents that offered and took it back."""
    malformed: frozenset[str] = frozenset()
    """Agents that sent something that broke its schema."""
    late: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The msg_id of the offer that an agent made after the close."""
    heard: frozenset[tuple[str, str]] = frozenset()
    """Sender and msg_id of every other act that changed the state, to know it again."""
    thinking: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Until when agents that have not answered have asked to be waited for."""
    thoughts: Mapping[str, int] = msgspec.field(default_factory=dict)
    """How often each agent has asked for more time."""


NOTHING_ASIDE = Aside()


class Award(msgspec.Struct, frozen=True, gc=False):
    """A unit that an agent has won, or wins once it confirms."""

    agent: str
    offer_id: str
    value: float
    price: float
    rank: int
    asked_at: float
    confirm_by: float


class Course(msgspec.Struct, frozen=True, gc=False):
    """What has become of a negotiation since its close."""

    closed_at: float
    closed_by: str
    """ "quorum", "all_answered", "deadline" or "cancel"."""
    ranking: tuple[Ranked, ...] = ()
    """Every offer, the best first; empty once the outcome is known."""
    chosen: tuple[str, ...] = ()
    """Agents whose offers the initiator has accepted."""
    out: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Agents that offered and have had their last word, with the reason."""
    pending: tuple[Award, ...] = ()
    """Awards that are not confirmed yet, in the order in which they were made."""
    awards: tuple[Award, ...] = ()
    """Awards that stand, or will when none is pending."""
    owing: frozenset[str] = frozenset()
    """Agents that owe a report: winners, or those that were told of the cancellation."""
    failed: bool = False
    """A winner has reported failure."""
    asked_at: float = 0.0
    """When the initiator was asked to decide, if it was."""
    outcome: Mapping[str, object] | None = None
    """What the initiator was told in the end, without the ranking."""


class State(msgspec.Struct, frozen=True, gc=False):
    """Where one negotiation stands."""

    terms: Terms
    phase: Phase
    due: float
    """When time itself moves the negotiation on; once it is final, when it is forgotten."""
    answers: Mapping[str, str]
    """The msg_id of each agent's answer to the call; "" for an agent that could not be reached."""
    offers: tuple[OfferReceived, ...]
    """Valid offers in the order in which they came; empty once the outcome is known."""
    told: int
    """How many messages of the exchange's own were sent."""
    aside: Aside
    course: Course | None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing is awaited any more; `due` then says when to forget it."""
        return self.phase in ENDED or (
            self.phase is Phase.COMMITTED and self.terms.call.report_within is None
        )

    def __repr__(self) -> str:
        return (
            f"<Negotiation {self.terms.call.negotiation_id} {self.phase.value}: "
            f"{len(self.offers)} offers, {len(self.answers)} of {self.terms.size} answered, "
            f"due at {self.due:g}>"
        )
