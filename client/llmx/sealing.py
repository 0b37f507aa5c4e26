"""Sealed bids: what a bidder commits first, and what opens it after the close.

A call under the protocol `sealed-bid` may ask for commitments. Then an offer is made in two
messages: the SHA-256 of 32 random bytes and the bid in canonical JSON, and after the close the
bytes and the bid. The author of a contractor answers with an `Offer` as always.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from llmx.calls import Call
from llmx.messages import object_in

PROTOCOL = "sealed-bid"
OPTIONS = "sealed"
BID = ("value", "terms", "conditions")
"""The members of an offer that are its bid."""
NONCE_BYTES = 32


def commitment(nonce: bytes, bid: Mapping[str, Any]) -> str:
    """Return what seals a bid: 64 hexadecimal digits."""
    text = json.dumps(
        bid, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(nonce + text.encode()).hexdigest()


def is_sealed(call: Call) -> bool:
    """Tell whether a call asks for commitments."""
    return call.protocol == PROTOCOL and object_in(call.body, OPTIONS).get("commit") is True


def sealed(call: Call, offer: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what is sent for an offer now, and what is sent when bids are to be revealed.

    Where the call asks for no commitment that is the offer itself, and nothing.
    """
    if not is_sealed(call):
        return dict(offer), None
    nonce = secrets.token_bytes(NONCE_BYTES)
    bid = {name: offer[name] for name in BID if name in offer}
    return {"commitment": commitment(nonce, bid)}, {**offer, "nonce": nonce.hex()}
