"""What protocols that are made of rounds of a contract net have in common: a state around one.

The round is `net`. It tells the terms, the phase and what time moves; the protocol adds what it
knows besides, and decides which events the round hears.
"""

from __future__ import annotations

import msgspec

from policy.call import Terms
from policy.events import DeadlinePassed, Event
from policy.states import Phase, State

TIME_UP = DeadlinePassed()


class Around(msgspec.Struct, frozen=True, gc=False):
    """A state around a round."""

    net: State
    """The round that is, or was the last."""

    @property
    def terms(self) -> Terms:
        """The terms of the round."""
        return self.net.terms

    @property
    def phase(self) -> Phase:
        """The phase of the round."""
        return self.net.phase

    @property
    def due(self) -> float:
        """When time itself moves the negotiation on; once it is final, when it is forgotten."""
        return self.net.due

    @property
    def is_final(self) -> bool:
        """Tell whether nothing is awaited any more."""
        return self.net.is_final

    def is_overdue(self, event: Event, now: float) -> bool:
        """Tell whether time has to be heard first: an act comes after the round was to move on."""
        net = self.net
        return now > net.due and type(event) is not DeadlinePassed and not net.is_final
