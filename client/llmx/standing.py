"""The calls that a contractor was asked, and what it said to each.

Found by the call, by the negotiation, and by the offer that is on its way. At most so many are
kept, and none for longer than any gateway remembers a negotiation.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmx.calls import Call, Offer
from llmx.v1.envelope_pb2 import Envelope

STANDING_MAX = 16_384
STANDING_SECONDS = 3600.0  # after that no gateway remembers the negotiation


@dataclass(slots=True, eq=False)
class Standing:
    """A call, and what we said to it."""

    call: Call
    negotiation_id: str
    since: float
    offer: Offer | None = None
    envelope: Envelope | None = None
    """The offer as it was sent; None while the author still thinks."""
    reveal: Mapping[str, Any] | None = None
    """What opens the offer, where it was only committed so far."""
    repairs: int = 0
    is_adrift: bool = False
    """Was the negotiation lost with its gateway? Then the call may come anew."""
    judged: bool = False
    """Was it accepted? Then it is kept because the award can still be cancelled, and because an
    heir of its gateway may call again."""
    former: list[str] = field(default_factory=list)
    """Negotiations of the same call whose place this one took. Their gateways may only have been
    slow, and make the award after all."""
    accepted_in: set[str] = field(default_factory=set)
    """Negotiations in which the author's offer was accepted: all of them mean one award."""

    @property
    def may_speak_in(self) -> set[str]:
        """Return the negotiations whose words count, besides an accept, which always does."""
        return {self.negotiation_id, *self.accepted_in}


class Standings:
    """All calls of one contractor that are not over."""

    def __init__(self) -> None:
        """Know no call."""
        self._by_call: OrderedDict[tuple[str, str], Standing] = OrderedDict()
        self._by_negotiation: dict[str, Standing] = {}
        self._by_offer: dict[str, Standing] = {}

    def __len__(self) -> int:
        return len(self._by_call)

    def __iter__(self) -> Iterator[Standing]:
        """Yield what is known now, the oldest first; it may be forgotten meanwhile."""
        return iter(list(self._by_call.values()))

    def __contains__(self, standing: object) -> bool:
        return isinstance(standing, Standing) and self._by_call.get(_key(standing)) is standing

    def of_call(self, initiator: str, msg_id: str) -> Standing | None:
        """Return what was said to a call."""
        return self._by_call.get((initiator, msg_id))

    def of_negotiation(self, negotiation_id: str) -> Standing | None:
        """Return what was said in a negotiation."""
        return self._by_negotiation.get(negotiation_id)

    def of_offer(self, msg_id: str) -> Standing | None:
        """Return the call that an offer answers, if no other offer has taken its place."""
        return self._by_offer.get(msg_id)

    def remember(self, standing: Standing) -> None:
        """Keep a call; the oldest give way to it."""
        now = time.monotonic()
        while self._by_call:
            oldest = next(iter(self._by_call.values()))
            if len(self._by_call) < STANDING_MAX and now - oldest.since < STANDING_SECONDS:
                break
            self.forget(oldest)
        self._by_call[_key(standing)] = standing
        self._by_negotiation[standing.negotiation_id] = standing

    def moved(self, standing: Standing, negotiation_id: str) -> None:
        """Know a call in the negotiation that took a lost one's place."""
        if negotiation_id not in (standing.negotiation_id, *standing.former):
            standing.former.append(standing.negotiation_id)
            standing.negotiation_id = negotiation_id
            self._by_negotiation[negotiation_id] = standing

    def sent(self, standing: Standing, envelope: Envelope) -> None:
        """Know an offer that is on its way, instead of the one before it."""
        if standing.envelope is not None:
            self._by_offer.pop(standing.envelope.msg_id, None)
        standing.envelope = envelope
        self._by_offer[envelope.msg_id] = standing

    def forget(self, standing: Standing) -> None:
        """Drop a call that is over; a repeat does nothing."""
        self._by_call.pop(_key(standing), None)
        for negotiation_id in (standing.negotiation_id, *standing.former):
            self._by_negotiation.pop(negotiation_id, None)
        if standing.envelope is not None:
            self._by_offer.pop(standing.envelope.msg_id, None)


def _key(standing: Standing) -> tuple[str, str]:
    return standing.call.initiator, standing.call.msg_id
