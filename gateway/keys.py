"""The public keys that tokens are checked with, and how they change.

A key set is a JWKS document in a file or behind a URL. Keys rotate while the gateway runs, so
a token may name a key that is not here yet: that asks for one refresh, which everybody who waits
shares, and at most one each `retry_seconds`, so that strangers with invented key names cannot
make the gateway hammer its issuer. When the issuer is away the last good keys stay in force.

Only EdDSA (Ed25519), ES256 and RS256 keys are kept; what a set holds beside them, secrets above
all, is left out: a secret that everybody who reads the set knows proves nothing.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.key_faults import KeysError

KEYS_MAX = 64
DOCUMENT_BYTES_MAX = 256 * 1024
RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192
FETCH_SECONDS_MAX = 5.0
_CHUNK_BYTES = 64 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key and the one algorithm that it may be used with."""

    key_id: str
    """The `kid`; empty when the set gives none."""
    algorithm: str
    """One of "EdDSA", "ES256", "RS256"."""
    public_key: PublicKey


def read_key_set(document: bytes) -> tuple[VerificationKey, ...]:
    """Return the usable keys of a JWKS document; raise KeysError when there is none."""
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        raise KeysError("the key set is no JSON", 'write {"keys": [...]} (RFC 7517)') from None
    entries = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise KeysError("the key set has no list `keys`", 'write {"keys": [...]} (RFC 7517)')
    if len(entries) > KEYS_MAX:
        raise KeysError(f"the key set has {len(entries)} keys", f"keep it at {KEYS_MAX} at most")
    keys = tuple(key for entry in entries if (key := _read_key(entry)) is not None)
    if not keys:
        raise KeysError(
            "the key set holds no key that signs tokens",
            "give an Ed25519, a P-256 or an RSA key of at least 2048 bits",
        )
    return keys


def _read_key(entry: object) -> VerificationKey | None:
    """Return the key of one entry, None for one that is not for checking tokens."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    # The private part, should somebody have put it there, is none of our business.
    public = {name: value for name, value in entry.items() if name in _PUBLIC_MEMBERS}
    try:
        key = jwt.PyJWK(public).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, LookupError):
        return None
    algorithm = _algorithm_of(key)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    key_id = entry.get("kid", "")
    return VerificationKey(key_id if isinstance(key_id, str) else "", algorithm, key)


_PUBLIC_MEMBERS = {"kty", "crv", "x", "y", "n", "e"}


def _algorithm_of(key: object) -> str | None:
    match key:
        case Ed25519PublicKey():
            return "EdDSA"
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return "ES256"
        case RSAPublicKey() if RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            return "RS256"
        case _:
            return None


def read_file(path: Path) -> bytes:
    """Return a key set file; raise KeysError when it cannot be read."""
    try:
        with path.open("rb") as file:
            document = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        reason = f"{path}: {error.strerror or error}"
        raise KeysError(reason, "name a JWKS file that the gateway may read") from error
    return _checked_size(document)


def fetch_url(url: str, seconds: float = FETCH_SECONDS_MAX) -> bytes:
    """Return what `url` answers, within `seconds`; redirects are not followed.

    Blocks. Raises KeysError for whatever goes wrong.
    """
    check_url(url)
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    give_up_at = time.monotonic() + seconds
    try:
        with _OPENER.open(request, timeout=seconds) as response:
            document = b""
            while chunk := response.read1(_CHUNK_BYTES):
                document += chunk
                if time.monotonic() > give_up_at:
                    raise KeysError(f"{url} took over {seconds:g} s", "look after the issuer")
                if len(document) > DOCUMENT_BYTES_MAX:
                    break
            return _checked_size(document)
    except urllib.error.HTTPError as error:
        reason = f"{url} answered with status {error.code}"
        error.close()
        raise KeysError(reason, "name the address that answers with the set itself") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise KeysError(f"{url} cannot be fetched: {error}", "look after the issuer") from error


def check_url(url: str) -> None:
    """Raise KeysError unless `url` is https, or http on this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise KeysError(
        f"{url} could be answered by anybody on the way",
        "use https (http is accepted on this machine only)",
    )


