"""Every knob of a gateway, checked once, at the start.

A setting has a group and a name: `engine.shards`. It comes from, in this order, a flag, the
environment (`LLMX_ENGINE__SHARDS`), the TOML file (`[engine]`, `shards = 4`), its default.
`none` stands for "not at all" wherever a setting may be absent. `Settings()` has the defaults and
looks nowhere; `load_settings` looks everywhere and says what is wrong in words of the operator.

`make docs` writes `docs/configuration.md` from here.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import pydantic_settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

from gateway.settings_words import accepted, as_text, example, may_be_absent

PREFIX: Final = "LLMX_"
MIB: Final = 1024 * 1024
_FILE_BYTES_MAX: Final = MIB

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]
Bytes = Annotated[int, Field(ge=1024, le=1024 * MIB)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^\S+$")]


class SettingsError(Exception):
    """A setting that cannot be; the message says which, what it is and what would work."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: object) -> object:
        """Take the word "none", and nothing at all, for absence where that is allowed."""
        if not isinstance(values, Mapping):
            return values
        absent = {name for name, field in cls.model_fields.items() if may_be_absent(field)}
        return {
            name: None if name in absent and _means_none(value) else value
            for name, value in values.items()
        }


def _means_none(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in {"", "none"}


class ServerSettings(_Group):
    """Where the gateway listens."""

    gateway_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")] = Field(
        default="local",
        description="Name of this gateway; begins every negotiation id. A-Z a-z 0-9 -",
    )
    host: Word = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 means all")
    port: Port = Field(default=7600, description="Port for agents; 0 takes a free one")
    unix: Path | None = Field(default=None, description="Unix socket to listen on as well")
    tls_certificate: Path | None = Field(
        default=None, description="PEM file; with tls_key turns TLS on"
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of the certificate's private key"
    )
    metrics_port: Port | None = Field(
        default=7601,
        description="Port for Prometheus, on the same host; 0 takes a free one, none is off",
    )
    shutdown_grace: SecondsOrZero = Field(
        default=5.0, description="Seconds that streams get to end after SIGTERM"
    )


class AuthSettings(_Group):
    """Whose tokens count."""

    jwks_file: Path | None = Field(
        default=None, description="JWKS file with the issuer's public keys"
    )
    jwks_url: Word | None = Field(
        default=None, description="The same behind https (http on this machine)"
    )
    jwks_refresh: Seconds = Field(
        default=300.0, description="Seconds between two looks at the keys"
    )
    audience: Word = Field(default="llmx", description="What `aud` of a token must hold")
    issuer: Word = Field(default="llmx", description="What `iss` of a token must be")
    development_secret_file: Path | None = Field(
        default=None,
        description="File with a secret of 32 bytes or more; accepts HS256. Not in production",
    )
    leeway: SecondsOrZero = Field(
        default=30.0, description="Seconds that `nbf` and `iat` may be ahead"
    )
    revoked_file: Path | None = Field(
        default=None, description="File of revoked token ids, one a line; re-read when it changes"
    )


