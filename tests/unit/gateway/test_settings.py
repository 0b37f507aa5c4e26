"""Where settings come from, and what the operator hears when one cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LLMX_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.toml"


def test_the_defaults_work() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert settings.server.port == 7600
    assert settings.engine.default_policy == "flow/high"
    assert settings.limits.payload_bytes_max == 256 * 1024


def test_a_flag_beats_the_environment_which_beats_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[engine]\nshards = 2\nrecords_kept = 7\ndefault_policy = 'flow/low'\n")
    monkeypatch.setenv("LLMX_ENGINE__SHARDS", "3")
    monkeypatch.setenv("LLMX_ENGINE__RECORDS_KEPT", "8")
    settings = load_settings(file, {"engine.shards": 5})
    assert settings.engine.shards == 5
    assert settings.engine.records_kept == 8
    assert settings.engine.default_policy == "flow/low"


def test_the_clients_variables_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMX_TOKEN", "a.b.c")
    monkeypatch.setenv("LLMX_GATEWAY", "127.0.0.1:7600")
    assert load_settings() == Settings()


def test_settings_made_in_code_depend_on_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMX_ENGINE__SHARDS", "3")
    assert Settings().engine.shards == 4


@pytest.mark.parametrize("word", ["none", "None", ""])
def test_none_turns_a_setting_off(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMX_SERVER__METRICS_PORT", word)
    assert load_settings().server.metrics_port is None
    assert load_settings(None, {"server.metrics_port": 0}).server.metrics_port == 0


def test_profiles_come_from_the_file_and_keep_the_types_of_their_fields(file: Path) -> None:
    file.write_text('[engine.profiles."gpu/fast"]\nquorum = 3\nwindow = 0.5\nconfirm = true\n')
    fields = load_settings(file).engine.profiles["gpu/fast"]
    assert fields == {"quorum": 3, "window": 0.5, "confirm": True}
    assert type(fields["quorum"]) is int
    assert type(fields["confirm"]) is bool


def test_profiles_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMX_ENGINE__PROFILES", '{"mine": {"quorum": "all"}}')
    assert load_settings().engine.profiles == {"mine": {"quorum": "all"}}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ENGINE__SHARDS", "0", "LLMX_ENGINE__SHARDS=0: must be 1 to 256, for example 4"),
        ("ENGINE__SHARDS", "257", "LLMX_ENGINE__SHARDS=257: must be 1 to 256, for example 4"),
        ("ENGINE__SHARDS", "four", "LLMX_ENGINE__SHARDS=four: must be 1 to 256, for example 4"),
        ("SERVER__PORT", "70000", "LLMX_SERVER__PORT=70000: must be 0 to 65,535, for example 7600"),
        (
            "SERVER__METRICS_PORT",
            "x",
            "LLMX_SERVER__METRICS_PORT=x: must be 0 to 65,535, or none, for example 7601",
        ),
        (
            "SERVER__HOST",
            "a b",
            "LLMX_SERVER__HOST=a b: must be a word without blanks, for example 127.0.0.1",
        ),
        (
            "SERVER__GATEWAY_ID",
            "a.b",
            "LLMX_SERVER__GATEWAY_ID=a.b: must be a name of A-Z a-z 0-9 -, for example local",
        ),
        (
            "LOG__LEVEL",
            "loud",
            "LLMX_LOG__LEVEL=loud: must be debug, info, warning or error, for example info",
        ),
        (
            "LOG__PAYLOADS",
            "perhaps",
            "LLMX_LOG__PAYLOADS=perhaps: must be true or false, for example false",
        ),
        (
            "ENGINE__DEFAULT_POLICY",
            "a b",
            "LLMX_ENGINE__DEFAULT_POLICY=a b: must be a word without blanks, for example flow/high",
        ),
        (
            "LIMITS__BURST",
            "nan",
            "LLMX_LIMITS__BURST=nan: must be 1 to 10,000,000, for example 4000",
        ),
        (
            "LIMITS__TTL_DEFAULT",
            "9999",
            "LLMX_LIMITS__TTL_DEFAULT=9999: must be at most ttl_max, 3600",
        ),
        (
            "ENGIN__SHARDS",
            "4",
            "LLMX_ENGIN__SHARDS=4: there is no such setting, did you mean LLMX_ENGINE__SHARDS?",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named_with_one_that_would_work(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LLMX_{variable}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == message


def test_a_group_given_as_one_word_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMX_LOG", "debug")
    with pytest.raises(SettingsError, match="LLMX_ENGINE__SHARDS=4"):
        load_settings()


def test_a_flag_that_cannot_be_is_named_as_a_flag() -> None:
    with pytest.raises(SettingsError, match=r"^engine\.shards=0: must be 1 to 256"):
        load_settings(None, {"engine.shards": 0})
    with pytest.raises(SettingsError, match=r"^shards=1: .* did you mean engine\.shards"):
        load_settings(None, {"shards": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[engine]\nshards = 0", r"gateway\.toml: engine\.shards=0: must be 1 to 256"),
        ("[engine]\nshrads = 1", r"gateway\.toml: .*did you mean engine\.shards"),
        ("shards = 1", "belongs into a group"),
        ("[engine", "write TOML"),
        ("[engine]\nprofiles = 3", "must be a table"),
        ("[engine.profiles.x]\nquorum = [1]", "must be a table"),
    ],
)
def test_a_file_that_cannot_be_is_said(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(file)


def test_a_file_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(file)
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="write TOML"):
        load_settings(file)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"server.tls_key": "key.pem"}, "needs tls_key beside it"),
        ({"server.tls_certificate": "cert.pem"}, "needs tls_key beside it"),
        ({"auth.jwks_file": "a", "auth.jwks_url": "https://b"}, "give one of them"),
        ({"limits.frame_bytes_max": 1024}, "at most frame_bytes_max, 1024"),
        ({"limits.retry_initial": 11}, "at most retry_max, 10"),
        ({"limits.tenant_burst": 1}, "at least 2, for one message to pass"),
        ({"limits.quota_bytes_per_hour": 300_000}, "at least 327680, for one message"),
        ({"limits.tenant_quota_messages_per_hour": 1}, "at least 2, for one message"),
        ({"limits.tenant_quota_bytes_per_hour": 327_680}, "at least 364089, for one message"),
    ],
)
def test_settings_that_contradict_each_other_are_said(
    overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(None, overrides)


def test_nobody_changes_a_setting_later() -> None:
    with pytest.raises(ValidationError):
        Settings().engine.shards = 5