def _checked_size(document: bytes) -> bytes:
    if len(document) > DOCUMENT_BYTES_MAX:
        raise KeysError(
            f"the key set is larger than {DOCUMENT_BYTES_MAX} bytes", "serve signing keys only"
        )
    return document


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Where keys come from is the operator's decision, not the answering server's."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: object,
        newurl: str,
    ) -> None:
        """Refuse; urllib then reports the status."""


_OPENER = urllib.request.build_opener(_NoRedirects)


class KeySource:
    """The current keys of one key set, refreshed in the background and when one is missed."""

    def __init__(
        self,
        read: Callable[[], bytes],
        *,
        refresh_seconds: float = 300.0,
        retry_seconds: float = 10.0,
        fetch_seconds: float = FETCH_SECONDS_MAX,
    ) -> None:
        """Ask `read`, which may block, for the document; it runs in a thread.

        A missing key causes at most one refresh each `retry_seconds`.
        """
        self._read = read
        self._refresh_seconds = refresh_seconds
        self._retry_seconds = retry_seconds
        self._fetch_seconds = fetch_seconds
        self._keys: tuple[VerificationKey, ...] = ()
        self._asked_at: float | None = None
        self._fault: KeysError | None = None
        self._refreshing = asyncio.Lock()

    def __repr__(self) -> str:
        """Tell how many keys there are and whether the issuer answers."""
        state = "up to date" if self._fault is None else f"outdated, {self._fault.reason}"
        return f"<KeySource: {len(self._keys)} keys, {state}>"

    @property
    def fault(self) -> KeysError | None:
        """Why the last refresh failed; None when it did not."""
        return self._fault

    async def find(self, key_id: str, algorithm: str, now: float) -> list[VerificationKey]:
        """Return the keys that a token may have been signed with, refreshing once if none.

        An empty `key_id` matches every key of the algorithm. `now` is in seconds.
        """
        found = self._matching(key_id, algorithm)
        if not found:
            await self._refresh_for_a_stranger(key_id, algorithm, now)
            found = self._matching(key_id, algorithm)
        return found

    async def refresh(self, now: float) -> bool:
        """Read the set again; keep the keys that there are when that fails, and say so."""
        async with self._refreshing:
            return await self._refresh(now)

    async def run(self, clock: Callable[[], float]) -> None:
        """Refresh every `refresh_seconds`, sooner after a failure, until cancelled."""
        while True:
            await asyncio.sleep(
                self._refresh_seconds
                if self._fault is None
                else min(self._retry_seconds, self._refresh_seconds)
            )
            await self.refresh(clock())

    def _matching(self, key_id: str, algorithm: str) -> list[VerificationKey]:
        return [
            key
            for key in self._keys
            if key.algorithm == algorithm and (not key_id or key.key_id == key_id)
        ]

    async def _refresh_for_a_stranger(self, key_id: str, algorithm: str, now: float) -> None:
        async with self._refreshing:
            if self._matching(key_id, algorithm):
                return  # whoever held the lock brought it
            if self._asked_at is None or now - self._asked_at >= self._retry_seconds:
                await self._refresh(now)

    async def _refresh(self, now: float) -> bool:
        self._asked_at = now
        try:
            async with asyncio.timeout(self._fetch_seconds * 2):
                document = await asyncio.to_thread(self._read)
            self._keys = read_key_set(document)
        except TimeoutError:
            self._fault = KeysError("the issuer does not answer", "look after the issuer")
        except KeysError as error:
            self._fault = error
        else:
            self._fault = None
            return True
        structlog.get_logger(__name__).warning(
            "key_set_not_refreshed",
            reason=self._fault.reason,
            remedy=self._fault.remedy,
            keys_in_force=len(self._keys),
        )
        return False
