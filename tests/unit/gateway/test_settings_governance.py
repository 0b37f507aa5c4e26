"""The settings of a gateway that governs a market."""

from __future__ import annotations

import pytest

from gateway.settings import Settings, SettingsError, load_settings


def test_a_gateway_probes_only_when_it_is_told_to() -> None:
    """A probe costs nothing in a round, but who runs a gateway should know that it bids."""
    assert Settings().governance.probe_rate == 0
    assert load_settings(None, {"governance.probe_rate": "0.2"}).governance.probe_rate == 0.2


@pytest.mark.parametrize(
    ("name", "value"),
    [("probe_rate", 1.5), ("rating_floor", 0), ("probe_spread", 0.5), ("window_seconds", 0)],
)
def test_what_cannot_be_is_told_with_what_would_work(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"governance.{name}={value}: must be .* example"):
        load_settings(None, {f"governance.{name}": value})
