"""Where a gateway listens besides, and whom it asks for keys."""

from __future__ import annotations

import datetime
from pathlib import Path

import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.gateways import now, running
from tests.support.issuer import Issuer, key_server
from tests.support.raw_agent import Crowd, RawAgent

pytestmark = pytest.mark.slow


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost that nobody else vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


async def test_agents_speak_over_tls_or_over_a_unix_socket(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    path = tmp_path / "socket"
    files = {
        "server__tls_certificate": certificate,
        "server__tls_key": key,
        "server__unix": path,
    }
    with running(tmp_path / "gateway", **files) as gateway:
        trust = grpc.ssl_channel_credentials(certificate.read_bytes())
        secure = RawAgent(
            "alice",
            gateway.token("alice"),
            grpc.aio.secure_channel(f"localhost:{gateway.port}", trust),
        )
        await secure.open(topics=["gpu"])
        await secure.is_served()
        local = RawAgent("bob", gateway.token("bob"), f"unix:{path}")
        await local.open()
        await secure.arrival(await local.say("hi", "topic://gpu"))
        plain = RawAgent("carol", gateway.token("carol"), gateway.address)
        plain.connect()
        ended = await plain.end()
        assert ended.code is grpc.StatusCode.UNAVAILABLE
        for agent in (secure, local, plain):
            await agent.close()


async def test_a_token_that_is_revoked_opens_nothing_and_ends_what_is_open(
    tmp_path: Path,
) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("")
    with running(tmp_path / "gateway", auth__revoked_file=revoked) as gateway:
        crowd = Crowd(gateway)
        alice, bob = await crowd.open("alice"), await crowd.open("bob")
        claims = jwt.decode(alice.token, options={"verify_signature": False})
        revoked.write_text(f"{claims['jti']}\n")
        ended = await alice.end()
        assert ended.code is grpc.StatusCode.UNAUTHENTICATED
        assert ended.goodbye is not None
        again = crowd.agent("alice", token=alice.token)
        again.connect()
        assert (await again.end()).details.startswith("revoked:")
        await bob.is_served()
        await crowd.close()


async def test_keys_come_from_the_issuer_whether_it_is_there_at_the_start_or_not(
    tmp_path: Path,
) -> None:
    issuer = Issuer()
    issuer.add_key("first", "EdDSA")
    with key_server(issuer) as server:
        server.status = 503
        settings = {"auth__jwks_file": "none", "auth__jwks_url": server.url}
        with running(tmp_path / "gateway", **settings) as gateway:
            claims = {"sub": "agent://alice", "iat": now(), "exp": now() + 60}
            token = issuer.token("first", None, **claims)
            early = RawAgent("alice", token, gateway.address)
            early.connect()
            ended = await early.end()
            await early.close()
            assert ended.code is grpc.StatusCode.UNAUTHENTICATED
            assert "at the moment" in ended.details
        server.status = 200
        with running(tmp_path / "again", **settings) as gateway:
            alice = RawAgent("alice", token, gateway.address)
            await alice.open()
            await alice.is_served()
            await alice.close()
