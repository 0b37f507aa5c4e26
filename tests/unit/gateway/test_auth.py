"""Whom the gateway believes, and what it answers those whom it does not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from itertools import count
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.auth import (
    Authenticator,
    AuthFault,
    Identity,
    build_authenticator,
    mint_development_token,
)
from gateway.keys import KeySource, fetch_url
from gateway.revocations import Revocations
from gateway.settings import AuthSettings, SettingsError
from tests.support.issuer import NOW, Issuer, good_claims, key_server, make_key

SECRET = b"s" * 32
ALGORITHMS = ("EdDSA", "ES256", "RS256")


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    issuer = Issuer()
    for algorithm in ALGORITHMS:
        issuer.add_key(algorithm, algorithm)
    return issuer


@pytest.fixture
def authenticator(issuer: Issuer) -> Authenticator:
    return _authenticator(issuer)


def _authenticator(issuer: Issuer, **options: object) -> Authenticator:
    keys = KeySource(issuer.document)
    return Authenticator(audience="llmx", issuer="llmx", keys=keys, **options)  # type: ignore[arg-type]  # a test's shorthand


def _verify(authenticator: Authenticator, token: str, now: float = NOW) -> Identity | AuthFault:
    return asyncio.run(authenticator.verify(token, now))


def _code(answer: Identity | AuthFault) -> str:
    assert isinstance(answer, AuthFault), answer
    assert answer.reason
    assert answer.remedy
    return answer.code


def _raw(header: object, claims: object, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_the_issuer_names_its_agent(
    authenticator: Authenticator, issuer: Issuer, algorithm: str
) -> None:
    identity = _verify(authenticator, issuer.token(algorithm))
    assert identity == Identity("agent://alice", "default", frozenset(), None, NOW + 600, "token-1")


def test_tenant_roles_and_acts_come_from_the_token(
    authenticator: Authenticator, issuer: Issuer
) -> None:
    token = issuer.token("EdDSA", tenant="acme", roles=["operator"], acts=["CFP", "accept"])
    identity = _verify(authenticator, token)
    assert isinstance(identity, Identity)
    assert identity.tenant == "acme"
    assert identity.roles == {"operator"}
    assert identity.acts == {"cfp", "accept"}


@pytest.mark.parametrize(
    ("claims", "system"), [({}, False), ({"class": "normal"}, False), ({"class": "system"}, True)]
)
def test_the_class_of_an_agent_comes_from_the_token(
    authenticator: Authenticator, issuer: Issuer, claims: dict[str, str], system: bool
) -> None:
    identity = _verify(authenticator, issuer.token("EdDSA", **claims))
    assert isinstance(identity, Identity)
    assert identity.system is system


def test_without_a_key_id_every_key_of_the_algorithm_is_tried(
    authenticator: Authenticator, issuer: Issuer
) -> None:
    algorithm, key = issuer.keys["ES256"]
    token = jwt.encode(good_claims(), key, algorithm)
    assert isinstance(_verify(authenticator, token), Identity)


def test_one_of_several_audiences_may_be_ours(authenticator: Authenticator, issuer: Issuer) -> None:
    token = issuer.token("EdDSA", aud=["billing", "llmx"])
    assert isinstance(_verify(authenticator, token), Identity)


def test_no_token_is_missing(authenticator: Authenticator) -> None:
    assert _code(_verify(authenticator, "")) == "missing"


@pytest.mark.parametrize(
    "token",
    ["x", "a.b", "a.b.c", "....", "\N{SNOWMAN}.a.b", "x" * 8193, _raw([], {}), _raw({}, "text")],
)
def test_what_is_no_token_is_malformed(authenticator: Authenticator, token: str) -> None:
    assert _code(_verify(authenticator, token)) in {"malformed", "algorithm"}


def test_a_signed_payload_that_is_no_object_is_malformed(
    authenticator: Authenticator, issuer: Issuer
) -> None:
    algorithm, key = issuer.keys["EdDSA"]
    for payload in (b"[]", b"{", b'{"exp": NaN}'):
        token = jwt.PyJWS().encode(payload, key, algorithm, headers={"kid": "EdDSA"})
        assert _code(_verify(authenticator, token)) == "malformed"


@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "", None, 7, ["EdDSA"]])
def test_a_token_without_a_signature_is_refused_however_it_spells_none(
    issuer: Issuer, spelling: object
) -> None:
    authenticator = _authenticator(issuer, development_secret=SECRET)
    header = {"alg": spelling, "kid": "EdDSA", "typ": "JWT"}
    assert _code(_verify(authenticator, _raw(header, good_claims()))) in {"algorithm", "malformed"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_key_is_never_taken_for_a_secret(issuer: Issuer, algorithm: str) -> None:
    """The old confusion: sign HS256 with the bytes of the public key that everybody can read."""
    authenticator = _authenticator(issuer, development_secret=SECRET)
    public = issuer.keys[algorithm][1].public_key()
    for form in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        token = _signed_hs256(form, {"kid": algorithm})
        assert _code(_verify(authenticator, token)) == "wrong_key"
        assert _code(_verify(_authenticator(issuer), token)) == "algorithm"


def _signed_hs256(secret: bytes, header: dict[str, object]) -> str:
    """Sign by hand: the library refuses to help with this."""
    unsigned = _raw({"alg": "HS256", **header}, good_claims()).rpartition(".")[0]
    signature = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_key_counts_for_its_own_algorithm_only(
    authenticator: Authenticator, issuer: Issuer
) -> None:
    key = issuer.keys["RS256"][1]
    token = jwt.encode(good_claims(), key, "RS512", headers={"kid": "RS256"})
    assert _code(_verify(authenticator, token)) == "algorithm"
    mismatched = issuer.token("EdDSA", {"kid": "ES256"})
    assert _code(_verify(authenticator, mismatched)) == "wrong_key"


def test_a_token_signed_by_a_stranger_is_refused(
    authenticator: Authenticator,
) -> None:
    token = jwt.encode(good_claims(), make_key("EdDSA"), "EdDSA", headers={"kid": "EdDSA"})
    assert _code(_verify(authenticator, token)) == "wrong_key"


def test_a_changed_claim_breaks_the_signature(authenticator: Authenticator, issuer: Issuer) -> None:
    head, _, signature = issuer.token("EdDSA").split(".")
    claims = _raw({}, good_claims(sub="agent://mallory")).split(".")[1]
    assert _code(_verify(authenticator, f"{head}.{claims}.{signature}")) == "wrong_key"


def test_an_extension_that_must_be_understood_is_not(
    authenticator: Authenticator, issuer: Issuer
) -> None:
    token = issuer.token("EdDSA", {"crit": ["b64"]})
    assert _code(_verify(authenticator, token)) == "malformed"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "billing"}, "wrong_audience"),
        ({"aud": None}, "wrong_audience"),
        ({"aud": ["billing"]}, "wrong_audience"),
        ({"aud": {"llmx": 1}}, "wrong_audience"),
        ({"iss": "elsewhere"}, "wrong_issuer"),
        ({"iss": None}, "wrong_issuer"),
        ({"exp": NOW - 1}, "expired"),
        ({"exp": NOW}, "expired"),
        ({"exp": None}, "malformed"),
        ({"exp": "tomorrow"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"nbf": NOW + 31}, "expired"),
        ({"iat": NOW + 31}, "expired"),
        ({"nbf": "soon"}, "malformed"),
        ({"sub": None}, "subject"),
        ({"sub": "alice"}, "subject"),
        ({"sub": "agent://"}, "subject"),
        ({"sub": "agent://alice\n"}, "subject"),
        ({"sub": "agent://" + "a" * 300}, "subject"),
        ({"sub": "topic://gpu"}, "subject"),
        ({"tenant": ""}, "subject"),
        ({"tenant": "a/b"}, "subject"),
        ({"tenant": 7}, "subject"),
        ({"roles": "operator"}, "malformed"),
        ({"roles": [1]}, "malformed"),
        ({"roles": ["r"] * 65}, "malformed"),
        ({"acts": "cfp"}, "malformed"),
        ({"acts": [""]}, "malformed"),
        ({"class": "root"}, "malformed"),
        ({"class": ["system"]}, "malformed"),
        ({"jti": 7}, "malformed"),
    ],
    ids=str,
)
def test_each_claim_that_is_wrong_has_its_answer(
    authenticator: Authenticator, issuer: Issuer, claims: dict[str, object], code: str
) -> None:
    algorithm, key = issuer.keys["EdDSA"]
    # Not by jwt.encode, which is more careful than strangers are.
    payload = json.dumps(good_claims(**claims)).encode()
    token = jwt.PyJWS().encode(payload, key, algorithm, headers={"kid": "EdDSA"})
    assert _code(_verify(authenticator, token)) == code


def test_an_issuers_clock_may_be_a_little_ahead(
    authenticator: Authenticator, issuer: Issuer
) -> None:
    token = issuer.token("EdDSA", iat=NOW + 29, nbf=NOW + 30)
    assert isinstance(_verify(authenticator, token), Identity)


def test_a_development_token_counts_where_the_secret_is() -> None:
    authenticator = Authenticator(audience="llmx", issuer="llmx", development_secret=SECRET)
    token = mint_development_token(SECRET, "agent://bob", tenant="acme", ttl=60, now=NOW)
    identity = _verify(authenticator, token)
    assert isinstance(identity, Identity)
    assert (identity.agent_id, identity.tenant) == ("agent://bob", "acme")
    assert identity.expires_at == NOW + 60


def test_a_development_token_counts_nowhere_else(
    authenticator: Authenticator,
) -> None:
    token = mint_development_token(SECRET, "agent://bob", now=NOW)
    assert _code(_verify(authenticator, token)) == "algorithm"
    other = Authenticator(audience="llmx", issuer="llmx", development_secret=b"o" * 32)
    assert _code(_verify(other, token)) == "wrong_key"


def test_a_revoked_token_counts_no_longer_from_the_moment_the_file_says_so(
    issuer: Issuer, tmp_path: Path
) -> None:
    file = tmp_path / "revoked"
    file.write_text("# nobody yet\n")
    every_second = count().__next__
    authenticator = _authenticator(issuer, revocations=Revocations(file, every_second))
    identity = _verify(authenticator, issuer.token("EdDSA"))
    assert isinstance(identity, Identity)
    assert authenticator.still_good(identity, NOW) is None
    file.write_text("token-0\ntoken-1 # lost laptop\n")
    assert _code(_verify(authenticator, issuer.token("EdDSA"))) == "revoked"
    fault = authenticator.still_good(identity, NOW)
    assert fault is not None
    assert fault.code == "revoked"


def test_a_living_stream_learns_that_its_token_expired(
    authenticator: Authenticator, issuer: Issuer
) -> None:
    identity = _verify(authenticator, issuer.token("EdDSA"))
    assert isinstance(identity, Identity)
    assert authenticator.still_good(identity, NOW + 599) is None
    fault = authenticator.still_good(identity, NOW + 600)
    assert fault is not None
    assert fault.code == "expired"


def test_a_token_signed_with_a_new_key_fetches_the_key() -> None:
    issuer = Issuer()
    issuer.add_key("old", "EdDSA")
    with key_server(issuer) as server:
        keys = KeySource(lambda: fetch_url(server.url))
        authenticator = Authenticator(audience="llmx", issuer="llmx", keys=keys)

        async def play() -> None:
            await authenticator.start(NOW)
            issuer.add_key("new", "ES256")
            assert isinstance(await authenticator.verify(issuer.token("old"), NOW + 20), Identity)
            assert server.asked == 1
            assert isinstance(await authenticator.verify(issuer.token("new"), NOW + 20), Identity)
            assert server.asked == 2

        asyncio.run(play())


def test_the_last_good_keys_count_while_the_issuer_is_away() -> None:
    issuer = Issuer()
    issuer.add_key("old", "EdDSA")
    with key_server(issuer) as server:
        keys = KeySource(lambda: fetch_url(server.url))
    authenticator = Authenticator(audience="llmx", issuer="llmx", keys=keys)

    async def play() -> None:
        server.issuer.add_key("new", "EdDSA")
        answer = await authenticator.verify(issuer.token("old"), NOW)
        assert isinstance(answer, AuthFault)
        assert "cannot be had" in answer.reason
        with key_server(issuer) as back:
            server.url = back.url
            assert isinstance(await authenticator.verify(issuer.token("old"), NOW + 20), Identity)
        assert not await keys.refresh(NOW + 40)
        assert isinstance(await authenticator.verify(issuer.token("old"), NOW + 50), Identity)

    asyncio.run(play())


def test_settings_without_any_key_are_refused_with_what_would_work() -> None:
    with pytest.raises(SettingsError, match="LLMX_AUTH__DEVELOPMENT_SECRET_FILE"):
        build_authenticator(AuthSettings())


def test_settings_build_what_they_ask_for(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(issuer.document())
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "revoked").write_text("gone")
    authenticator = build_authenticator(
        AuthSettings(
            jwks_file=tmp_path / "keys.json",
            development_secret_file=tmp_path / "secret",
            revoked_file=tmp_path / "revoked",
        )
    )
    assert isinstance(_verify(authenticator, issuer.token("RS256")), Identity)
    assert _code(_verify(authenticator, issuer.token("RS256", jti="gone"))) == "revoked"
    token = mint_development_token(SECRET, "agent://bob", now=NOW)
    assert isinstance(_verify(authenticator, token), Identity)


@pytest.mark.parametrize(
    "settings",
    [
        AuthSettings(jwks_file=Path("/nowhere/keys.json")),
        AuthSettings(jwks_url="http://issuer.example/keys"),
        AuthSettings(development_secret_file=Path("/nowhere/secret")),
        AuthSettings(jwks_url="https://issuer.example", revoked_file=Path("/nowhere/revoked")),
    ],
    ids=["no key file", "keys in the clear", "no secret", "no revocations"],
)
def test_settings_that_cannot_work_are_refused_at_the_start(settings: AuthSettings) -> None:
    with pytest.raises(SettingsError):
        build_authenticator(settings)


def test_a_key_file_that_is_not_there_is_told_with_its_setting() -> None:
    with pytest.raises(SettingsError, match=r"^auth\.jwks_file=/nope\.json: "):
        build_authenticator(AuthSettings(jwks_file=Path("/nope.json")))
