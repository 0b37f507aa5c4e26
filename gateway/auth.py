"""Who is speaking: tokens and what they say.

A token is a JWT in the compact form. It is checked once, when a stream opens, in this order:
shape, algorithm, key and signature, issuer, audience, time, revocation, subject. The first thing
that is wrong is the answer. Nothing a token says is believed before its signature holds.

Each algorithm has its own kind of key (`ALGORITHMS`), so a public key can never be taken for a
secret, and `alg: none` is no algorithm. HS256 counts only where a development secret was given.

Claims: `sub` the agent (`agent://alice`) · `aud`, `iss`, `exp` required · `nbf`, `iat` honoured ·
`jti` for revocation · `tenant`, "default" when absent · `roles`, list of words such as
"operator" · `acts`, list of the acts that the agent may perform, all when absent · `class`,
"system" for an agent that may use what its tenant's limits reserve, "normal" when absent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import jwt
import orjson

from gateway.key_faults import KeysError
from gateway.keys import KeySource, PublicKey, check_url, fetch_url, read_file
from gateway.members import AGENT_ADDRESS
from gateway.revocations import Revocations
from gateway.settings import AuthSettings, SettingsError
from gateway.tokens import (
    CLASSES,
    SECRET_BYTES_MIN,
    development_secret,
    mint_development_token,
    read_secret,
)

__all__ = [
    "AuthFault",
    "Authenticator",
    "Identity",
    "build_authenticator",
    "development_secret",
    "mint_development_token",
]

TOKEN_BYTES_MAX: Final = 8192
AGENT_ID_MAX: Final = 256
WORDS_MAX: Final = 64
SIGNED_ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
DEVELOPMENT_ALGORITHM: Final = "HS256"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")

FaultCode = Literal[
    "missing",
    "malformed",
    "expired",
    "wrong_audience",
    "wrong_issuer",
    "wrong_key",
    "algorithm",
    "revoked",
    "subject",
]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token speaks for."""

    agent_id: str
    tenant: str
    roles: frozenset[str]
    acts: frozenset[str] | None
    """The acts that it may perform, in lower case; None means all."""
    expires_at: float
    """Seconds since 1970. From then on the token counts no longer."""
    token_id: str
    """The `jti`; empty when the token has none, which then cannot be revoked alone."""
    system: bool = False
    """Is it of the class that may use what its tenant's limits reserve?"""


@dataclass(frozen=True, slots=True)
class AuthFault:
    """Why a token does not count. Holds nothing of the token but what is harmless to repeat."""

    code: FaultCode
    reason: str
    remedy: str


_MALFORMED = AuthFault("malformed", "the token is no JWT", "send three base64url parts")


