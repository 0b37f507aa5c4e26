"""Where resources and credit are kept, and what does not go together."""

from __future__ import annotations

import pytest

from gateway.settings import SettingsError, load_settings
from gateway.settings_market import MarketSettings


def test_there_is_no_ledger_unless_it_is_asked_for() -> None:
    assert not MarketSettings().is_on
    assert MarketSettings(store="memory").is_on


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"market.store": "file"}, "market.store"),
        ({"market.file": "x.db"}, "market.file"),
        ({"market.store": "etcd"}, "market.store"),
        (
            {"market.store": "memory", "federation.etcd": "h:1", "server.gateway_id": "eu"},
            "market.store",
        ),
        ({"market.catalogue": "x.toml"}, "market.catalogue"),
        ({"market.store": "file", "market.file": "x", "mailbox.file": "x"}, "market.file"),
    ],
)
def test_settings_that_are_wrong_together_are_named(given: dict[str, str], setting: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        load_settings(None, given)


def test_a_cluster_keeps_its_ledger_in_etcd_and_a_gateway_in_a_file() -> None:
    load_settings(
        None, {"market.store": "etcd", "federation.etcd": "h:1", "server.gateway_id": "eu"}
    )
    load_settings(None, {"market.store": "file", "market.file": "x.db", "mailbox.file": "y.db"})
