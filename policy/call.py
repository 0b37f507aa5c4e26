"""The call for proposals: what never changes while a negotiation runs.

A `Call` is what the initiator asked for, resolved and checked; `Terms` are the call with all
that can be computed from it once, so that an offer costs a few lookups.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal, final

import msgspec

from policy.acceptance import Acceptance
from policy.effects import Refuse, Relay
from policy.fairness import Fairness
from policy.issues import Issues, is_weighed
from policy.stakes import Stakes
from policy.utility import Utility, UtilityError, compile_utility

AWARDS_MAX = 64

_LOST = {"first": "not_first", "best": "outbid", "vickrey": "outbid"}

Direction = Literal["procure", "allocate"]
Decider = Literal["engine", "initiator"]


@final
class Call(msgspec.Struct, frozen=True, gc=False):
    """A call for proposals, admitted. All times are seconds on the gateway's clock."""

    negotiation_id: str
    initiator: str
    msg_id: str
    eligible: tuple[str, ...]
    """The agents that may answer; frozen when the call was admitted."""
    acceptance: Acceptance
    closes_at: float
    """When the last answer is taken: the deadline, or the end of the window if that is sooner."""
    opened_at: float
    direction: Direction = "procure"
    """Procure: the lowest value wins; allocate: the highest."""
    decider: Decider = "engine"
    """Who chooses among the offers once the round is closed."""
    decide_within: float = 30.0
    """Seconds that the initiator has to accept, if it decides."""
    utility: str = ""
    """Ranks the offers, the highest first; empty means by value and direction."""
    reserve: float | None = None
    """The worst value that can win, unless the initiator itself accepts a worse one."""
    max_awards: int = 1
    """How many identical units there are; an agent wins at most one. 1 to 64."""
    confirm_within: float = 10.0
    """Seconds that a winner has to confirm, if the profile asks it to."""
    report_within: float | None = None
    """Seconds that a winner has to report the end of its work; None: it need not."""
    round: int = 1
    linger: float = 30.0
    """Seconds that the negotiation is remembered after its end, to answer who comes late."""
    deadline: float | None = None
    """Until when an agent that thinks is waited for at most; None: not beyond `closes_at`."""
    protocol: str = "contract-net"
    """By which protocol it is negotiated, a name of `protocols.PROTOCOLS`."""
    options: Mapping[str, object] = msgspec.field(default_factory=dict)
    """What the call says to that protocol alone: plain values of JSON. Never changed."""
    stakes: Stakes | None = None
    """What each award holds; None: nothing, so that it needs no store."""
    issues: Issues = ()
    """What the terms of every offer say; empty: whatever they like."""
    fairness: Fairness | None = None
    """Rules of fairness, with what they may know of the past; None: none."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """A call with what follows from it."""

    call: Call
    eligible: frozenset[str]
    size: int
    """How many agents may answer, m."""
    quorum: int
    """How many answers close the round before its time; more than can come if only time does."""
    counts_any: bool
    sealed: bool
    """No offer is shown to anybody before the close."""
    issues: Issues
    utility: Utility | None
    initiator: str
    relay: Relay
    """The one effect that most offers have."""
    round: int
    lost: str
    """Why an offer that could have won did not."""
    deadline: float
    """When the round is closed, whoever thinks."""
    pauses: bool = False
    """Once it is closed, a protocol around the round goes on, not the round itself."""

    @classmethod
    def of(cls, call: Call) -> Terms:
        """Return the terms of a call; raises UtilityError for what `objection` objects to."""
        acceptance = call.acceptance
        eligible = frozenset(call.eligible)
        utility = call.utility or ("weighed" if is_weighed(call.issues) else "")
        quorum = acceptance.close_count(len(eligible))
        return cls(
            call=call,
            eligible=eligible,
            size=len(eligible),
            quorum=sys.maxsize if quorum is None else quorum,
            counts_any=acceptance.counts == "any",
            sealed=acceptance.select == "vickrey",
            issues=call.issues,
            utility=compile_utility(utility) if utility else None,
            initiator=call.initiator,
            relay=Relay(call.initiator),
            round=call.round,
            lost="not_chosen" if call.decider == "initiator" else _LOST[acceptance.select],
            deadline=call.closes_at if call.deadline is None else call.deadline,
        )


def objection(call: Call) -> Refuse | None:
    """Return why a call cannot be opened, as the answer to its initiator, or None."""

    def refuse(code: str, reason: str, remedy: str, member: str = "") -> Refuse:
        return Refuse(call.initiator, call.msg_id, code, reason, remedy, member)

    if call.utility:
        try:
            compile_utility(call.utility)
        except UtilityError as error:
            return refuse("UTILITY_INVALID", error.reason, error.remedy)
    if not 1 <= call.max_awards <= AWARDS_MAX:
        return refuse(
            "POLICY_INVALID",
            "max_awards is out of range",
            f"use 1 to {AWARDS_MAX} awards",
            "max_awards",
        )
    if call.acceptance.select == "vickrey":
        if call.utility or is_weighed(call.issues):
            return refuse(
                "POLICY_INVALID",
                "a Vickrey auction ranks by value",
                "leave out the utility, and the weights of issues",
                "utility" if call.utility else "issues",
            )
        if call.acceptance.confirm and call.max_awards > 1:
            return refuse(
                "POLICY_INVALID",
                "winners of one Vickrey auction pay one price, which a winner that does not "
                "confirm would change for the others",
                "let winners not confirm, or award one unit",
            )
        if call.decider == "initiator":
            return refuse(
                "POLICY_INVALID",
                "a Vickrey auction is decided by its rule",
                'leave out the decider, or select "best"',
                "decider",
            )
    return None
