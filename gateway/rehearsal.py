"""What another acceptance profile would have decided, on negotiations that were recorded.

A rehearsal plays a recorded call again with another profile. What agents did of their own accord
happens at its recorded time in its round; timers ring when the other profile lets them; what was an
answer to the exchange is given when the exchange asks: a winner confirms, a bidder reveals, an
initiator accepts or calls again, the store writes, each after as long as it took then. Where nobody
knows what somebody would have done, the rehearsal assumes that they agree at once, and says so.

It cannot know the offers that were never made because a round had closed: `unheard` says how many
agents had not answered when a round would have gone on. What a profile does not decide cannot be
compared, and `reason` says why: between two it is the parties that decide, and the moves of a
protocol that is not shipped are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.rehearsing.decisions import Decision
from gateway.rehearsing.past import Past
from gateway.rehearsing.stage import Stage
from policy.acceptance import Acceptance
from policy.call import Call
from policy.protocols import PROTOCOLS
from policy.table import Record

__all__ = ["Comparison", "Decision", "Rehearsed", "rehearse"]

REHEARSED = ("contract-net", "iterated-contract-net", "sealed-bid")
"""Protocols whose rounds a profile closes."""
IDS_SHOWN_MAX = 3
"""Of the negotiations that one sentence is about."""


class Rehearsed(msgspec.Struct, frozen=True):
    """One recorded negotiation, and what would have become of it."""

    negotiation_id: str
    then: Decision | None = None
    now: Decision | None = None
    reason: str = ""
    """Why there is nothing to compare; "" if there is."""
    unheard: int = 0
    """How many agents had not answered when it was closed, and would have had longer."""
    assumed: tuple[str, ...] = ()
    """What nobody knows, and was taken for granted, a sentence each."""

    @property
    def is_same(self) -> bool:
        """Tell whether the same agents win at the same price."""
        then, now = self.then, self.now
        if then is None or now is None:
            return False
        return (then.winners, then.price) == (now.winners, now.price)


@dataclass(slots=True)
class Comparison:
    """What many rehearsals say together."""

    negotiations: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Why nothing could be compared, with how often."""
    skipped_ids: dict[str, list[str]] = field(default_factory=dict)
    """The first negotiations of each reason."""
    same: int = 0
    other_winner: int = 0
    other_price: int = 0
    """The same winner at another price."""
    gained: int = 0
    """Awarded now, and not then."""
    lost: int = 0
    """Awarded then, and not now."""
    prices: list[tuple[float, float]] = field(default_factory=list)
    seconds: list[tuple[float, float]] = field(default_factory=list)
    uncertain: int = 0
    """Of how many something was assumed, or not heard."""

    def count(self, one: Rehearsed) -> None:
        """Count one rehearsal."""
        self.negotiations += 1
        then, now = one.then, one.now
        if then is None or now is None:
            self.skipped[one.reason] = self.skipped.get(one.reason, 0) + 1
            ids = self.skipped_ids.setdefault(one.reason, [])
            ids += [one.negotiation_id] if len(ids) < IDS_SHOWN_MAX else []
            return
        self.uncertain += bool(one.assumed or one.unheard)
        self.seconds.append((then.seconds, now.seconds))
        if then.price is not None and now.price is not None:
            self.prices.append((then.price, now.price))
        if one.is_same:
            self.same += 1
        elif then.winners == now.winners:
            self.other_price += 1
        elif not then.winners:
            self.gained += 1
        elif not now.winners:
            self.lost += 1
        else:
            self.other_winner += 1

    def told(self) -> dict[str, Any]:
        """Return it as plain values, with means instead of lists."""
        return {
            "negotiations": self.negotiations,
            "compared": len(self.seconds),
            "same": self.same,
            "other_winner": self.other_winner,
            "other_price": self.other_price,
            "gained": self.gained,
            "lost": self.lost,
            "uncertain": self.uncertain,
            "skipped": self.skipped,
            "mean_price": _means(self.prices),
            "mean_seconds": _means(self.seconds),
        }


def _means(pairs: list[tuple[float, float]]) -> dict[str, float] | None:
    if not pairs:
        return None
    then, now = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return {"then": round(then, 6), "now": round(now, 6)}


def rehearse(record: Record, profile: Acceptance) -> Rehearsed:
    """Return what a profile would have decided on a recorded negotiation."""
    call = record.call
    reason = _hindrance(call)
    if reason:
        return Rehearsed(call.negotiation_id, reason=reason)
    then = Past(record)
    if then.decision is None:
        return Rehearsed(call.negotiation_id, reason="it was not decided while it was recorded")
    deadline = call.closes_at if call.deadline is None else call.deadline
    window = profile.window
    closes_at = deadline if window is None else min(deadline, record.opened_at + window)
    other = replace(call, acceptance=profile, closes_at=closes_at, deadline=deadline)
    refusal = PROTOCOLS[call.protocol].objection(other)
    if refusal is not None:
        reason = f"the call would be refused: {refusal.reason}"
        return Rehearsed(call.negotiation_id, then.decision, reason=reason)
    stage = Stage(then, other)
    now = stage.decided()
    if now is None:
        reason = "it would not be decided by what was recorded"
        return Rehearsed(call.negotiation_id, then.decision, reason=reason)
    heard = {event.sender for _, event in record.events}
    is_longer = now.closed_after > then.decision.closed_after
    unheard = sum(agent not in heard for agent in call.eligible) if is_longer else 0
    assumed = tuple(dict.fromkeys(stage.assumed))
    return Rehearsed(call.negotiation_id, then.decision, now, "", unheard, assumed)


def _hindrance(call: Call) -> str:
    """Return why no profile can change what becomes of a call, or why nobody here can tell."""
    if call.protocol not in PROTOCOLS:
        return f"{call.protocol} is no protocol of this release, and its moves are not known here"
    if call.protocol not in REHEARSED:
        return f"in {call.protocol} the two parties decide, whatever the profile"
    return ""
