"""What noise costs those that pay for awards: negotiation.md N-8.5."""

from __future__ import annotations

import pytest

from gateway.governing import noise_prices as module
from gateway.governing.facts import Used
from gateway.governing.noise_prices import NoisePrices
from policy.noise import NoiseRule
from policy.stakes import Credit, Need, Stakes
from tests.unit.gateway.governing.test_noting import ALICE, BOB, call_of

RULE = NoiseRule(alpha=1.0, cap=10.0, half_life=1e9)
GPU = (Need("gpu/h100", 1, 60.0),)


def used(agent: str, units: float, good: str = "gpu", tenant: str = "acme") -> Used:
    return Used(tenant, agent, good, units, 1.0)


def prices(rule: NoiseRule = RULE) -> NoisePrices:
    """Three quarters of all are Bob's."""
    made = NoisePrices(rule)
    made.note(used(BOB, 30.0))
    made.note(used(ALICE, 10.0))
    return made


@pytest.mark.parametrize(("payer", "noisy"), [("winner", {BOB: 1.5}), ("initiator", {})])
def test_a_call_is_opened_with_the_multipliers_of_those_that_may_pay(
    payer: str, noisy: dict[str, float]
) -> None:
    """N-8.5: m = 1 + α·max(0, usage/fair - 1); the fair share is 20, of 30 and of 10."""
    credit = Credit("winner" if payer == "winner" else "initiator")
    call = call_of(eligible=(BOB, ALICE), stakes=Stakes(GPU, credit))
    stakes = prices().priced("acme", call).stakes
    assert stakes is not None and stakes.credit is not None
    assert stakes.credit.multipliers == pytest.approx(noisy)


def test_noise_in_one_good_or_tenant_costs_nothing_in_another() -> None:
    made = prices()
    paid = Stakes((Need("disk", 1, 60.0),), Credit("winner"))
    for tenant, stakes in (("acme", paid), ("other", Stakes(GPU, Credit("winner")))):
        call = call_of(stakes=stakes)
        assert made.priced(tenant, call) is call
    assert made.highest("acme", BOB, 1.0) == pytest.approx(1.5)
    assert made.highest("other", BOB, 1.0) == 1.0
    assert repr(made) == "<NoisePrices of 1 goods>"


def test_a_call_that_costs_nothing_is_left_as_it_is() -> None:
    for call in (call_of(), call_of(stakes=Stakes(GPU))):
        assert prices().priced("acme", call) is call


def test_where_noise_costs_nothing_nothing_is_metered() -> None:
    made = prices(NoiseRule(alpha=0.0))
    call = call_of(stakes=Stakes(GPU, Credit("winner")))
    assert made.priced("acme", call) is call
    assert repr(made) == "<NoisePrices of 0 goods>"


def test_the_good_that_was_used_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GOODS_MAX", 2)
    made = prices()
    made.note(used(BOB, 1.0, "disk"))
    made.note(used(BOB, 1.0, "gpu"))
    made.note(used(BOB, 1.0, "net"))
    assert made.multiplier("acme", ["gpu"], BOB, 1.0) > 1
    assert made.multiplier("acme", ["disk"], BOB, 1.0) == 1.0
