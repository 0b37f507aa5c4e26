"""From the payload of a call to what each of its awards holds."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.call_stakes import stakes_of
from gateway.refusals import Fault
from policy.stakes import Credit, Need, Stakes

NOW = 1755801900.0
GPU = {"resource": "gpu", "units": 4, "minutes": 30}


def read(
    direction: str = "procure",
    *,
    has_ledger: bool = True,
    units: dict[str, int] | None = None,
    **body: Any,
) -> Any:
    def most(resource: str) -> int | None:
        return None if units is None else units.get(resource, 0)

    return stakes_of(body, direction, has_ledger=has_ledger, most_units=most, now=NOW)


def test_a_call_without_resources_and_credit_holds_nothing() -> None:
    assert read(has_ledger=False, settle_within=3) is None


def test_units_are_counted_in_minutes_or_seconds() -> None:
    """ "4 x H100 for 30 min"."""
    assert read(resources=[GPU]) == Stakes((Need("gpu", 4, 1800.0),))
    later = {"resource": "disk", "seconds": 1.5, "from": "2025-08-21T18:46Z"}
    [need] = read(resources=[later], settle_within=3).needs
    assert need == Need("disk", 1, 1.5, NOW + 60)


@pytest.mark.parametrize(
    ("direction", "said", "credit"),
    [
        ("procure", {}, Credit("initiator")),
        ("allocate", {}, Credit("winner")),
        ("allocate", {"payer": "initiator", "project": "x"}, Credit("initiator", "x")),
    ],
)
def test_who_buys_pays_unless_the_call_says_otherwise(
    direction: str, said: dict[str, str], credit: Credit
) -> None:
    assert read(direction, credit=said).credit == credit


def fault(**body: Any) -> tuple[str, str]:
    found = read(**body)
    assert isinstance(found, Fault) and found.reason and found.remedy
    return found.code, found.pointer


def test_what_cannot_be_is_refused_with_where_it_stands() -> None:
    past = {"resource": "gpu", "seconds": 60, "from": "2025-08-21T18:44Z"}
    assert fault(resources=[GPU, past]) == ("OPTIONS_INVALID", "/payload/resources/1/from")
    assert fault(resources=[GPU] * 4, credit={}, max_awards=11) == (
        "OPTIONS_INVALID",
        "/payload/max_awards",
    )
    disk = {"resource": "disk", "seconds": 1}
    assert fault(resources=[GPU, disk], units={"gpu": 4}) == (
        "RESOURCE_GONE",
        "/payload/resources/1/resource",
    )
    assert fault(resources=[GPU], units={"gpu": 3}) == (
        "RESOURCE_GONE",
        "/payload/resources/0/units",
    )
    assert read(resources=[GPU], units={"gpu": 4}) == read(resources=[GPU])
    assert fault(credit={}, has_ledger=False) == ("STORE_UNAVAILABLE", "/payload")
