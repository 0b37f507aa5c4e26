"""Every knob of a gateway, checked once, at the start.

A setting has a group and a name: `engine.shards`. It comes from, in this order, a flag, the
environment (`LLMX_ENGINE__SHARDS`), the TOML file (`[engine]`, `shards = 4`), its default.
`none` stands for "not at all" wherever a setting may be absent. `Settings()` has the defaults and
looks nowhere; `load_settings` looks everywhere and says what is wrong in words of the operator.

What there is to set stands in `settings_groups`; `make docs` writes `docs/configuration.md`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pydantic_settings
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

from gateway.page.settings import PageSettings
from gateway.settings_contradictions import contradictions
from gateway.settings_federation import FederationSettings
from gateway.settings_governance import GovernanceSettings
from gateway.settings_groups import (
    ENVELOPE_HEADER_BYTES_MAX,
    MIB,
    AuthSettings,
    EngineSettings,
    Group,
    LimitSettings,
    LogSettings,
    MailboxSettings,
    ServerSettings,
    ValidationSettings,
)
from gateway.settings_market import MarketSettings
from gateway.settings_telemetry import TelemetrySettings
from gateway.settings_words import accepted, as_text, example

__all__ = [
    "ENVELOPE_HEADER_BYTES_MAX",
    "AuthSettings",
    "EngineSettings",
    "FederationSettings",
    "LimitSettings",
    "LogSettings",
    "MailboxSettings",
    "MarketSettings",
    "PageSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "TelemetrySettings",
    "ValidationSettings",
    "load_settings",
    "setting_fields",
    "spelled",
]

PREFIX: Final = "LLMX_"
_FILE_BYTES_MAX: Final = MIB


class SettingsError(Exception):
    """A setting that cannot be; the message says which, what it is and what would work."""


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
    mailbox: MailboxSettings = MailboxSettings()
    federation: FederationSettings = FederationSettings()
    governance: GovernanceSettings = GovernanceSettings()
    market: MarketSettings = MarketSettings()
    page: PageSettings = PageSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
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
        fault = _fault_at(source, group, name, merged.get(group, {}).get(name))
        raise _located(fault, source, file) from None
    for group, name, reason in contradictions(settings):
        value = getattr(getattr(settings, group), name)
        # A default that contradicts what was given is named as what was given.
        source = next((key for key in given if name in given[key].get(group, {})), "")
        source = source or next((key for key in given if given[key]), "environment")
        fault = SettingsError(f"{spelled(source, group, name)}={as_text(value)}: {reason}")
        raise _located(fault, source if name in given[source].get(group, {}) else "", file)
    return settings


def _located(fault: SettingsError, source: str, file: Path | None) -> SettingsError:
    """Return the fault with the file that it is in, if it is in one."""
    return SettingsError(f"{file}: {fault}") if source == "file" and file is not None else fault


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
            try:
                _check_known("file", group, name, value)
            except SettingsError as fault:
                raise _located(fault, "file", file) from None
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


def setting_fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield group, name and field of every setting."""
    for group, outer in Settings.model_fields.items():
        kind = outer.annotation
        assert isinstance(kind, type) and issubclass(kind, Group), "every setting is in a group"
        for name, field in kind.model_fields.items():
            yield group, name, field
