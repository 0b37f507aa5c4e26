"""Tokens for development: one secret per state folder, and tokens signed with it.

Whoever can read the secret can speak for everybody, so it is made with mode 0600, and HS256 is
accepted only by a gateway that was told of the file. In production tokens come from an issuer
whose public keys the gateway knows.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import jwt

from gateway.key_faults import KeysError

SECRET_BYTES_MIN: Final = 32
SECRET_BYTES_MAX: Final = 4096
SECRET_FILE: Final = "development.secret"

CLASSES: Final = ("normal", "system")
"""What the claim `class` may be."""


def development_secret(state_dir: Path) -> bytes:
    """Return the secret of a state folder, making both on first use.

    Of two processes that come at the same time one makes the secret and both return it.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = state_dir / SECRET_FILE
    if not path.exists():
        _make_secret(path)
    return read_secret(path)


def _make_secret(path: Path) -> None:
    """Write a new secret at `path`, whole or not at all, unless somebody was faster."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(SECRET_BYTES_MIN) + "\n")
        os.link(draft, path)  # fails when it exists, where a rename would replace it
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)


def read_secret(path: Path) -> bytes:
    """Return the secret in a file, without blanks around it; raise KeysError if it is no good."""
    try:
        with path.open("rb") as file:
            secret = file.read(SECRET_BYTES_MAX + 1).strip()
    except OSError as error:
        reason = f"the development secret {path}: {error.strerror or error}"
        raise KeysError(reason, "name a file that the gateway may read") from error
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise KeysError(
            f"the development secret {path} has {len(secret)} bytes",
            f"write {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes into it, or remove it and let "
            "`llmx token` make one",
        )
    return secret


def mint_development_token(
    secret: bytes,
    agent_id: str,
    *,
    tenant: str = "default",
    ttl: float = 3600.0,
    roles: Iterable[str] = (),
    audience: str = "llmx",
    issuer: str = "llmx",
    acts: Iterable[str] | None = None,
    system: bool = False,
    now: float | None = None,
) -> str:
    """Return a token for `agent_id` that counts for `ttl` seconds from `now`.

    `acts` are the acts it may perform, None for all; `system` puts it into the class that may
    use what the limits of its tenant reserve; `now` defaults to the wall clock. Nothing
    is checked: this is also how tests make tokens that must be refused.
    """
    issued_at = time.time() if now is None else now
    claims: dict[str, object] = {
        "sub": agent_id,
        "aud": audience,
        "iss": issuer,
        "iat": issued_at,
        "exp": issued_at + ttl,
        "jti": secrets.token_hex(16),
        "tenant": tenant,
        "roles": sorted(roles),
    }
    if acts is not None:
        claims["acts"] = sorted(acts)
    if system:
        claims["class"] = "system"
    return jwt.encode(claims, secret, algorithm="HS256")
