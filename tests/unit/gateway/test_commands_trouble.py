"""One line and an exit code for everything that can go wrong."""

from __future__ import annotations

import pytest

from gateway.commands.trouble import FAILED, USAGE, CommandError, complain, explained
from llmx.errors import (
    ControlError,
    NotAllowed,
    Refused,
    Replaced,
    Unauthenticated,
    Unreachable,
)

GATEWAY = "127.0.0.1:7600"


def test_a_complaint_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]):
    assert complain("call", CommandError("no file", "name one")) == USAGE
    assert capsys.readouterr() == ("", "llmx call: no file; name one\n")


def test_a_gateway_that_is_away_can_be_started_or_named():
    error = explained(Unreachable("no gateway within 3 s: refused"), GATEWAY)
    assert error.code == FAILED
    assert GATEWAY in str(error) and "llmx gateway" in str(error) and "--gateway" in str(error)


@pytest.mark.parametrize(
    ("grpc_says", "said"),
    [
        ("last error: UNAVAILABLE: ipv4:127.0.0.1:7600: Socket closed", "--tls ROOTS.pem"),
        ("Tls handshake failed: SSL_ERROR_SSL: WRONG_VERSION_NUMBER", "speaks no TLS"),
        ("Tls handshake failed: SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED", "not of the roots"),
    ],
)
def test_who_speaks_tls_with_one_side_only_hears_so(grpc_says: str, said: str):
    """What grpc really says is asked by tests/integration/test_commands_over_tls.py."""
    error = explained(Unreachable(f"no gateway within 3 s: {grpc_says}"), GATEWAY)
    assert error.code == FAILED and GATEWAY in str(error) and said in str(error)


def test_a_refusal_tells_code_place_reason_and_remedy():
    refused = Refused("SCHEMA_VIOLATION", "It is text.", pointer="/payload/value", remedy="Use 4.")
    assert str(explained(refused, "")) == (
        "refused, SCHEMA_VIOLATION at /payload/value: It is text. Use 4."
    )


def test_a_token_that_is_not_taken_says_what_would_be():
    assert "--token" in str(explained(Unauthenticated("expired"), GATEWAY))


@pytest.mark.parametrize(
    "error",
    [NotAllowed("no"), ControlError("INVALID_ARGUMENT", "no"), Replaced("a newer session, no")],
)
def test_whatever_the_gateway_says_is_passed_on(error: Exception):
    assert isinstance(error, NotAllowed | ControlError | Replaced)
    assert "no" in str(explained(error, GATEWAY))
    assert explained(error, GATEWAY).code == FAILED
