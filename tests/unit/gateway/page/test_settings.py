"""Where the page is, and who counts as looking from this machine."""

from __future__ import annotations

import pytest

from gateway.page.settings import PageSettings, is_loopback
from gateway.settings import SettingsError, load_settings


def test_there_is_no_page_unless_it_is_asked_for() -> None:
    assert PageSettings().port is None
    assert load_settings(None, {"page.port": "0"}).page.port == 0
    assert load_settings(None, {"page.port": "none"}).page.port is None


def test_by_default_it_is_for_this_machine_only() -> None:
    assert is_loopback(PageSettings().host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "localhost", "LocalHost", "::1", "[::1]"]
)
def test_these_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.7", "localhost.example", "evil"])
def test_these_are_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("page.viewers_max", 0),
        ("page.viewers_max", 257),
        ("page.token", "never"),
        ("page.port", -1),
    ],
)
def test_what_cannot_be_is_named_with_what_would_work(setting: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"{setting}={value}: must be .*, for example"):
        load_settings(None, {setting: value})
