"""Where a bargain between two stands, as a value that can be compared, pickled and moved.

Both protocols between two keep this state. They differ in who is to move, and in when a deal is
shown: in alternating offers one party moves and the other hears it at once; in monotonic
concession both move, and nobody hears anything before both have.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from policy.bargaining import Terms
from policy.coin import Toss
from policy.deals import Deal
from policy.settling import Settlement
from policy.states import ENDED, Phase, View


class Ending(msgspec.Struct, frozen=True, gc=False):
    """How a bargain ended."""

    by: str
    """ "agreement", "end", "rounds", "deadline", "turn_timeout" or "conflict"."""
    reason: str
    deal: Deal | None = None
    """What was agreed."""


class Settling(msgspec.Struct, frozen=True, gc=False):
    """A deal that holds something, and what became of that."""

    deal: Deal
    toss: Toss | None
    settlement: Settlement


class State(msgspec.Struct, frozen=True, gc=False):
    """Where one bargain stands."""

    terms: Terms
    phase: Phase
    due: float
    """When time itself moves it on; once it is final, when it is forgotten."""
    to_move: tuple[str, ...]
    """Who is to move; empty once it is over."""
    round: int
    """Alternating offers: how many proposals were made. Monotonic concession: the step."""
    since: float
    """When the turn began."""
    deals: Mapping[str, Deal] = msgspec.field(default_factory=dict)
    """The last deal of each party that both have seen."""
    standing: Deal | None = None
    """The proposal that may be accepted, in alternating offers."""
    sealed: Mapping[str, Deal] = msgspec.field(default_factory=dict)
    """What has been tabled in this step and is not shown yet, in monotonic concession."""
    offers: int = 0
    """How many proposals counted."""
    told: int = 0
    """How many messages of the exchange's own were sent."""
    heard: frozenset[tuple[str, str]] = frozenset()
    """Sender and msg_id of every act that counted, to know it again."""
    last: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The msg_id of each party's own last act."""
    asides: Mapping[str, int] = msgspec.field(default_factory=dict)
    """How often each party has asked for time, or said something without moving."""
    ending: Ending | None = None
    settling: Settling | None = None
    """The deal that the store was asked to write, where the call has stakes."""

    @property
    def is_final(self) -> bool:
        """Tell whether nothing is awaited any more; `due` then says when to forget it."""
        return self.phase is Phase.COMMITTED or self.phase in ENDED

    def view(self) -> View:
        """Return what an operator is shown; nothing that is sealed."""
        ending, parties = self.ending, (self.terms.initiator, self.terms.responder)
        return View(
            offers=self.offers,
            answered=int(self.terms.responder in self.last),
            parties={agent: self._word_for(agent) for agent in parties},
            values={
                agent: deal.value for agent, deal in self.deals.items() if deal.value is not None
            },
            closed_by="" if ending is None else ending.by,
            reason="" if ending is None else ending.reason,
            round=max(1, self.round),
        )

    def _word_for(self, agent: str) -> str:
        if self.ending is not None:
            return "won" if self.ending.deal is not None else "lost"
        return "to_move" if agent in self.to_move else "waits"

    def __repr__(self) -> str:
        movers = ", ".join(self.to_move) or "nobody"
        return (
            f"<Bargain {self.terms.call.negotiation_id} {self.phase.value}: round {self.round} "
            f"of {self.terms.rules.max_rounds}, {movers} to move, due at {self.due:g}>"
        )
