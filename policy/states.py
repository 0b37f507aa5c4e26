"""Where a negotiation stands, as a value that can be compared, pickled and moved.

Every protocol has a state of its own; `Negotiation` is what all of them offer to the table and
the shell, and `View` what they show to operators.

`State` is that of a contract net. It has three parts that change at different speeds: what every
offer changes (answers, offers), what happens rarely (`Aside`), and what exists only after the
close (`Course`). The terms never change and are shared by all states of a negotiation.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import msgspec

from policy.auction import Ranked
from policy.call import Call, Terms
from policy.events import OfferReceived
from policy.settling import Settlement


class Phase(Enum):
    """Where a negotiation stands.

    DECIDED of the protocol has no member: the step that decides also asks for what follows.
    """

    OPEN = "open"
    """Offers are taken."""
    CLOSED = "closed"
    """The initiator decides."""
    SETTLING = "settling"
    """The store is asked to write the award."""
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
_COMMITTED = Phase.COMMITTED  # to look a member up in an enum takes long


class View(msgspec.Struct, frozen=True, gc=False):
    """What an operator is shown of a negotiation, whatever its protocol."""

    offers: int
    """Offers that stand, or stood when it ended."""
    answered: int
    """Agents that have answered for themselves."""
    parties: Mapping[str, str]
    """Where each agent stands, in a word: "called", "offered", "won", "to_move"."""
    values: Mapping[str, float]
    """What agents offer, as far as an operator may see it: nothing that is sealed."""
    closed_by: str = ""
    """How it was closed; "" before."""
    reason: str = ""
    """Why it ended as it did; "" before."""
    round: int = 1


class CommonTerms(Protocol):
    """What the terms of every protocol tell."""

    @property
    def call(self) -> Call: ...
    @property
    def initiator(self) -> str: ...
    @property
    def eligible(self) -> frozenset[str]: ...
    @property
    def size(self) -> int: ...
    @property
    def deadline(self) -> float: ...


class Negotiation(Protocol):
    """Where one negotiation stands, whatever its protocol: a value, frozen and picklable."""

    @property
    def terms(self) -> CommonTerms: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def due(self) -> float:
        """When time itself moves the negotiation on; once it is final, when it is forgotten."""

    @property
    def is_final(self) -> bool:
        """Tell whether nothing is awaited any more."""

    def view(self) -> View:
        """Return what an operator is shown."""


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
    settling: tuple[Award, ...] = ()
    """Awards that the store is asked to write."""
    settlement: Settlement | None = None
    """What awards hold, where they hold something."""


def net_of(state: Negotiation) -> State | None:
    """Return the contract net that a negotiation is, or is built around as its `net`, if any."""
    net = state if type(state) is State else getattr(state, "net", None)
    return net if isinstance(net, State) else None


class State(msgspec.Struct, frozen=True, gc=False):
    """Where one contract net stands."""

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
            self.phase is _COMMITTED and self.terms.call.report_within is None
        )

    def view(self) -> View:
        """Return what an operator is shown; no value before the close."""
        course, offers = self.course, len(self.offers)
        outcome = None if course is None else course.outcome
        return View(
            offers=offers if outcome is None else int(str(outcome["offers"])),
            answered=sum(answer != "" for answer in self.answers.values()),
            parties={agent: _word_for(self, agent) for agent in self.terms.call.eligible},
            values=_values(self),
            closed_by="" if course is None else course.closed_by,
            reason="" if outcome is None else str(outcome["reason"]),
            round=self.terms.round,
        )

    def __repr__(self) -> str:
        return (
            f"<Negotiation {self.terms.call.negotiation_id} {self.phase.value}: "
            f"{len(self.offers)} offers, {len(self.answers)} of {self.terms.size} answered, "
            f"due at {self.due:g}>"
        )


def _values(state: State) -> dict[str, float]:
    course = state.course
    if course is None:
        return {}
    values = {offer.sender: offer.value for offer in state.offers}
    values |= {ranked[0].sender: ranked[0].value for ranked in course.ranking}
    return values | {award.agent: award.value for award in course.awards}


def _word_for(state: State, agent: str) -> str:
    """Return where an agent stands."""
    course, aside = state.course, state.aside
    answer = state.answers.get(agent)
    decided = course is not None and course.outcome is not None
    if course is not None and any(award.agent == agent for award in course.pending):
        return "confirming"
    if course is not None and decided and any(one.agent == agent for one in course.awards):
        return "won"
    if agent in aside.withdrawn:
        return "withdrawn"
    if agent in aside.late:
        return "late"
    if agent in aside.declined:
        return "declined"
    if answer == "":
        return "gone"
    if answer is not None:
        return "lost" if decided else "offered"
    return "thinking" if agent in aside.thinking else "called"
