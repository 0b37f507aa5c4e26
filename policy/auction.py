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
    for offer in offers:
        score = offer.value if utility is None else utility(offer.fields)
        if offer.valid_until is not None and offer.valid_until < at:
            unable.append((offer, score, "expired"))
        elif score is None:
            unable.append((offer, None, "no_utility"))
        elif reserve is not None and not keeps(reserve, offer.value, call.direction):
            unable.append((offer, score, "reserve"))
        else:
            able.append((offer, score, ""))
    if call.acceptance.select != "first":
        high_wins = utility is not None or call.direction == "allocate"
        able.sort(key=_score, reverse=high_wins)
    return (*able, *unable)


def keeps(reserve: float, value: float, direction: str) -> bool:
    """Tell whether a value is no worse than the reserve."""
    return value <= reserve if direction == "procure" else value >= reserve


def price(terms: Terms, own: float, best_lost: float | None) -> float:
    """Return what a winner pays, or is paid.

    `own` is its value and `best_lost` that of the best offer that could have won and did not.
    A Vickrey winner pays the latter, or the reserve where there is none; its own value where
    there is neither. The reserve is never laxer, for an offer beyond it could not have won.
    """
    if not terms.sealed:
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


def unseal(
    committed: Mapping[str, str], revealed: Mapping[str, tuple[bytes, Mapping[str, object]]]
) -> tuple[dict[str, Mapping[str, object]], tuple[str, ...]]:
    """Return the bids that match what was committed, and the agents that count as refusing.

    Both are in the order of the commitments. Who does not reveal, or reveals something else,
    refuses; who reveals without a commitment does not exist.
    """
    bids: dict[str, Mapping[str, object]] = {}
    refusing: list[str] = []
    for agent, promise in committed.items():
        if agent in revealed and _matches(promise, *revealed[agent]):
            bids[agent] = revealed[agent][1]
        else:
            refusing.append(agent)
    return bids, tuple(refusing)


def _matches(promise: str, nonce: bytes, bid: Mapping[str, object]) -> bool:
    try:
        return hmac.compare_digest(commitment(nonce, bid).encode(), promise.encode())
    except ValueError:  # not a nonce, or not a bid
        return False