class Authenticator:
    """Checks tokens against the keys, the secret and the revocations of this gateway."""

    def __init__(
        self,
        *,
        audience: str,
        issuer: str,
        keys: KeySource | None = None,
        development_secret: bytes | None = None,
        leeway: float = 30.0,
        revocations: Revocations | None = None,
    ) -> None:
        """Take what tokens are held against; `leeway` in seconds, for `nbf` and `iat`."""
        assert keys is not None or development_secret is not None, "nobody could ever come in"
        assert development_secret is None or len(development_secret) >= SECRET_BYTES_MIN, (
            "read_secret checks this"
        )
        self._audience = audience
        self._issuer = issuer
        self._keys = keys
        self._secret = development_secret
        self._leeway = leeway
        self._revocations = revocations
        self._algorithms = (SIGNED_ALGORITHMS if keys is not None else ()) + (
            (DEVELOPMENT_ALGORITHM,) if development_secret is not None else ()
        )

    async def start(self, now: float) -> None:
        """Read the keys for the first time; when that fails, tokens wait for the issuer."""
        if self._keys is not None:
            await self._keys.refresh(now)

    async def run(self, clock: Callable[[], float]) -> None:
        """Keep the keys fresh until cancelled; return at once where there are none to keep."""
        if self._keys is not None:
            await self._keys.run(clock)

    async def verify(self, token: str, now: float) -> Identity | AuthFault:
        """Return whom `token` speaks for, or what is wrong with it. `now`: seconds since 1970.

        "Bearer " before the token is the caller's to remove. Waits only when the token names
        a key that is not known yet.
        """
        if not token:
            return AuthFault(
                "missing",
                "there is no token",
                "send `authorization: Bearer <JWT>`; llmx takes it from LLMX_TOKEN, and for "
                "development `llmx token agent://NAME` makes one",
            )
        if len(token) > TOKEN_BYTES_MAX:
            return AuthFault(
                "malformed", f"the token is over {TOKEN_BYTES_MAX} bytes", "leave claims out of it"
            )
        header = _header(token)
        if isinstance(header, AuthFault):
            return header
        payload = await self._signed_payload(token, header, now)
        if isinstance(payload, AuthFault):
            return payload
        try:
            claims = orjson.loads(payload)
        except orjson.JSONDecodeError:
            claims = None
        if not isinstance(claims, dict):
            return _MALFORMED
        return self._fault_of(claims, now) or _identity(claims)

    def still_good(self, identity: Identity, now: float) -> AuthFault | None:
        """Return why a token that was good is so no longer, for a stream that lives on."""
        if now >= identity.expires_at:
            return _EXPIRED
        return self._revoked(identity.token_id)

    async def _signed_payload(
        self, token: str, header: Mapping[str, object], now: float
    ) -> bytes | AuthFault:
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            return AuthFault(
                "algorithm",
                f"the algorithm {_shown(algorithm)} is not accepted",
                f"sign with {' or '.join(self._algorithms)}",
            )
        if "crit" in header or header.get("b64") is False:
            return AuthFault("malformed", "the token asks for an extension", "leave out `crit`")
        if algorithm == DEVELOPMENT_ALGORITHM:
            assert self._secret is not None, "the algorithm would not have been accepted"
            return _payload_signed_by(token, [self._secret], algorithm) or AuthFault(
                "wrong_key",
                "the signature is not of this gateway's development secret",
                "make a token with `llmx token`, on the machine and state folder of the gateway",
            )
        assert self._keys is not None, "the algorithm would not have been accepted"
        key_id = header.get("kid", "")
        if not isinstance(key_id, str):
            return _MALFORMED
        keys = await self._keys.find(key_id, algorithm, now)
        payload = _payload_signed_by(token, [key.public_key for key in keys], algorithm)
        if payload is not None:
            return payload
        if keys:
            reason = "the signature does not hold"
        elif self._keys.fault is not None:
            reason = "the key is not known here, and the key set cannot be had at the moment"
        else:
            reason = f"no {algorithm} key {_shown(key_id)} is in the key set"
        return AuthFault("wrong_key", reason, "sign with a key of the issuer's key set")

    def _fault_of(self, claims: Mapping[str, object], now: float) -> AuthFault | None:
        if claims.get("iss") != self._issuer:
            return AuthFault(
                "wrong_issuer",
                f"the token was issued by {_shown(claims.get('iss'))}",
                f"get one from {self._issuer!r}",
            )
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            return AuthFault(
                "wrong_audience",
                f"the token is meant for {_shown(audience)}",
                f"get one with `aud` {self._audience!r}",
            )
        return self._fault_of_time(claims, now) or self._revoked(claims.get("jti", ""))

    def _fault_of_time(self, claims: Mapping[str, object], now: float) -> AuthFault | None:
        expires_at = _seconds(claims.get("exp"))
        if expires_at is None:
            return AuthFault(
                "malformed", "the token never expires", "add `exp`, seconds since 1970"
            )
        if now >= expires_at:
            return _EXPIRED
        for name in ("nbf", "iat"):
            if name not in claims:
                continue
            begins_at = _seconds(claims[name])
            if begins_at is None:
                return AuthFault("malformed", f"`{name}` is no time", "write seconds since 1970")
            if begins_at > now + self._leeway:
                return AuthFault(
                    "expired",
                    f"the token counts in {begins_at - now:.0f} s only (`{name}`)",
                    "wait, or set the issuer's clock",
                )
        return None

    def _revoked(self, token_id: object) -> AuthFault | None:
        if not isinstance(token_id, str):
            return AuthFault("malformed", "`jti` is no text", "write a text")
        if token_id and self._revocations is not None and token_id in self._revocations:
            return AuthFault("revoked", "the token was revoked", "get a new token")
        return None


_EXPIRED = AuthFault("expired", "the token has expired", "get a new token from the issuer")


