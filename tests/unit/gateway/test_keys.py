"""Which keys are kept, where they come from, and how often anybody is asked for them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway import keys
from gateway.key_faults import KeysError
from gateway.keys import KeySource, fetch_url, read_file, read_key_set
from tests.support.issuer import NOW, Issuer, key_server, make_key, public_jwk


@pytest.fixture
def issuer() -> Issuer:
    issuer = Issuer()
    issuer.add_key("one", "EdDSA")
    return issuer


def _key_set(*entries: object) -> bytes:
    return json.dumps({"keys": entries}).encode()


def test_a_key_set_gives_each_key_its_one_algorithm() -> None:
    entries = [public_jwk(make_key(name), name) for name in ("EdDSA", "ES256", "RS256")]
    found = read_key_set(_key_set(*entries))
    assert [(key.key_id, key.algorithm) for key in found] == [
        (n, n) for n in ("EdDSA", "ES256", "RS256")
    ]


def test_secrets_weak_keys_and_keys_for_other_ends_are_left_out() -> None:
    good = public_jwk(make_key("EdDSA"), "good")
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    found = read_key_set(
        _key_set(
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
            {"kty": "OKP", "crv": "Ed25519", "x": "!", "kid": "broken"},
            RSAAlgorithm.to_jwk(small, as_dict=True),
            ECAlgorithm.to_jwk(curve, as_dict=True),
            {**good, "use": "enc"},
            {**good, "alg": "HS256"},
            {"kty": ["EC"]},
            "text",
            good,
        )
    )
    assert [key.key_id for key in found] == ["good"]


def test_a_private_key_that_was_published_is_read_as_a_public_one(issuer: Issuer) -> None:
    entry = public_jwk(issuer.keys["one"][1], "one")
    assert read_key_set(_key_set({**entry, "d": entry["x"]}))[0].algorithm == "EdDSA"


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000, _key_set(*[{}] * 65)],
    ids=["empty", "list", "no keys", "no list", "no key", "deep", "too many"],
)
def test_what_is_no_key_set_is_said(document: bytes) -> None:
    with pytest.raises(KeysError):
        read_key_set(document)


def test_a_key_file_is_bounded_and_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="No such file"):
        read_file(tmp_path / "keys.json")
    (tmp_path / "keys.json").write_bytes(b" " * (keys.DOCUMENT_BYTES_MAX + 1))
    with pytest.raises(KeysError, match="larger"):
        read_file(tmp_path / "keys.json")


def test_a_key_server_answers_over_http(issuer: Issuer) -> None:
    with key_server(issuer) as server:
        assert fetch_url(server.url) == issuer.document()


def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    with key_server(issuer) as elsewhere, key_server(issuer) as server:
        server.status, server.location = 302, elsewhere.url
        with pytest.raises(KeysError, match="302"):
            fetch_url(server.url)
        assert elsewhere.asked == 0


def test_an_answer_without_end_is_cut(issuer: Issuer) -> None:
    with key_server(issuer) as server:
        server.answer = b" " * (keys.DOCUMENT_BYTES_MAX * 4)
        with pytest.raises(KeysError, match="larger"):
            fetch_url(server.url)


def test_an_answer_that_is_late_is_given_up(issuer: Issuer) -> None:
    with key_server(issuer) as server, pytest.raises(KeysError):
        fetch_url(server.url, seconds=1e-9)


def test_a_server_that_is_gone_is_said(issuer: Issuer) -> None:
    with key_server(issuer) as server:
        pass
    with pytest.raises(KeysError, match="cannot be fetched"):
        fetch_url(server.url)


@pytest.mark.parametrize(
    "url", ["http://issuer.example/keys", "file:///etc/passwd", "ftp://x/y", ""]
)
def test_keys_come_by_https_or_from_this_machine(url: str) -> None:
    with pytest.raises(KeysError, match="https"):
        fetch_url(url)


def test_invented_key_names_do_not_make_the_gateway_hammer_its_issuer(issuer: Issuer) -> None:
    asked: list[float] = []
    source = KeySource(_counting(issuer, asked), retry_seconds=10)

    async def play() -> None:
        for second in range(30):
            assert await source.find(f"invented-{second}", "EdDSA", NOW + second) == []

    asyncio.run(play())
    assert len(asked) == 3


def test_all_who_wait_for_a_key_share_one_refresh(issuer: Issuer) -> None:
    asked: list[float] = []
    source = KeySource(_counting(issuer, asked))

    async def play() -> None:
        found = await asyncio.gather(*(source.find("one", "EdDSA", NOW) for _ in range(50)))
        assert all(len(keys) == 1 for keys in found)

    asyncio.run(play())
    assert len(asked) == 1


def test_a_key_that_was_withdrawn_is_gone_after_the_next_refresh(issuer: Issuer) -> None:
    source = KeySource(issuer.document)

    async def play() -> None:
        assert await source.find("one", "EdDSA", NOW)
        del issuer.keys["one"]
        issuer.add_key("two", "EdDSA")
        assert await source.refresh(NOW + 1)
        assert not await source.find("one", "EdDSA", NOW + 1)

    asyncio.run(play())


def test_a_set_that_is_broken_or_hangs_leaves_the_keys_in_force(issuer: Issuer) -> None:
    answers: list[Callable[[], bytes]] = [issuer.document, lambda: b"{}"]
    source = KeySource(lambda: answers[0](), fetch_seconds=0.01)
    hanging = threading.Event()

    async def play() -> None:
        assert await source.refresh(NOW)
        answers.pop(0)
        assert not await source.refresh(NOW + 1)
        assert "no list" in repr(source)
        answers[0] = lambda: bytes(hanging.wait(10))
        assert not await source.refresh(NOW + 2)
        hanging.set()
        assert source.fault is not None
        assert len(await source.find("one", "EdDSA", NOW + 3)) == 1

    asyncio.run(play())


def test_keys_are_refreshed_in_the_background(issuer: Issuer) -> None:
    """Rotation is noticed before any token asks for the new key."""
    source = KeySource(issuer.document, refresh_seconds=0.001)
    twice = asyncio.Event()
    looks: list[float] = []

    def clock() -> float:
        looks.append(NOW)
        if len(looks) > 2:
            twice.set()
        return NOW

    async def play() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(source.run(clock))
            await asyncio.wait_for(twice.wait(), 5)
            running.cancel()
        assert source.fault is None

    asyncio.run(play())


def _counting(issuer: Issuer, asked: list[float]) -> Callable[[], bytes]:
    def read() -> bytes:
        asked.append(1)
        return issuer.document()

    return read
