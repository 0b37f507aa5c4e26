"""Tokens that count no longer though they have not expired.

A text file with one token id (`jti`) a line; empty lines and what follows a `#` are left out.
Whoever writes it replaces it or appends to it; the gateway notices the change at its next look.
A file that has gone or cannot be read leaves in force what was last read: forgetting revocations
would let people in again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from gateway.keys import KeysError

REVOKED_MAX: Final = 100_000
FILE_BYTES_MAX: Final = 16 * 1024 * 1024

_Stamp = tuple[int, int, int]


class Revocations:
    """The revoked token ids: `token_id in revocations`."""

    def __init__(self, path: Path) -> None:
        """Read the file; raise KeysError when that cannot be done."""
        self._path = path
        self._seen: _Stamp | None = None
        self._token_ids: frozenset[str] = frozenset()
        self._look()

    def __contains__(self, token_id: object) -> bool:
        """Look at the file if it changed, then at its ids. Costs one `stat`."""
        try:
            self._look()
        except KeysError as error:
            structlog.get_logger(__name__).warning(
                "revocations_not_read",
                reason=error.reason,
                remedy=error.remedy,
                token_ids_in_force=len(self._token_ids),
            )
        return token_id in self._token_ids

    def __repr__(self) -> str:
        """Tell the file and how many ids it held."""
        return f"<Revocations of {self._path}: {len(self._token_ids)} tokens>"

    def _look(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._seen:
                return
            with self._path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            reason = f"{self._path}: {error.strerror or error}"
            raise KeysError(reason, "name a file of token ids that the gateway may read") from error
        lines = (
            line.partition("#")[0].strip() for line in text.decode("utf-8", "replace").split("\n")
        )
        token_ids = frozenset(line for line in lines if line)
        if len(text) > FILE_BYTES_MAX or len(token_ids) > REVOKED_MAX:
            raise KeysError(
                f"{self._path} holds more than {REVOKED_MAX} tokens or {FILE_BYTES_MAX} bytes",
                "take out tokens that have expired since",
            )
        self._seen, self._token_ids = stamp, token_ids
