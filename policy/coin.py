"""A coin that falls the same way whenever a negotiation is played again.

Some rules leave the choice between two equal sides to chance. The engine draws nothing: the
coin is the SHA-256 of the negotiation's id and of what it is tossed for. The id is minted by
the gateway, so no party chooses how the coin falls; the seed stands in the record, so everybody
can check it.
"""

from __future__ import annotations

import hashlib

import msgspec


class Toss(msgspec.Struct, frozen=True, gc=False):
    """How the coin fell."""

    seed: str
    """What was hashed: `<negotiation_id>/<purpose>`."""
    heads: bool
    """The first of the two sides has it."""


def toss(negotiation_id: str, purpose: str) -> Toss:
    """Toss the coin of a negotiation for one purpose, "step 3"; the same always falls alike."""
    seed = f"{negotiation_id}/{purpose}"
    return Toss(seed, hashlib.sha256(seed.encode()).digest()[0] & 1 == 0)
