"""The settings of what an operator sees beside logs."""

from __future__ import annotations

import pytest

from gateway.settings import Settings, SettingsError, load_settings


def test_nothing_that_costs_something_is_on_by_default() -> None:
    given = Settings().telemetry
    assert (given.audit, given.traces, given.tenant_classes) == (None, "none", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("traces", "kafka"),
        ("traces_ratio", 1.5),
        ("audit_file_bytes_max", 10),
        ("audit_waiting_max", 0),
        ("audit_flush_seconds", -1),
    ],
)
def test_what_cannot_be_is_told_with_what_would_work(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=rf"telemetry.{name}={value}: must be .* example"):
        load_settings(None, {f"telemetry.{name}": value})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"telemetry.traces": "file"}, "telemetry.traces=file"),
        ({"telemetry.traces_file": "x"}, "telemetry.traces_file=x"),
        ({"telemetry.traces_file": "x", "telemetry.traces": "otlp"}, "telemetry.traces_file=x"),
        ({"telemetry.audit_key_file": "k"}, "telemetry.audit_key_file=k"),
    ],
)
def test_what_contradicts_is_told(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(None, given)
    load_settings(None, {"telemetry.traces": "file", "telemetry.traces_file": "x"})
    load_settings(None, {"telemetry.audit": "a", "telemetry.audit_key_file": "k"})


def test_none_leaves_flushing_to_the_system() -> None:
    given = load_settings(None, {"telemetry.audit_flush_seconds": "none"})
    assert given.telemetry.audit_flush_seconds is None
