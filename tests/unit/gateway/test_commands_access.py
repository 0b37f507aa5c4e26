"""Who a command is, and its token."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from gateway.commands.access import (
    CERTIFICATE,
    agent_named_in,
    check_agent,
    check_gateway,
    check_gateways,
    tls_of,
    token_of,
)
from gateway.commands.trouble import FAILED, CommandError
from gateway.tokens import SECRET_FILE, development_secret


@pytest.mark.parametrize("address", ["agent://bob", "agent://bob-2"])
def test_addresses_of_agents_are_taken(address: str):
    assert check_agent(address) == address


def test_what_is_no_address_brings_one_that_is():
    with pytest.raises(CommandError) as caught:
        check_agent("bob")
    assert "agent://bob" in str(caught.value)
    with pytest.raises(CommandError) as caught:
        check_agent("")
    assert "agent://alice" in str(caught.value)


def test_a_gateway_is_a_host_and_a_port():
    assert check_gateway("127.0.0.1:7600") == "127.0.0.1:7600"
    assert check_gateway("[::1]:7600") == "[::1]:7600"
    for address in ("localhost", ":7600", "http://localhost:7600", "localhost:http", "a:70000"):
        with pytest.raises(CommandError):
            check_gateway(address)


def test_of_several_gateways_each_is_looked_at():
    assert check_gateways("a:1,[::1]:2") == "a:1,[::1]:2"
    with pytest.raises(CommandError, match="localhost"):
        check_gateways("a:1,localhost")


def test_a_token_that_was_given_is_used():
    assert token_of("agent://bob", "a.b.c") == "a.b.c"


def test_without_a_token_this_user_signs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LLMX_STATE_DIR", str(tmp_path))
    source = token_of("agent://bob", None, roles=("operator",))
    assert callable(source)
    token = source()
    secret = development_secret(tmp_path)
    claims = jwt.decode(token, secret, algorithms=["HS256"], audience="llmx")
    assert claims["sub"] == "agent://bob" and claims["roles"] == ["operator"]
    assert agent_named_in(token) == "agent://bob"


def test_a_secret_that_is_no_good_is_said_before_anything_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LLMX_STATE_DIR", str(tmp_path))
    (tmp_path / SECRET_FILE).write_text("short")
    with pytest.raises(CommandError) as caught:
        token_of("agent://bob", None)
    assert caught.value.code == FAILED and SECRET_FILE in str(caught.value)


@pytest.mark.parametrize("token", ["", "abc", "a.b.c", "a.e30.c", "a.W10.c"])
def test_a_token_that_names_nobody_names_nobody(token: str):
    assert agent_named_in(token) is None


def test_tls_is_off_or_by_the_roots_of_the_system_or_of_a_file(tmp_path: Path):
    roots = tmp_path / "roots.pem"
    roots.write_bytes(CERTIFICATE + b"\n")
    assert tls_of(None) is None
    assert tls_of("system") is True
    assert tls_of(str(roots)) == str(roots)


def test_roots_that_are_none_are_told_before_anything_is_tried(tmp_path: Path):
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for given, said in (("nowhere.pem", "No such file"), (str(junk), "there is no certificate")):
        with pytest.raises(CommandError, match=said) as caught:
            tls_of(given)
        assert given in str(caught.value) and "PEM file" in caught.value.remedy
