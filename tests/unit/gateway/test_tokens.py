"""The development secret and the tokens that it signs."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import jwt
import pytest

from gateway.key_faults import KeysError
from gateway.tokens import (
    SECRET_BYTES_MAX,
    SECRET_FILE,
    development_secret,
    mint_development_token,
    read_secret,
)
from tests.support.issuer import NOW


def test_the_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    secret = development_secret(tmp_path / "state")
    assert len(secret) >= 32
    assert development_secret(tmp_path / "state") == secret
    assert stat.S_IMODE((tmp_path / "state" / SECRET_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == [SECRET_FILE]


def test_two_states_have_two_secrets(tmp_path: Path) -> None:
    assert development_secret(tmp_path / "a") != development_secret(tmp_path / "b")


@pytest.mark.slow
def test_processes_that_race_get_the_same_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        secrets = pool.map(development_secret, [tmp_path / "state"] * 16, chunksize=1)
    assert len(set(secrets)) == 1


def test_a_secret_that_is_no_good_is_said(tmp_path: Path) -> None:
    file = tmp_path / SECRET_FILE
    with pytest.raises(KeysError, match="No such file"):
        read_secret(file)
    for content in (b"", b"short\n", b" " * 40, b"x" * (SECRET_BYTES_MAX + 1)):
        file.write_bytes(content)
        with pytest.raises(KeysError, match="bytes"):
            read_secret(file)


def test_a_token_says_what_it_was_asked_to_say() -> None:
    secret = b"s" * 32
    token = mint_development_token(
        secret,
        "agent://bob",
        tenant="acme",
        ttl=5,
        roles=["operator"],
        audience="here",
        issuer="me",
        acts=["offer", "cfp"],
        system=True,
        now=NOW,
    )
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.pop("jti")
    assert claims == {
        "sub": "agent://bob",
        "tenant": "acme",
        "roles": ["operator"],
        "aud": "here",
        "iss": "me",
        "acts": ["cfp", "offer"],
        "class": "system",
        "iat": NOW,
        "exp": NOW + 5,
    }


def test_each_token_can_be_revoked_alone() -> None:
    tokens = [mint_development_token(b"s" * 32, "agent://bob", now=NOW) for _ in range(2)]
    assert tokens[0] != tokens[1]
