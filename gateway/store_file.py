"""The file of the durable store: its tables, and how it is opened or refused.

SQLite in WAL mode, by the standard library: one file beside the gateway, no server, and a
commit survives kill -9 and, with `synchronous=FULL`, a power cut. The file belongs to one
gateway at a time: the lock is held as long as the connection lives, and the operating system
lets it go when the process dies. Every table is small words around values that other modules
encode; what they mean is said in `mailbox` and `journal`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.settings import MailboxSettings, SettingsError
from gateway.store import Store

APPLICATION_ID = 0x4C4C4D58
"""LLMX, in the header of the file: it is ours."""
SCHEMA_VERSION = 1
LOCK_SECONDS_MAX = 2.0
"""How long another gateway may take to let go of the file, in a restart for example."""

SCHEMA = """
CREATE TABLE members (key TEXT PRIMARY KEY, registration BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE admitted (key TEXT PRIMARY KEY, opened TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX admitted_at ON admitted (at);
CREATE TABLE parcels (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    place INTEGER NOT NULL,
    head BLOB NOT NULL,
    envelope BLOB NOT NULL
);
CREATE TABLE negotiations (id TEXT PRIMARY KEY, opening BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    negotiation TEXT NOT NULL,
    number INTEGER NOT NULL,
    event BLOB NOT NULL,
    PRIMARY KEY (negotiation, number)
) WITHOUT ROWID;
"""


@asynccontextmanager
async def running_store(settings: MailboxSettings) -> AsyncIterator[Store | None]:
    """Run the store that the settings ask for, or none, until the block ends."""
    if settings.file is None:
        yield None
        return
    connection = open_store_file(settings.file, fsync=settings.fsync)
    store = Store(connection, file_bytes_max=settings.file_bytes_max)
    store.start()
    try:
        yield store
    finally:
        await store.close()


def open_store_file(
    path: Path, *, fsync: bool = True, lock_seconds: float = LOCK_SECONDS_MAX
) -> sqlite3.Connection:
    """Return the only connection to the store at `path`, made if need be.

    Raises SettingsError when the file cannot be ours: it is another program's, a later
    version's, damaged, in use by another gateway, or in a place where nothing can be written.
    """
    remedy = "name a file that this user may write, in a directory that exists"
    try:
        if not path.exists():
            path.touch(mode=0o600)  # what agents tell each other is for this user's eyes
        connection = sqlite3.connect(
            path, timeout=lock_seconds, isolation_level=None, check_same_thread=False
        )
    except OSError as error:
        raise _unusable(path, error.strerror or str(error), remedy) from error
    except sqlite3.Error as error:
        raise _unusable(path, str(error), remedy) from error
    try:
        _prepare(connection, path, fsync=fsync)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _translated(path, error) from error
    except SettingsError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, fsync: bool) -> None:
    # Exclusive before the first look: then the lock is kept, and WAL needs no shared memory.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and application != APPLICATION_ID:
        raise _unusable(path, "it is a database of another program", "name another file")
    if tables and version != SCHEMA_VERSION:
        raise _unusable(
            path,
            f"it has version {version}, and this gateway writes version {SCHEMA_VERSION}",
            "use the gateway that wrote it, or name another file",
        )
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise _unusable(path, "the file system cannot hold a WAL", "name a file on a local disk")
    connection.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
    # Taken now and kept: a second gateway is refused at its start, not at its first write.
    connection.execute("BEGIN IMMEDIATE")
    if not tables:
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _unusable(path, "it is damaged", _KEEP)


_KEEP = "keep it for whoever repairs it, and name another file"


def _translated(path: Path, error: sqlite3.DatabaseError) -> SettingsError:
    """Return what an operator is told of an error while opening."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more of the same
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return _unusable(
                path, "another gateway, or a program, has it open", "end that, or name another file"
            )
        case sqlite3.SQLITE_NOTADB:
            return _unusable(path, "it is no store of a gateway", "name another file")
        case sqlite3.SQLITE_CORRUPT:
            return _unusable(path, "it is damaged", _KEEP)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return _unusable(path, "it cannot be written", "let this user write it")
        case _:
            return _unusable(path, str(error), "make room there, or name another file")


def _unusable(path: Path, reason: str, remedy: str) -> SettingsError:
    return SettingsError(f"mailbox.file={path}: {reason}; {remedy}")
