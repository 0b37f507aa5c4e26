"""What every store of awards, locks and credit promises: one suite, run on each of them.

A test module makes a class that inherits `StoreContract` and says in `play` how a scene gets its
stores. Several gateways share a world, each with a store of its own.
"""

from __future__ import annotations

from tests.support.store_awards import AwardPromises
from tests.support.store_credit import CreditPromises


class StoreContract(AwardPromises, CreditPromises):
    """All of it."""
