"""What the gateway writes: one event a line, to standard error, never what agents tell each other.

Every line passes `_Confidential`, which takes out what may hold a payload or a token, however deep
it is, so a careless line elsewhere leaks nothing. Settings can let payloads through for a
development machine; tokens and secrets stay out always.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from gateway.settings import LogSettings

TOKENS: Final = frozenset({"token", "authorization", "secret", "development_secret", "password"})
PAYLOADS: Final = frozenset({"payload", "payloads", "body", "fields", "envelope", "frame"})
REMOVED: Final = "[removed]"
_DEPTH_MAX: Final = 6


def set_up_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Make structlog write to `stream`, standard error when None, as the settings say."""
    target = sys.stderr if stream is None else stream
    is_json = settings.format == "json"
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(colors=target.isatty())
    )
    tracebacks: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info] if is_json else []
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Confidential(payloads=settings.payloads),
            *tracebacks,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


class _Confidential:
    """Takes confidential members out of an event; their names stay, so that one knows."""

    def __init__(self, *, payloads: bool) -> None:
        self._names = TOKENS if payloads else TOKENS | PAYLOADS

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        return {name: self._cleaned(name, value, _DEPTH_MAX) for name, value in event.items()}

    def _cleaned(self, name: str, value: object, depth: int) -> object:
        if name.lower() in self._names:
            return REMOVED
        if not depth:
            return REMOVED if isinstance(value, Mapping | list | tuple) else value
        if isinstance(value, Mapping):
            return {key: self._cleaned(str(key), one, depth - 1) for key, one in value.items()}
        if isinstance(value, list | tuple) and name != "exc_info":
            return [self._cleaned("", one, depth - 1) for one in value]
        return value
