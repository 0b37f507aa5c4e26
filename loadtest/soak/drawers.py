"""Which calls and events each protocol gets, and a typical negotiation of each to be timed.

Another protocol gets a `Drawer` in a module beside these, and a line in `DRAWERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from loadtest.soak import auctions, bargains, nets
from loadtest.soak import chance as dice
from loadtest.soak.drawer import Drawer
from policy.call import Call


def plain(protocol: str) -> Drawer:
    """Return what a protocol gets that brings nothing: events of every kind, drawn alike."""

    def call(chance: Random, number: int) -> Call:
        return dice.call(chance, number, protocol, chance.choice((1, 1, 2, 3)))

    return Drawer(call, dice.drawn_from({}))


def drawer_of(protocol: str) -> Drawer:
    """Return what chance does to a protocol."""
    return DRAWERS.get(protocol) or plain(protocol)


DRAWERS: Mapping[str, Drawer] = {
    "contract-net": nets.CONTRACT_NET,
    "iterated-contract-net": nets.ITERATED,
    "sealed-bid": auctions.SEALED_BID,
    "alternating-offers": bargains.ALTERNATING,
    "monotonic-concession": bargains.CONCESSION,
}
