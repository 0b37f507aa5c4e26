"""Certificates that a gateway cannot listen with are told as the settings that they are."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from gateway.server import listen
from gateway.settings import ServerSettings, SettingsError
from tests.support.certificates import Authority


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        ("none.pem", "eu.key", "server.tls_certificate=.*none.pem: No such file"),
        ("eu.pem", "none.key", "server.tls_key=.*none.key: No such file"),
        ("eu.key", "eu.pem", "server.tls_key=.*eu.pem: there is no private key in it"),
        ("empty.pem", "eu.key", "server.tls_certificate=.*empty.pem: no certificate; name a PEM"),
        ("us.pem", "eu.key", "server.tls_key=.*eu.key is not the key of .*us.pem"),
    ],
)
async def test_a_certificate_that_cannot_be_used_names_its_setting(
    tmp_path: Path, certificate: str, key: str, told: str
) -> None:
    authority = Authority()
    for name in ("eu", "us"):
        authority.signed(name).write(tmp_path, name)
    (tmp_path / "empty.pem").touch()
    settings = ServerSettings(
        port=0, tls_certificate=tmp_path / certificate, tls_key=tmp_path / key
    )
    with pytest.raises(SettingsError, match=told):
        listen(grpc.aio.server(), settings)


async def test_one_that_can_be_used_gets_a_port(tmp_path: Path) -> None:
    certificate, key = Authority().signed("eu").write(tmp_path, "eu")
    server = grpc.aio.server()
    assert listen(server, ServerSettings(port=0, tls_certificate=certificate, tls_key=key)) > 0
    await server.stop(None)
