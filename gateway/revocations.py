"""Tokens that count no longer though they have not expired.

A text file with one token id (`jti`) a line; empty lines and what follows a `#` are left out.
Whoever writes it replaces it or appends to it; the gateway looks for a change once a second, when
it is asked. A file that has gone, cannot be read or is too large leaves in force what was last
read: forgetting revocations would let people in again. That is told once, not at every look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from gateway.key_faults import KeysError

REVOKED_MAX: Final = 100_000
FILE_BYTES_MAX: Final = 16 * 1024 * 1024
LOOK_SECONDS: Final = 1.0
"""The file is not looked at again for so long, however often it is asked for a token."""

_Stamp = tuple[int, int, int, int]


class Revocations:
    """The revoked token ids: `token_id in revocations`."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file; raise KeysError when that cannot be done. `clock` yields seconds."""
        self._path = path
        self._clock = clock
        self._seen: _Stamp | None = None
        """What the file was when it was last read, whether or not it could be used."""
        self._told: str | None = None
        """Why the last look could not read the file, if it could not and that was told."""
        self._token_ids: frozenset[str] = frozenset()
        self._look()
        self._look_at = clock() + LOOK_SECONDS

    def __contains__(self, token_id: object) -> bool:
        """Tell whether a token is revoked; once in LOOK_SECONDS this costs a `stat`."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            try:
                self._look()
            except KeysError as error:
                self._warn(error)
        return token_id in self._token_ids

    def __repr__(self) -> str:
        """Tell the file and how many ids it held."""
        return f"<Revocations of {self._path}: {len(self._token_ids)} tokens>"

    def _warn(self, error: KeysError) -> None:
        if error.reason == self._told:
            return
        self._told = error.reason
        structlog.get_logger(__name__).warning(
            "revocations_not_read",
            reason=error.reason,
            remedy=error.remedy,
            token_ids_in_force=len(self._token_ids),
        )

    def _look(self) -> None:
        """Read the file if it is another than was read last.

        One that is too large is not read again; one that could not be read is tried again at
        each look, because what hindered may have passed without a change to the file.
        """
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            if stamp == self._seen:
                self._told = None
                return
            with self._path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            reason = f"{self._path}: {error.strerror or error}"
            raise KeysError(reason, "name a file of token ids that the gateway may read") from error
        self._seen, self._told = stamp, None
        token_ids: frozenset[str] | None = None
        if len(text) <= FILE_BYTES_MAX:
            lines = (
                line.partition("#")[0].strip()
                for line in text.decode("utf-8", "replace").split("\n")
            )
            token_ids = frozenset(line for line in lines if line)
        if token_ids is None or len(token_ids) > REVOKED_MAX:
            raise KeysError(
                f"{self._path} holds more than {REVOKED_MAX} tokens or {FILE_BYTES_MAX} bytes",
                "take out tokens that have expired since",
            )
        self._token_ids = token_ids
