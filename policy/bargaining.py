"""The rules of a bargain between two: what a call says about it, read once.

Two protocols are played by these rules, `alternating_offers` and `monotonic_concession`. The
*initiator* called, the *responder* is the one agent that it called. What a deal is *worth* to
each is either declared by the call as two expressions over the deal, or follows from its value:
who procures wants it low, who allocates wants it high, and the other party the opposite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from policy.call import Call
from policy.deals import Deal
from policy.discount import Discount, discount_of
from policy.effects import Refuse
from policy.issues import fault, readable
from policy.utility import Utility, UtilityError, compile_utility

ROUNDS = 100
"""How many proposals, or steps, a bargain has when its call does not say."""
ROUNDS_MAX = 1_000

Side = Literal["initiator", "responder"]
Concession = Literal["both", "either", "zeuthen"]

ONLY = {
    "alternating-offers": ("first", "opening", "must_concede"),
    "monotonic-concession": ("concession", "conflict"),
}
"""Options that mean something in one of the two protocols."""


class Rules(msgspec.Struct, frozen=True, gc=False):
    """What a call says about its bargain."""

    max_rounds: int = ROUNDS
    """1 to 1,000."""
    turn_within: float | None = None
    """Seconds that a party has to move; None: until the deadline."""
    on_timeout: Literal["end", "repeat"] = "end"
    """What becomes of a party that does not move in time: it ends, or says the same again."""
    first: Side = "responder"
    """Who proposes first."""
    opening: Mapping[str, object] | None = None
    """The first proposal of the initiator, {terms, value, valid_for}, made by the call itself."""
    discount: Discount | None = None
    must_concede: bool = False
    """No proposal may be worse for the other party than the last one of the same party."""
    step_min: float = 0.0
    """The least that a concession must be worth to the other party."""
    concession: Concession = "either"
    """Who has to concede in each step."""
    conflict: tuple[float, float] = (0.0, 0.0)
    """What it is worth to initiator and responder not to agree."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """A call with what follows from it."""

    call: Call
    initiator: str
    responder: str
    eligible: frozenset[str]
    size: int
    deadline: float
    """When it ends at the latest, whoever thinks."""
    rules: Rules
    declared: tuple[Utility | None, Utility | None]
    """What deals are worth to initiator and responder, where the call says so."""

    @classmethod
    def of(cls, call: Call) -> Terms:
        """Return the terms of a call that `objection` does not object to."""
        (responder,) = call.eligible
        said = cast("dict[str, Any]", call.options)
        return cls(
            call=call,
            initiator=call.initiator,
            responder=responder,
            eligible=frozenset(call.eligible),
            size=1,
            deadline=call.closes_at if call.deadline is None else call.deadline,
            rules=_rules(said),
            declared=_declared(said),
        )

    def other(self, agent: str) -> str:
        """Return the other party."""
        return self.responder if agent == self.initiator else self.initiator

    def is_party(self, agent: str) -> bool:
        """Tell whether an agent bargains here."""
        return agent in (self.initiator, self.responder)

    def side(self, agent: str) -> Side:
        """Return which party an agent is."""
        return "initiator" if agent == self.initiator else "responder"

    def worth(self, agent: str, deal: Deal) -> float | None:
        """Return what a deal is worth to a party; None for one that cannot be valued."""
        utility = self.declared[0 if agent == self.initiator else 1]
        if utility is not None:
            return utility(readable(self.call.issues, deal.fields))
        if deal.value is None:
            return None
        return deal.value if self.wants_high(agent) else -deal.value

    def wants_high(self, agent: str) -> bool:
        """Tell whether a party wants the value high, where no expression says what it wants."""
        return (agent == self.initiator) is (self.call.direction == "allocate")

    def declares(self, agent: str) -> bool:
        """Tell whether the call says in an expression what deals are worth to a party."""
        return self.declared[0 if agent == self.initiator else 1] is not None

    def gain(self, agent: str, earlier: Deal, later: Deal) -> float:
        """Return how much better a later deal is for a party; both can be valued."""
        before, after = self.worth(agent, earlier), self.worth(agent, later)
        assert before is not None and after is not None, "a deal is valued before it is tabled"
        return after - before

    def is_concession(self, gain: float) -> bool:
        """Tell whether a gain of the other party is as large as a concession must be."""
        least = self.rules.step_min
        return gain > 0 and (gain >= least or math.isclose(gain, least, rel_tol=1e-9))


def _rules(said: Mapping[str, Any]) -> Rules:
    discount, conflict = said.get("discount"), said.get("conflict", {})
    opening = said.get("opening")
    found = None if discount is None else discount_of(discount)
    assert not isinstance(found, str), "`objection` objects to it"
    return Rules(
        max_rounds=int(said.get("max_rounds", ROUNDS)),
        turn_within=said.get("turn_within"),
        on_timeout=said.get("on_timeout", "end"),
        first=said.get("first", "responder" if opening is None else "initiator"),
        opening=opening,
        discount=found,
        must_concede=said.get("must_concede", False),
        step_min=float(said.get("step_min", 0)),
        concession=said.get("concession", "either"),
        conflict=(float(conflict.get("initiator", 0)), float(conflict.get("responder", 0))),
    )


def _declared(said: Mapping[str, Any]) -> tuple[Utility | None, Utility | None]:
    utilities = said.get("utilities")
    if utilities is None:
        return None, None
    return compile_utility(utilities["initiator"]), compile_utility(utilities["responder"])


def objection(call: Call) -> Refuse | None:
    """Return why a bargain cannot be opened, as the answer to its initiator, or None."""

    def refuse(code: str, reason: str, remedy: str) -> Refuse:
        return Refuse(call.initiator, call.msg_id, code, reason, remedy)

    said = cast("dict[str, Any]", call.options)
    if len(call.eligible) != 1 or call.initiator in call.eligible:
        return refuse(
            "OPTIONS_INVALID",
            f"{call.protocol} is between two, and the call reaches {len(call.eligible)} agents",
            "call one agent by its address",
        )
    for protocol, names in ONLY.items():
        stray = [name for name in names if name in said]
        if stray and protocol != call.protocol:
            return refuse(
                "OPTIONS_INVALID",
                f"bargaining.{stray[0]} means nothing in {call.protocol}",
                f"leave it out, or set protocol to {protocol}",
            )
    try:
        _declared(said)
    except UtilityError as error:
        return refuse("UTILITY_INVALID", error.reason, error.remedy)
    discount = discount_of(said["discount"]) if "discount" in said else None
    if isinstance(discount, str):
        return refuse("OPTIONS_INVALID", discount, "use 0 to 1 by round, or a rate by time")
    return _opening_objection(call, said.get("opening"), said.get("first", "initiator"))


def _opening_objection(call: Call, opening: Mapping[str, Any] | None, first: str) -> Refuse | None:
    if opening is None:
        return None
    if first != "initiator":
        return Refuse(
            call.initiator,
            call.msg_id,
            "OPTIONS_INVALID",
            "the call opens with a proposal, and lets the responder propose first",
            "leave out bargaining.opening, or set bargaining.first to initiator",
        )
    wrong = fault(call.issues, opening.get("terms"))
    if wrong is None:
        return None
    return Refuse(call.initiator, call.msg_id, "TERMS_INVALID", wrong.reason, wrong.remedy)
