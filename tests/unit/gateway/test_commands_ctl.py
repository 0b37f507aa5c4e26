"""`llmx ctl …`, as far as it goes without a gateway; tests/integration/test_ctl.py has the rest."""

from __future__ import annotations

import pytest

from gateway.commands.ctl import Ctl


def asked(gateway: str, tls: str | None = None) -> int:
    return Ctl(gateway, "a.b.c", tls, as_json=False).members()


def test_a_gateway_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert asked("127.0.0.1:1") == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert "llmx ctl members: no gateway answers at 127.0.0.1:1" in said.err


def test_what_is_no_address_asks_nobody(capsys: pytest.CaptureFixture[str]):
    assert asked("localhost") == 2
    assert "HOST:PORT" in capsys.readouterr().err


def test_roots_that_are_not_there_are_named(capsys: pytest.CaptureFixture[str]):
    assert asked("127.0.0.1:1", "nowhere.pem") == 2
    assert "nowhere.pem: No such file" in capsys.readouterr().err
