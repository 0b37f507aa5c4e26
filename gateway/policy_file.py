"""Books of profiles in a file that several gateway processes, and people, share.

One JSON object with a member for each tenant, see `policy_books`. Who changes it holds a lock (a
file beside it), writes a new file and puts it in the place of the old one, so that nobody
ever reads half of it. Everybody looks for another file twice a second. A file that is gone, or
no JSON, changes nothing: what was last read stays in force, and that is told once.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from federation.shelf import Edit, ShelfError

LOOK_SECONDS = 0.5
LOCK_SECONDS_MAX = 2.0
LOCK_LOOK_SECONDS = 0.02
FILE_BYTES_MAX = 64 * 1024 * 1024

_Stamp = tuple[int, int, int, int]

log = structlog.get_logger("llmx.policies")


class PolicyFile:
    """The books of all tenants in one file."""

    def __init__(self, path: Path) -> None:
        """Keep books in `path`, which need not be there yet."""
        self._path = path
        self._seen: _Stamp | None = None
        self._told = ""
        self._books: dict[str, bytes] = {}
        self.on_text: Callable[[str, bytes | None], None] = lambda name, text: None
        """Hears each book that is another than before, None when it is gone."""

    def __repr__(self) -> str:
        """Tell the file and how many books it holds."""
        return f"<PolicyFile {self._path}: {len(self._books)} books>"

    async def change(self, name: str, edit: Edit) -> None:
        """Change the book of a tenant; here it is heard before this returns. Raises ShelfError."""
        async with self._locked():
            books = self._read()
            books[name] = edit(books.get(name))
            self._write(books)
            self.look()

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the file if it is another than was read last."""
        try:
            stamp = _stamp(self._path)
            if stamp == self._seen:
                return
            books = self._read()
        except ShelfError as error:
            if self._told != str(error):
                self._told = str(error)
                log.warning("profiles are not read", reason=self._told)
            return
        self._seen, self._told = stamp, ""
        for name in self._books.keys() | books.keys():
            if books.get(name) != self._books.get(name):
                self.on_text(name, books.get(name))
        self._books = books

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        try:
            file = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ShelfError(f"{error.filename}: {error.strerror}") from error
        try:
            for _ in range(round(LOCK_SECONDS_MAX / LOCK_LOOK_SECONDS)):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    await asyncio.sleep(LOCK_LOOK_SECONDS)
                else:
                    break
            else:
                raise ShelfError(f"{self._path}: another process holds the lock")
            yield
        finally:
            os.close(file)

    def _read(self) -> dict[str, bytes]:
        """Return every book as a text; none when there is no file. Raises ShelfError."""
        try:
            with self._path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            if self._books:
                raise ShelfError(f"{self._path} is gone, what it held stays in force") from None
            return {}
        except OSError as error:
            raise ShelfError(f"{self._path}: {error.strerror or error}") from error
        try:
            if len(text) > FILE_BYTES_MAX:
                raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
            books = json.loads(text)
            if not isinstance(books, dict):
                raise ValueError("no JSON object")
        except ValueError as error:
            raise ShelfError(f"{self._path}: {error}") from None
        return {name: json.dumps(book).encode() for name, book in books.items()}

    def _write(self, books: dict[str, bytes]) -> None:
        whole = {name: json.loads(book) for name, book in books.items()}
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(whole, file, ensure_ascii=False, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise ShelfError(f"{self._path}: {error.strerror or error}") from error


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
