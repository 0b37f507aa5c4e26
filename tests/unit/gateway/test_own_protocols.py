"""Protocols that an operator adds: found by name, or refused with what would be right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from gateway.own_protocols import protocols_of
from gateway.settings import SettingsError
from policy import call, contract_net
from policy.protocols import PROTOCOLS, Protocol


def line(name: str, property_: str = "options") -> Protocol:
    return Protocol(name, contract_net.open_call, contract_net.step, call.objection, property_)


@pytest.fixture
def haggle() -> Iterator[ModuleType]:
    """A module that somebody has on the path."""
    module = ModuleType("haggle")
    module.PROTOCOL = line("haggle")  # type: ignore[attr-defined]
    module.BARTER = line("barter", "")  # type: ignore[attr-defined]
    module.AGAIN = line("contract-net")  # type: ignore[attr-defined]
    module.GREEDY = line("greedy", "bargaining")  # type: ignore[attr-defined]
    module.step = contract_net.step  # type: ignore[attr-defined]
    sys.modules["haggle"] = module
    yield module
    del sys.modules["haggle"]


def test_without_the_setting_there_is_what_is_shipped() -> None:
    assert protocols_of(None) == PROTOCOLS == protocols_of("")


def test_what_is_named_is_added(haggle: ModuleType) -> None:
    protocols = protocols_of("haggle:PROTOCOL, haggle:BARTER")
    assert protocols["haggle"] is haggle.PROTOCOL and protocols["barter"] is haggle.BARTER
    assert protocols.keys() - PROTOCOLS.keys() == {"haggle", "barter"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("haggle", "module:NAME"),
        (":PROTOCOL", "module:NAME"),
        ("nowhere:PROTOCOL", "PYTHONPATH"),
        ("haggle:MISSING", "no MISSING"),
        ("haggle:step", "no policy.protocols.Protocol"),
        ("haggle:AGAIN", "contract-net already"),
        ("haggle:GREEDY", '"options"'),
        ("haggle:PROTOCOL,haggle:PROTOCOL", "haggle already"),
    ],
)
def test_what_cannot_be_added_is_an_error_at_the_start(
    haggle: ModuleType, name: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as error:
        protocols_of(name)
    assert "engine.protocols=" in str(error.value) and reason in str(error.value)
