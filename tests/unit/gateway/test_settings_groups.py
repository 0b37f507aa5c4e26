"""What the groups of settings take and what they do not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings_groups import LimitSettings, LogSettings, ServerSettings


def test_a_group_has_defaults_for_everything() -> None:
    for group in (LimitSettings, LogSettings, ServerSettings):
        assert all(not field.is_required() for field in group.model_fields.values())


def test_a_group_does_not_change() -> None:
    with pytest.raises(ValidationError):
        LimitSettings().burst = 1.0  # type: ignore[misc]  # that is the point


def test_by_default_there_are_no_quotas_and_a_tenant_may_send_more_than_one_agent() -> None:
    limits = LimitSettings()
    assert limits.quota_messages_per_hour is None and limits.quota_bytes_per_hour is None
    assert limits.tenant_quota_messages_per_hour is None
    assert limits.tenant_quota_bytes_per_hour is None
    assert limits.tenant_rate_per_second > limits.rate_per_second
    assert limits.tenant_burst * (1 - limits.rate_reserve) > limits.burst


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"quota_messages_per_hour": "none"}, None),
        ({"quota_messages_per_hour": "3600"}, 3600),
        ({"quota_messages_per_hour": ""}, None),
    ],
)
def test_a_quota_may_be_absent(given: dict[str, Any], taken: int | None) -> None:
    assert LimitSettings(**given).quota_messages_per_hour == taken


@pytest.mark.parametrize(
    "given",
    [
        {"quota_messages_per_hour": 0},
        {"quota_bytes_per_hour": 1023},
        {"rate_reserve": 0.91},
        {"rate_reserve": -0.1},
        {"tenant_rate_per_second": 0},
        {"unheard_of": 1},
    ],
    ids=str,
)
def test_what_is_out_of_range_or_unknown_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LimitSettings(**given)