class LimitSettings(_Group):
    """What is too much. Each limit has a refusal or an ending that names it."""

    frame_bytes_max: Bytes = Field(default=4 * MIB, description="Bytes in a frame")
    payload_bytes_max: Bytes = Field(default=256 * 1024, description="Bytes in a payload")
    json_depth_max: Annotated[int, Field(ge=4, le=250)] = Field(
        default=64, description="Brackets that may be open at once in a payload"
    )
    envelope_recipients_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=64, description="Addresses in one envelope"
    )
    capabilities_max: Count = Field(default=32, description="Capabilities of an agent")
    topics_max: Count = Field(default=256, description="Topics an agent subscribes to")
    consents_per_agent_max: Count = Field(default=1_000, description="Consents an agent gives")
    groups_per_tenant_max: Count = Field(default=1_000, description="Groups in a tenant")
    group_members_max: Count = Field(default=1_024, description="Agents in a group")
    schemas_per_tenant_max: Count = Field(
        default=1_000, description="Schemas registered in a tenant"
    )
    ttl_default: Seconds = Field(
        default=120.0, description="Seconds a message lives that does not say"
    )
    ttl_max: Seconds = Field(default=3600.0, description="Seconds a message may live")
    clock_skew_seconds_max: Seconds = Field(
        default=300.0, description="Seconds that `ts` of a message may lie in the future"
    )
    rate_per_second: Annotated[float, Field(gt=0, le=10_000_000)] = Field(
        default=2000.0, description="Messages a second that an agent may send in the long run"
    )
    burst: Annotated[float, Field(ge=1, le=10_000_000)] = Field(
        default=4000.0, description="Messages that an agent may send at once"
    )
    duplicates_ids_max: Count = Field(
        default=1_000_000, description="Ids remembered to notice repeats"
    )
    duplicates_seconds: Seconds = Field(
        default=300.0, description="Seconds that an id is remembered"
    )
    outbox_messages_max: Count = Field(default=10_000, description="Messages waiting for one agent")
    outbox_bytes_max: Bytes = Field(default=16 * MIB, description="Bytes waiting for one agent")
    retry_initial: Seconds = Field(
        default=0.5,
        description="Seconds until an unconfirmed message is sent again; doubles each time",
    )
    retry_max: Seconds = Field(default=10.0, description="Seconds between two attempts at most")
    sessions_max: Count = Field(default=10_000, description="Streams open at once")
    agents_max: Count = Field(default=100_000, description="Agents known at once")
    reconnect_grace_seconds: SecondsOrZero = Field(
        default=30.0, description="Seconds that an agent without a stream keeps its place"
    )
    negotiations_open_max: Count = Field(default=100_000, description="Negotiations open at once")
    negotiations_open_per_tenant_max: Count = Field(
        default=50_000, description="Negotiations that the agents of one tenant have open at once"
    )
    negotiations_open_per_agent_max: Count = Field(
        default=10_000, description="Negotiations that one agent has open at once"
    )
    negotiations_finished_max: Count = Field(
        default=20_000, description="Finished negotiations that still answer latecomers"
    )
    linger_seconds: SecondsOrZero = Field(
        default=10.0, description="Seconds that a finished negotiation answers latecomers"
    )
    deadline_seconds_max: Seconds = Field(
        default=86400.0, description="Seconds from a call to its deadline at most"
    )


class EngineSettings(_Group):
    """How negotiations are decided and kept."""

    shards: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, description="Loops that share the work"
    )
    shard_queue_max: Count = Field(default=10_000, description="Acts waiting for one shard")
    default_policy: Word = Field(
        default="flow/high", description="Profile of a call that names none"
    )
    profiles: dict[str, dict[str, str | int | float | bool]] = Field(
        default_factory=dict,
        description="More acceptance profiles: `[engine.profiles.NAME]` and what differs; "
        "JSON in the environment",
    )
    records: Path | None = Field(
        default=None, description="File that finished negotiations are appended to, for replay"
    )
    records_kept: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=100, description="Records of finished negotiations kept in memory"
    )


class ValidationSettings(_Group):
    """Where payloads are judged that are big or judged by a registered schema."""

    workers: Annotated[int, Field(ge=1, le=64)] = Field(default=1, description="Worker processes")
    inline_bytes_max: Annotated[int, Field(ge=0, le=MIB)] = Field(
        default=8192, description="Bytes up to which shipped schemas are judged without a worker"
    )
    budget_seconds: Seconds = Field(
        default=0.5, description="Seconds that one judgement may take before its worker is replaced"
    )
    queue_max: Count = Field(default=256, description="Payloads waiting for a worker")


class LogSettings(_Group):
    """What the gateway writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important line that is written"
    )
    format: Literal["console", "json"] = Field(
        default="console", description="For people, or for programs"
    )
    payloads: bool = Field(
        default=False, description="Write payloads too; they hold what agents tell each other"
    )


class Settings(BaseSettings):
    """All settings. Frozen; hand a group to whoever needs it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    engine: EngineSettings = EngineSettings()
    validation: ValidationSettings = ValidationSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Source,
        env_settings: Source,
        dotenv_settings: Source,
        file_secret_settings: Source,
    ) -> tuple[Source, ...]:
        """Look nowhere but at the arguments, so that a test depends on no environment."""
        return (init_settings,)


Values = dict[str, dict[str, object]]
"""Settings as they were given: group, name, value."""


