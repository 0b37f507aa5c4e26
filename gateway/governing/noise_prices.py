"""What noise costs: who uses more of a good than its fair share pays a multiple of the price.

For each good of a tenant a meter hears who pays for how much of it (`policy.noise`). A call whose
awards cost credit gets the multipliers of those that may pay, when it is opened; they are data of
the call, so a record decides itself again, and an agent sees its own before it bids.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.governing.facts import Used
from gateway.governing.noting import goods_of
from policy.call import Call
from policy.noise import NoiseMeter, NoiseRule

GOODS_MAX = 10_000
"""Goods whose use is metered; of more, the one that was used longest ago is forgotten."""


class NoisePrices:
    """The meters of one gateway."""

    def __init__(self, rule: NoiseRule) -> None:
        """Start in silence; with an alpha of 0 nobody ever pays more."""
        self._rule = rule
        self._meters: dict[tuple[str, str], NoiseMeter] = {}

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<NoisePrices of {len(self._meters)} goods>"

    def note(self, used: Used) -> None:
        """Count what somebody pays for."""
        if not self._rule.alpha:
            return
        key = used.tenant, used.good
        meter = self._meters.pop(key, None) or NoiseMeter(self._rule)
        self._meters[key] = meter  # the newest is last
        if len(self._meters) > GOODS_MAX:
            del self._meters[next(iter(self._meters))]
        meter.note(used.agent, used.units, used.at)

    def multiplier(self, tenant: str, goods: Iterable[str], agent: str, now: float) -> float:
        """Return what an agent pays for goods, as a multiple of the price: the highest of them."""
        meters = (self._meters.get((tenant, good)) for good in goods)
        return max((one.multiplier(agent, now) for one in meters if one is not None), default=1.0)

    def highest(self, tenant: str, agent: str, now: float) -> float:
        """Return the highest multiple that an agent pays for anything."""
        goods = [good for name, good in self._meters if name == tenant]
        return self.multiplier(tenant, goods, agent, now)

    def priced(self, tenant: str, call: Call) -> Call:
        """Return a call with what noise costs those that may pay for its awards."""
        stakes = call.stakes
        credit = None if stakes is None else stakes.credit
        if stakes is None or credit is None or not self._meters:
            return call
        payers = (call.initiator,) if credit.payer == "initiator" else call.eligible
        goods, now = goods_of(call), call.opened_at
        found = ((agent, self.multiplier(tenant, goods, agent, now)) for agent in payers)
        noisy = {agent: multiplier for agent, multiplier in found if multiplier > 1}
        if not noisy:
            return call
        priced = msgspec.structs.replace(credit, multipliers=noisy)
        stakes = msgspec.structs.replace(stakes, credit=priced)
        return msgspec.structs.replace(call, stakes=stakes)
