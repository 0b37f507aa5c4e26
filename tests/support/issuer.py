"""An issuer of tokens: it has keys, rotates them, signs, and serves its key set over HTTP."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NOW = 1_800_000_000.0
"""The time at which these tokens are good, seconds since 1970."""

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make_key(algorithm: str) -> PrivateKey:
    """Return a new private key for "EdDSA", "ES256" or "RS256"."""
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: PrivateKey, key_id: str) -> dict[str, Any]:
    """Return the public half of `key` as an entry of a key set."""
    match key:
        case ed25519.Ed25519PrivateKey():
            entry = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            entry = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**entry, "kid": key_id, "use": "sig"}


class Issuer:
    """Keys by id, and the tokens signed with them."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, PrivateKey]] = {}

    def add_key(self, key_id: str, algorithm: str) -> None:
        """Make a key and publish it."""
        self.keys[key_id] = (algorithm, make_key(algorithm))

    def document(self) -> bytes:
        """Return the key set."""
        entries = [public_jwk(key, key_id) for key_id, (_, key) in self.keys.items()]
        return json.dumps({"keys": entries}).encode()

    def token(
        self, key_id: str, header: Mapping[str, object] | None = None, **claims: object
    ) -> str:
        """Return a token that is good at NOW but for what `claims` say; None removes a claim."""
        algorithm, key = self.keys[key_id]
        headers: dict[str, Any] = {"kid": key_id, **(header or {})}
        return jwt.encode(good_claims(**claims), key, algorithm, headers=headers)


def good_claims(**changes: object) -> dict[str, object]:
    """Return claims of agent://alice that are good at NOW, changed; None removes one."""
    claims: dict[str, object] = {
        "sub": "agent://alice",
        "aud": "llmx",
        "iss": "llmx",
        "iat": NOW - 10,
        "exp": NOW + 600,
        "jti": "token-1",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of an error, unless it is that a client has left, which is its right."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class KeyServer:
    """What a running key server has been asked, and what it answers next."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.url = ""
        self.asked = 0
        self.status = 200
        self.location = ""
        self.answer: bytes | None = None
        """Sent instead of the key set when it is not None."""


@contextmanager
def key_server(issuer: Issuer) -> Iterator[KeyServer]:
    """Serve the key set of `issuer` on a free port of this machine."""
    served = KeyServer(issuer)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked += 1
            body = issuer.document() if served.answer is None else served.answer
            self.send_response(served.status)
            if served.location:
                self.send_header("Location", served.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Answer) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}/keys"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