def load_settings(
    file: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """Return the settings of `overrides` (dotted: "engine.shards"), environment and `file`.

    Raises SettingsError naming the setting, what was given, and a value that would work.
    """
    given = {
        "flag": _nested(overrides or {}),
        "environment": _from_environment(),
        "file": {} if file is None else _from_file(file),
    }
    merged: Values = {}
    for values in reversed(given.values()):  # the first named has the last word
        for group, members in values.items():
            merged.setdefault(group, {}).update(members)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        group, name = _place_of(error.errors()[0]["loc"])
        source = next((key for key in given if name in given[key].get(group, {})), "file")
        raise _fault_at(source, group, name, merged.get(group, {}).get(name)) from None
    for group, name, reason in _contradictions(settings):
        value = getattr(getattr(settings, group), name)
        raise SettingsError(f"{spelled('environment', group, name)}={as_text(value)}: {reason}")
    return settings


def _nested(overrides: Mapping[str, object]) -> Values:
    nested: Values = {}
    for dotted, value in overrides.items():
        group, _, name = dotted.partition(".")
        _check_known("flag", group, name, value)
        nested.setdefault(group, {})[name] = value
    return nested


def _from_environment() -> Values:
    """Return what the environment sets; LLMX_ names without `__` belong to others."""
    for variable, value in os.environ.items():
        if variable.upper().startswith(PREFIX) and "__" in variable:
            group, _, name = variable[len(PREFIX) :].lower().partition("__")
            _check_known("environment", group, name.partition("__")[0], value)
    try:
        values = EnvSettingsSource(Settings)()
    except pydantic_settings.SettingsError as error:
        raise SettingsError(
            f"{error}: write JSON, or name one setting as LLMX_ENGINE__SHARDS=4"
        ) from None
    return {group: dict(members) for group, members in values.items()}


def _from_file(file: Path) -> Values:
    try:
        with file.open("rb") as stream:
            values = tomllib.loads(stream.read(_FILE_BYTES_MAX).decode("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(f"{file}: {reason}; name a TOML file, or leave it out") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file}: {error}; write TOML, for example [server] and port = 7600"
        ) from error
    for group, members in values.items():
        if not isinstance(members, dict):
            raise SettingsError(f"{file}: {group} belongs into a group, for example [server]")
        for name, value in members.items():
            _check_known("file", group, name, value)
    return values


def _check_known(source: str, group: str, name: str, value: object) -> None:
    known = {f"{group}.{name}" for group, name, _ in setting_fields()}
    if f"{group}.{name}" in known:
        return
    close = difflib.get_close_matches(f"{group}.{name}", known, 1, 0.5) or ["server.port"]
    nearest = spelled(source, *close[0].split("."))
    raise SettingsError(
        f"{spelled(source, group, name)}={value}: there is no such setting, did you mean {nearest}?"
    )


def _fault_at(source: str, group: str, name: str, value: object) -> SettingsError:
    field = next(field for at, of, field in setting_fields() if (at, of) == (group, name))
    given = f"{spelled(source, group, name)}={as_text(value)[:80]}"
    return SettingsError(f"{given}: must be {accepted(field)}, for example {example(field)}")


def _place_of(location: tuple[int | str, ...]) -> tuple[str, str]:
    group, name = (*(str(part) for part in location), "", "")[:2]
    return group, name


def spelled(source: str, group: str, name: str) -> str:
    """Return a setting as it is written in the environment, or elsewhere."""
    if source == "environment":
        return f"{PREFIX}{group}__{name}".upper()
    return f"{group}.{name}" if name else group


def _contradictions(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield settings that are right alone and wrong together, with what would work."""
    server, auth, limits = settings.server, settings.auth, settings.limits
    if (server.tls_certificate is None) != (server.tls_key is None):
        yield "server", "tls_certificate", "needs tls_key beside it; give both, or none"
    if auth.jwks_file is not None and auth.jwks_url is not None:
        yield "auth", "jwks_url", "there is a jwks_file too; give one of them"
    if limits.payload_bytes_max > limits.frame_bytes_max:
        yield (
            "limits",
            "payload_bytes_max",
            f"must be at most frame_bytes_max, {limits.frame_bytes_max}",
        )
    if limits.ttl_default > limits.ttl_max:
        yield "limits", "ttl_default", f"must be at most ttl_max, {as_text(limits.ttl_max)}"
    if limits.retry_initial > limits.retry_max:
        yield "limits", "retry_initial", f"must be at most retry_max, {as_text(limits.retry_max)}"


def setting_fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield group, name and field of every setting."""
    for group, outer in Settings.model_fields.items():
        kind = outer.annotation
        assert isinstance(kind, type) and issubclass(kind, _Group), "every setting is in a group"
        for name, field in kind.model_fields.items():
            yield group, name, field
