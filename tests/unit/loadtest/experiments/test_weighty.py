"""The offers that are to be judged in workers are valid, and go there by the gateway's own rule."""

from __future__ import annotations

import orjson
import pytest

from gateway import foreign_schemas
from gateway.acts import ACTS
from gateway.foreign_schemas import ForeignSchema
from gateway.schemas import SchemaRegistry
from gateway.settings_groups import LimitSettings, ValidationSettings
from loadtest.experiments import bidding, weighty
from loadtest.experiments.cases import Case, Judging, Weight


def case(weight: Weight, workers: int) -> Case:
    return Case("flow/high", 12, 1.0, 1.0, judging=Judging(weight, workers))


def offer(weight: Weight) -> dict[str, object]:
    made = case(weight, 1)
    assert made.judging is not None
    one = bidding.bid(made, 1, 0)
    return bidding.offer_payload(one) | weighty.added_to_offers(made.judging)


def test_a_small_offer_is_as_it_always_is() -> None:
    assert offer("small offers") == bidding.offer_payload(bidding.bid(case("own schema", 1), 1, 0))


def test_a_big_offer_is_over_what_is_judged_inline_and_valid() -> None:
    payload = offer("big offers")
    size = len(orjson.dumps(payload))
    assert ValidationSettings().inline_bytes_max < size <= LimitSettings().payload_bytes_max
    judge = SchemaRegistry().judge(str(payload["$schema"]), ACTS["offer"])
    assert judge is not None
    assert judge(payload)


def test_an_offer_under_its_own_schema_is_small_and_valid_under_it_alone() -> None:
    payload = offer("own schema")
    assert len(orjson.dumps(payload)) <= ValidationSettings().inline_bytes_max
    checked = foreign_schemas.check(orjson.dumps(weighty.OWN_SCHEMA))
    assert isinstance(checked, ForeignSchema), checked
    assert checked.schema_id == payload["$schema"]
    judge = foreign_schemas.compile_foreign(weighty.OWN_SCHEMA)
    assert judge.is_valid(payload)
    parts = [{"kind": "tape"}, *payload["terms"]["parts"]]  # type: ignore[index]
    assert not judge.is_valid({**payload, "terms": {"parts": parts}})
    assert not judge.is_valid({**payload, "terms": {"parts": [parts[1], parts[1]]}})


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_workers_are_a_setting_of_the_gateway(workers: int) -> None:
    made = weighty.settings_of(case("big offers", workers))
    assert made == {"validation__workers": workers}
    assert ValidationSettings(workers=workers).workers == workers


def test_no_workers_is_a_loop_that_judges_whatever_its_length() -> None:
    """0 workers are refused by the settings: somebody else's schema is judged nowhere else."""
    made = weighty.settings_of(case("big offers", 0))
    assert made == {"validation__inline_bytes_max": weighty.INLINE_BYTES_MAX}
    assert ValidationSettings(inline_bytes_max=weighty.INLINE_BYTES_MAX).workers == 1
    with pytest.raises(ValueError, match="workers"):
        ValidationSettings(workers=0)
    assert weighty.settings_of(Case("flow/high", 12, 1.0, 1.0)) == {}
