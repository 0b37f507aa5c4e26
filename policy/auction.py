"""Who ranks how, and what winners pay; sealed bids.

`rank` orders the offers of a round. Of equals the earliest wins: the order in which the home
gateway took them is the order of the tuple. `price` is what a winner pays: its own value, or in
a Vickrey auction the best value that lost.

A sealed bid that must not be changed after others are opened is committed first: the SHA-256
of a nonce and the bid in canonical JSON. The nonce has a fixed length, so that no other bid
can be found in the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from operator import itemgetter

from policy.call import Terms
from policy.events import OfferReceived
from policy.fairness import concedes, in_turn, weighed_score
from policy.issues import readable

NONCE_BYTES = 32

Ranked = tuple[OfferReceived, float | None, str]
"""An offer, its score (None if it cannot have one), and why it cannot win ("": it can)."""

_score = itemgetter(1)


def rank(terms: Terms, offers: Sequence[OfferReceived], at: float) -> tuple[Ranked, ...]:
    """Return the offers, the best first, behind them those that cannot win at the time `at`."""
    call = terms.call
    utility, reserve = terms.utility, call.reserve
    able: list[Ranked] = []
    unable: list[Ranked] = []
    first_wins, fairness = call.acceptance.select == "first", call.fairness
    if fairness is not None and not first_wins:
        offers = in_turn(fairness, offers)
    for offer in offers:
        score = offer.value if utility is None else score_of(terms, offer)
        if fairness is not None and score is not None:
            higher_wins = utility is not None or call.direction == "allocate"
            score = weighed_score(fairness, offer.sender, score, higher_wins=higher_wins)
        if offer.valid_until is not None and offer.valid_until < at:
            unable.append((offer, score, "expired"))
        elif score is None:
            unable.append((offer, None, "no_utility"))
        elif reserve is not None and not keeps(reserve, offer.value, call.direction):
            unable.append((offer, score, "reserve"))
        else:
            able.append((offer, score, ""))
    if not first_wins:
        high_wins = utility is not None or call.direction == "allocate"
        able.sort(key=_score, reverse=high_wins)
    return (*able, *unable)


def score_of(terms: Terms, offer: OfferReceived) -> float | None:
    """Return by what an offer is ranked: its value, or its utility where it has one."""
    utility, issues = terms.utility, terms.issues
    if utility is None:
        return offer.value
    return utility(readable(issues, offer.fields) if issues else offer.fields)


def stands_still(terms: Terms, offer: OfferReceived) -> tuple[str, str] | None:
    """Return why an offer is no better than that of its agent in the round before, if it must be.

    The second sentence says what would be.
    """
    fairness = terms.call.fairness
    if fairness is None or not fairness.rules.must_concede:
        return None
    last, score = fairness.last.get(offer.sender), score_of(terms, offer)
    if last is None or score is None:
        return None
    lower_wins = terms.utility is None and terms.call.direction == "procure"
    if concedes(last, score, lower_is_better=lower_wins):
        return None
    what = "value" if terms.utility is None else "utility"
    return (
        f"the {what} of your last offer was {last:.12g}, and that of this one is {score:.12g}",
        f"offer a {what} {'below' if lower_wins else 'above'} {last:.12g}, or refuse",
    )


def keeps(reserve: float, value: float, direction: str) -> bool:
    """Tell whether a value is no worse than the reserve."""
    return value <= reserve if direction == "procure" else value >= reserve


def price(terms: Terms, own: float, best_lost: float | None) -> float:
    """Return what a winner pays, or is paid.

    `own` is its value and `best_lost` that of the best offer that could have won and did not.
    A Vickrey winner pays the latter, or the reserve where there is none; its own value where
    there is neither. The reserve is never laxer, for an offer beyond it could not have won.
    """
    if terms.call.acceptance.select != "vickrey":
        return own
    if best_lost is not None:
        return best_lost
    reserve = terms.call.reserve
    return own if reserve is None else reserve


def canonical(bid: Mapping[str, object]) -> bytes:
    """Return the one spelling of a bid: sorted keys, no blanks, UTF-8; no NaN or infinity."""
    return json.dumps(
        bid, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def commitment(nonce: bytes, bid: Mapping[str, object]) -> str:
    """Return what a bidder shows before it reveals its bid: 64 hexadecimal digits.

    Raises ValueError for a nonce that is not of 32 bytes.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    return hashlib.sha256(nonce + canonical(bid)).hexdigest()


def opens(promise: str, nonce: str, bid: Mapping[str, object]) -> bool:
    """Tell whether a bid and its nonce, in hexadecimal digits, are what was committed."""
    try:
        shown = commitment(bytes.fromhex(nonce), bid)
    except ValueError:  # not a nonce, or not a bid
        return False
    return hmac.compare_digest(shown.encode(), promise.encode())