def _header(token: str) -> Mapping[str, object] | AuthFault:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return _MALFORMED


def _payload_signed_by(
    token: str, keys: Iterable[PublicKey | bytes], algorithm: str
) -> bytes | None:
    """Return the payload when one of `keys` signed it, None when none did."""
    for key in keys:
        try:
            # Times and names are checked by us, with the gateway's clock.
            signed = jwt.PyJWS().decode_complete(token, key, algorithms=[algorithm])
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        payload = signed["payload"]
        assert isinstance(payload, bytes), "a JWS payload is bytes"
        return payload
    return None


def _identity(claims: Mapping[str, object]) -> Identity | AuthFault:
    """Read whom the claims, which were signed and checked, are about."""
    agent_id = claims.get("sub")
    if (
        not isinstance(agent_id, str)
        or len(agent_id) > AGENT_ID_MAX
        or not AGENT_ADDRESS.fullmatch(agent_id)
    ):
        return AuthFault(
            "subject",
            f"`sub` {_shown(agent_id)} names no agent",
            "write agent://NAME, as agent://alice",
        )
    tenant = claims.get("tenant", "default")
    if not isinstance(tenant, str) or not TENANT.fullmatch(tenant):
        return AuthFault(
            "subject", f"`tenant` {_shown(tenant)} is no name", "use A-Z a-z 0-9 . _ -, at most 64"
        )
    roles = _words(claims.get("roles", []))
    if roles is None:
        return AuthFault("malformed", "`roles` is no list of words", 'write ["operator"] or []')
    acts = None if "acts" not in claims else _words(claims["acts"])
    if acts is None and "acts" in claims:
        return AuthFault("malformed", "`acts` is no list of words", 'write ["cfp", "accept"]')
    named = claims.get("class", "normal")
    if named not in CLASSES:
        return AuthFault(
            "malformed",
            f"`class` {_shown(named)} is no class of agents",
            f"use {' or '.join(CLASSES)}, or leave it out",
        )
    expires_at, token_id = _seconds(claims.get("exp")), claims.get("jti", "")
    assert expires_at is not None, "_fault_of_time checked it"
    assert isinstance(token_id, str), "_revoked checked it"
    lowered = None if acts is None else frozenset(act.lower() for act in acts)
    return Identity(agent_id, tenant, roles, lowered, expires_at, token_id, named == "system")


def _words(value: object) -> frozenset[str] | None:
    if not isinstance(value, list) or len(value) > WORDS_MAX:
        return None
    if not all(isinstance(word, str) and WORD.fullmatch(word) for word in value):
        return None
    return frozenset(value)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _shown(value: object) -> str:
    """Return a claim as it may stand in an answer: short, and on one line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def build_authenticator(settings: AuthSettings) -> Authenticator:
    """Build what the settings ask for; raise SettingsError when nobody could come in."""
    if not (settings.jwks_file or settings.jwks_url or settings.development_secret_file):
        raise SettingsError(
            "LLMX_AUTH__JWKS_URL=none: there is nothing to check tokens with; set it, "
            "LLMX_AUTH__JWKS_FILE or, for development, LLMX_AUTH__DEVELOPMENT_SECRET_FILE"
        )
    try:
        return Authenticator(
            audience=settings.audience,
            issuer=settings.issuer,
            keys=_key_source(settings),
            development_secret=_development_secret(settings.development_secret_file),
            leeway=settings.leeway,
            revocations=Revocations(settings.revoked_file) if settings.revoked_file else None,
        )
    except KeysError as error:
        raise SettingsError(str(error)) from error


def _key_source(settings: AuthSettings) -> KeySource | None:
    path, url = settings.jwks_file, settings.jwks_url
    if path is not None:
        try:  # a file that is not there is a mistake, an issuer that is away is weather
            read_file(path)
        except KeysError as error:
            raise SettingsError(f"auth.jwks_file={path}: {error}") from error
        return KeySource(lambda: read_file(path), refresh_seconds=settings.jwks_refresh)
    if url is not None:
        check_url(url)
        return KeySource(lambda: fetch_url(url), refresh_seconds=settings.jwks_refresh)
    return None


def _development_secret(path: Path | None) -> bytes | None:
    return None if path is None else read_secret(path)
