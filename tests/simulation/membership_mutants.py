"""Mistakes that somebody could make about who owns what, each planted in a real part.

A simulation that passes says something only if it fails on these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from federation.etcd.transactions import Compare, Transaction
from federation.fencing import NEVER, Fence, Saying, Word
from federation.membership import Membership
from tests.simulation.claimant import Claimant
from tests.simulation.membership_side import Said, Side
from tests.simulation.succession import Life, Succession, Wait

_may_decide = Fence.may_decide
_claim = Succession.claim
_burials = Succession.burials
_change = Succession.change
_renew = Succession.renew


def believes_for_ever(
    fence: Fence,
    now: float,
    epoch: int,
    sure_until: float,
    blind_until: float,
    members: Mapping[str, Saying],
) -> bool:
    """Decide as long as nobody says that the registration is gone."""
    return bool(epoch)


def opens_again(
    fence: Fence,
    now: float,
    epoch: int,
    sure_until: float,
    blind_until: float,
    members: Mapping[str, Saying],
) -> bool:
    """Go on whenever all promise now, whatever was in between."""
    promised = all(
        not said.sees_discovery and now < said.said_at + fence._relied for said in members.values()
    )
    return bool(epoch) and (now < sure_until or (now < blind_until and promised))


def counts_promises_from_their_arrival(
    fence: Fence,
    now: float,
    epoch: int,
    sure_until: float,
    blind_until: float,
    members: Mapping[str, Saying],
) -> bool:
    arrived = {
        one: Said(said.heard_at, said.heard_at, said.sees_discovery)
        for one, said in members.items()
    }
    return _may_decide(fence, now, epoch, sure_until, blind_until, arrived)


def takes_silence_for_a_promise(
    fence: Fence,
    now: float,
    epoch: int,
    sure_until: float,
    blind_until: float,
    members: Mapping[str, Saying],
) -> bool:
    heard = {
        one: said if now < said.heard_at + fence._relied else Said(now, now, False)
        for one, said in members.items()
    }
    return _may_decide(fence, now, epoch, sure_until, blind_until, heard)


def forgets_who_left_while_blind(
    fence: Fence,
    now: float,
    epoch: int,
    sure_until: float,
    blind_until: float,
    members: Mapping[str, Saying],
) -> bool:
    for gone in fence._covered.keys() - members.keys():
        del fence._covered[gone]
    fence._is_shut = fence._is_shut and epoch != fence._epoch
    return _may_decide(fence, now, epoch, sure_until, blind_until, members)


def is_blind_for_ever(
    fence: Fence,
    now: float,
    epoch: int,
    sure_until: float,
    blind_until: float,
    members: Mapping[str, Saying],
) -> bool:
    """Go on alone without a bound, as long as a life was ever told."""
    forever = blind_until if blind_until == NEVER else float("inf")
    return _may_decide(fence, now, epoch, sure_until, forever, members)


def promises_nothing(word: Word, now: float, sees_discovery: bool) -> bool:
    return sees_discovery


def counts_at_once(standing: Claimant, now: float) -> float:
    return now


def knows_no_strangers(
    succession: Succession, negotiation_id: str, epoch: int
) -> Transaction | Wait:
    lives, succession._lives = succession._lives, {}
    try:
        return _claim(succession, negotiation_id, epoch)
    finally:
        succession._lives = lives


def claims_without(*numbers: int) -> Callable[..., Transaction | Wait]:
    """Leave out some of what must hold."""

    def claim(succession: Succession, negotiation_id: str, epoch: int) -> Transaction | Wait:
        asked = _claim(succession, negotiation_id, epoch)
        if isinstance(asked, Wait):
            return asked
        left = {number % len(asked.compares) for number in numbers}
        compares: list[Compare] = [
            compare for number, compare in enumerate(asked.compares) if number not in left
        ]
        return Transaction(compares, asked.then, asked.otherwise)

    return claim


def buries_at_once(
    succession: Succession, now: float, epoch: int, lease_seconds: float
) -> list[Transaction]:
    """Take for stopped whoever is not registered."""
    return [Transaction(one.compares[2:], one.then) for one in _burials(succession, now, 0, NEVER)]


def buries_whoever_it_did_not_know(
    succession: Succession, now: float, epoch: int, lease_seconds: float
) -> list[Transaction]:
    return [
        Transaction(one.compares[1:], one.then)
        for one in _burials(succession, now, 0, lease_seconds)
    ]


def buries_with_promises(standing: Claimant, now: float) -> list[Transaction]:
    return standing.succession.burials(now, standing.epoch, NEVER)


def claims_to_know_everybody(succession: Succession, epoch: int) -> bool:
    """Say that it has seen what is still to come."""
    if epoch and succession.own_life.epoch != epoch:
        succession.own_life = Life(succession.own_life.gateway_id, epoch, 1 << 40)
    known = succession._lives.get(succession.own_life_key)
    return known is None or known.life != succession.own_life


def says_nothing_anew(succession: Succession, epoch: int) -> bool:
    """Let the life say what it said first."""
    return _renew(succession, epoch) if not succession.own_life.epoch else False


def hears_nobody_leave(membership: Membership, gateway_id: str) -> bool:
    return False


def never_forgets_a_registration(succession: Succession, key: str, pair: Any) -> bool:
    if pair is None and "/" not in key.removeprefix(succession.prefix):
        return False
    return _change(succession, key, pair)


def owns_what_it_owned(side: Side, negotiation_id: str) -> bool:
    """Take what it owned in an earlier epoch for its own."""
    return bool(side.epoch) and negotiation_id in side.tenures


MUTANTS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    one.__name__ if name is None else name: (part, attribute, one)
    for part, attribute, one, name in (
        (Fence, "may_decide", believes_for_ever, None),
        (Fence, "may_decide", opens_again, None),
        (Fence, "may_decide", counts_promises_from_their_arrival, None),
        (Fence, "may_decide", takes_silence_for_a_promise, None),
        (Fence, "may_decide", forgets_who_left_while_blind, None),
        (Fence, "may_decide", is_blind_for_ever, None),
        (Word, "say", promises_nothing, None),
        (Claimant, "counts_from", counts_at_once, None),
        (Succession, "claim", knows_no_strangers, None),
        (Succession, "claim", claims_without(1), "claims_whoever_came"),
        (Succession, "claim", claims_without(-1), "claims_what_others_have"),
        (Succession, "burials", buries_at_once, None),
        (Succession, "burials", buries_whoever_it_did_not_know, None),
        (Claimant, "burials", buries_with_promises, None),
        (Succession, "renew", claims_to_know_everybody, None),
        (Succession, "renew", says_nothing_anew, None),
        (Membership, "remove", hears_nobody_leave, None),
        (Succession, "change", never_forgets_a_registration, None),
        (Side, "owns", owns_what_it_owned, None),
    )
}
"""By name: where it is, what it is called there, and what stands there instead."""

SHOWN_BY = {
    "opens_again": 1214,
    "counts_promises_from_their_arrival": 112,
    "takes_silence_for_a_promise": 126,
    "forgets_who_left_while_blind": 1214,
    "is_blind_for_ever": 1440,
    "promises_nothing": 209,
    "counts_at_once": 209,
    "buries_at_once": 227,
    "buries_whoever_it_did_not_know": 599,
    "buries_with_promises": 1086,
}
"""The first seed that shows what takes long to find; it is another when seeds draw otherwise."""
