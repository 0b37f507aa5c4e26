"""What the gateway writes: one event a line, to standard error, never what agents tell each other.

Every line passes `_Confidential`, which takes out what may hold a payload or a token, however deep
it is, so a careless line elsewhere leaks nothing. Settings can let payloads through for a
development machine; tokens and secrets stay out always.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import orjson
import structlog
from google.protobuf.message import DecodeError

from gateway.clock import iso_text
from gateway.settings import LogSettings
from gateway.telemetry.names import hashed

TOKENS: Final = frozenset({"token", "authorization", "secret", "development_secret", "password"})
PAYLOADS: Final = frozenset({"payload", "payloads", "body", "fields", "envelope", "frame"})
NAMES: Final = frozenset({"agent", "tenant", "budget", "key", "subject"})
"""Members that name an agent, a tenant or what is theirs."""
REMOVED: Final = "[removed]"
_DEPTH_MAX: Final = 6
_HARMLESS_MAX: Final = 1_000
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def set_up_logs(settings: LogSettings, stream: TextIO | None = None, process: str = "") -> None:
    """Make structlog write to `stream`, standard error when None, as the settings say.

    Where several processes write to one place, each line bears the name of its `process`.
    """
    target = sys.stderr if stream is None else stream
    is_json = settings.format == "json"
    renderer: structlog.typing.Processor
    if is_json:
        renderer = structlog.processors.JSONRenderer(serializer=_json_text)
    elif target.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors=True)
    else:  # the same for a file or a pipe, at a tenth of the time
        renderer = _logfmt
    tracebacks: list[structlog.typing.Processor] = (
        [] if target.isatty() and not is_json else [structlog.processors.format_exc_info]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _add_time,
            *([_Signed(process)] if process else []),
            _Confidential(payloads=settings.payloads, names=settings.names == "plain"),
            *tracebacks,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if _LIBRARIES not in root.handlers:
        root.addHandler(_LIBRARIES)


def _add_time(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["timestamp"] = iso_text(time.time())  # the wall time, as other programs log it
    return event


class _Signed:
    """Says which process a line is of."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["process"] = self._process
        return event


_is_plain = re.compile(r'[^\s"=]+').fullmatch


def _logfmt(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Return `time level event name=value …`; structlog's own renderer takes 20 µs for this."""
    words = [str(event.pop("timestamp")), str(event.pop("level")), str(event.pop("event"))]
    trace = event.pop("exception", None)
    for name, value in event.items():
        if type(value) is int or type(value) is float:
            words.append(f"{name}={value}")
            continue
        text = value if type(value) is str else str(value)
        if _is_plain(text) is None:
            text = orjson.dumps(text).decode()
        words.append(f"{name}={text}")
    line = " ".join(words).replace("\n", "\\n")
    return line if trace is None else f"{line}\n{trace}"


def _json_text(event: object, **_: object) -> str:
    return orjson.dumps(event, default=repr).decode()


class _Libraries(logging.Handler):
    """Writes what libraries warn of as lines of ours.

    grpc tells of an error in a servicer here and nowhere else.
    """

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        if record.exc_info and isinstance(record.exc_info[1], DecodeError):
            log.warning("a request could not be read")  # the caller's mistake, not ours
            return
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)


_LIBRARIES: Final = _Libraries(logging.WARNING)


class _Confidential:
    """Takes confidential members out of an event; their names stay, so that one knows."""

    def __init__(self, *, payloads: bool, names: bool = True) -> None:
        self._removed = TOKENS if payloads else TOKENS | PAYLOADS
        self._hashed = frozenset[str]() if names else NAMES
        self._harmless: set[str] = set()

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        harmless = self._harmless
        if harmless.issuperset(event) and _SCALARS.issuperset(map(type, event.values())):
            return event  # as nearly always
        if len(harmless) < _HARMLESS_MAX:  # lines of code spell names out, so there are not many
            unsafe = self._removed | self._hashed
            harmless.update(name for name in event if name.lower() not in unsafe)
        return {name: self._cleaned(name, value, _DEPTH_MAX) for name, value in event.items()}

    def _cleaned(self, name: str, value: object, depth: int) -> object:
        if name.lower() in self._removed:
            return REMOVED
        if name.lower() in self._hashed and isinstance(value, str):
            return hashed(value)
        if not depth:
            return REMOVED if isinstance(value, Mapping | list | tuple) else value
        if isinstance(value, Mapping):
            return {key: self._cleaned(str(key), one, depth - 1) for key, one in value.items()}
        if isinstance(value, list | tuple) and name != "exc_info":
            return [self._cleaned("", one, depth - 1) for one in value]
        return value
