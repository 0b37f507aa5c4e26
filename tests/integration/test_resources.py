"""Calls for units of resources, to a gateway whose ledger is its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateways import Gateway, running
from tests.support.raw_agent import Crowd, refused

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with four GPUs, and credit for nobody."""
    folder = tmp_path_factory.mktemp("resources")
    catalogue = folder / "catalogue.toml"
    catalogue.write_text('[[resources]]\nname = "gpu"\nunits = 4\n')
    with running(
        folder / "gateway", market__store="memory", market__catalogue=catalogue
    ) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("resource", "units", "pointer"),
    [("gpu", 5, "/payload/resources/0/units"), ("disk", 1, "/payload/resources/0/resource")],
)
async def test_units_that_no_award_can_have_are_refused_before_anybody_is_asked(
    crowd: Crowd, resource: str, units: int, pointer: str
) -> None:
    alice = await crowd.open("alice")
    await crowd.contractors("bob")
    needs = [{"resource": resource, "units": units, "seconds": 60}]
    await refused(alice, alice.cfp(crowd.topic(), resources=needs), "RESOURCE_GONE", pointer)


async def test_an_initiator_hears_exactly_what_the_ledger_has_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    opened = await alice.call_for(crowd.topic(), credit={"project": "vision"}, policy="high")
    await bob.offer(opened.negotiation_id, 40)
    outcome = await alice.outcome(opened.negotiation_id)
    assert (outcome["reason"], outcome["detail"]) == (
        "BUDGET_EXHAUSTED",
        "BUDGET_UNKNOWN: project:vision",
    )
