"""The file of an audit, and the one thread that writes it.

Whoever has something to say puts it into a bounded queue and goes on. The thread seals what waits
and appends it in one write; the disk is flushed when `flush_seconds` have passed, and at the end.

- *At the bound* of the queue what is said is lost, and counted; as soon as there is room a line
  of the kind `lost` says how many there were, so the audit itself tells where it has a gap.
- *A disk that fails* leaves the lines waiting; it is tried again each second, and the log says so
  once a minute. What was written in part is taken back first.
- *A crash in the middle of a line* leaves a torn one. The next start takes it off, and says so in
  a line of the kind `recovered` and in the log. What the queue held then is gone.
- *A file that is full* is renamed to `<name>-<number of its last line>`, and the chain goes on in
  a new one. Of the renamed ones the oldest are removed, if there is a bound.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.clock import iso_text
from gateway.settings import SettingsError
from gateway.telemetry.audit_chain import LINE_BYTES_MAX, Head, read, sealed

log = structlog.get_logger("llmx.audit")

BATCH_MAX = 1_000
"""Lines in one write."""
RETRY_SECONDS = 1.0
COMPLAIN_SECONDS = 60.0
KEY_BYTES_MIN = 32

Said = tuple[float, str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """The bounds of an audit."""

    file_bytes_max: int = 64 * 1024 * 1024
    files_max: int | None = None
    flush_seconds: float | None = 1.0
    waiting_max: int = 100_000


class AuditFile:
    """Appends sealed lines. Use it as a context manager."""

    def __init__(self, path: Path, limits: AuditLimits, key: bytes | None = None) -> None:
        """Go on where the file ends; raises SettingsError when that cannot be."""
        self._path = path
        self._limits = limits
        self._key = key
        self._waiting: deque[Said] = deque()
        self._wake = threading.Event()
        self._is_ending = False
        self._thread: threading.Thread | None = None
        self._lost_since = 0
        self._complain_at = 0.0
        self.lines = 0
        """Lines written since the start."""
        self.lost = 0
        """Lines for which there was no room."""
        self.failures = 0
        """Writes that the disk did not take."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"telemetry.audit={path}: {error.strerror}; name a file in a folder that is"
            raise SettingsError(f"{reason} there, and can be written to") from error
        try:
            self._lock()
            self._size, self.head, torn = self._end()
        except SettingsError:
            os.close(self._file)
            raise
        self._flushed_at = time.monotonic()
        self._is_flushed = True
        if torn:
            log.warning("the audit ended in the middle of a line", file=str(path), bytes=torn)
            self.say(time.time(), "recovered", {"torn_bytes": torn})

    def __len__(self) -> int:
        """Return how many lines wait."""
        return len(self._waiting)

    def say(self, at: float, kind: str, said: Mapping[str, object]) -> None:
        """Have a line written; never waits."""
        if len(self._waiting) >= self._limits.waiting_max:
            self.lost += 1
            self._lost_since += 1
            return
        if self._lost_since:
            missed, self._lost_since = self._lost_since, 0
            self._waiting.append((at, "lost", {"lines": missed}))
        self._waiting.append((at, kind, said))
        if not self._wake.is_set():
            self._wake.set()

    def __enter__(self) -> AuditFile:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="llmx-audit", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, flush it and close the file."""
        self._is_ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        os.close(self._file)
        head, unwritten = self.head, len(self._waiting)
        log.info(
            "audit ends",
            file=str(self._path),
            line=head.number,
            seal=head.seal,
            unwritten=unwritten,
        )

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(
                f"telemetry.audit={self._path}: another gateway writes it; each needs its own"
            ) from None

    def _end(self) -> tuple[int, Head, int]:
        """Return size and head of the file without a torn last line, and that one's size."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, 2 * LINE_BYTES_MAX, max(0, size - 2 * LINE_BYTES_MAX))
        whole, newline, torn = tail.rpartition(b"\n")
        if torn:
            size -= len(torn)
            os.ftruncate(self._file, size)
        if not newline:
            return size, self._head_of_older(), len(torn)
        last = whole.rpartition(b"\n")[2] + b"\n"
        return size, self._head_in(last, self._path), len(torn)

    def _head_of_older(self) -> Head:
        """Return where the newest renamed file ends, for one that was renamed before a crash."""
        older = renamed(self._path)
        if not older:
            return Head()
        with older[-1].open("rb") as file:
            file.seek(max(0, older[-1].stat().st_size - LINE_BYTES_MAX))
            last = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2] + b"\n"
        return self._head_in(last, older[-1])

    def _head_in(self, last: bytes, file: Path) -> Head:
        said, fault = read(last, self._key)
        if said is None:
            raise SettingsError(
                f"telemetry.audit={self._path}: the last line of {file} cannot be gone on from, "
                f"{fault}; look at it with `llmx audit verify`, and name another file"
            )
        return Head(said["n"], said["seal"])

    def _run(self) -> None:
        while True:
            self._wake.wait(self._patience())
            self._wake.clear()
            try:
                while self._waiting:
                    self._write_batch()
                self._flush()
            except OSError as error:
                self._complain(error)
                if self._is_ending:
                    return
                self._wake.clear()
                time.sleep(RETRY_SECONDS)
                self._wake.set()
                continue
            if self._is_ending and not self._waiting:
                return

    def _patience(self) -> float | None:
        """Return for how long nothing need be done; None: until something is said."""
        if self._is_flushed or self._limits.flush_seconds is None:
            return None
        return max(0.0, self._flushed_at + self._limits.flush_seconds - time.monotonic())

    def _write_batch(self) -> None:
        count = min(len(self._waiting), BATCH_MAX)
        head, lines, size = self.head, [], self._size
        for index in range(count):
            at, kind, said = self._waiting[index]
            line, head = sealed(head, iso_text(at), kind, said, self._key)
            lines.append(line)
            size += len(line)
            if size >= self._limits.file_bytes_max:
                break
        batch = b"".join(lines)
        written = os.pwrite(self._file, batch, self._size)
        if written < len(batch):
            os.ftruncate(self._file, self._size)
            raise OSError(f"{written} of {len(batch)} bytes were taken")
        self._size, self.head, self._is_flushed = size, head, False
        for _ in lines:
            self._waiting.popleft()
        self.lines += len(lines)
        if size >= self._limits.file_bytes_max:
            self._rotate()

    def _flush(self) -> None:
        patience = self._limits.flush_seconds
        if self._is_flushed or (patience is None and not self._is_ending):
            return
        if self._is_ending or time.monotonic() >= self._flushed_at + (patience or 0.0):
            os.fsync(self._file)
            self._flushed_at, self._is_flushed = time.monotonic(), True

    def _rotate(self) -> None:
        """Go on in a new file."""
        os.fsync(self._file)
        older = self._path.with_name(f"{self._path.name}-{self.head.number:012d}")
        self._path.rename(older)
        try:
            fresh = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            older.rename(self._path)  # it goes on there, and is renamed after the next batch
            raise
        os.close(self._file)
        self._file, self._size = fresh, 0
        self._lock()
        log.info("audit goes on", file=str(older), line=self.head.number, seal=self.head.seal)
        if self._limits.files_max is not None:
            for oldest in renamed(self._path)[: -self._limits.files_max]:
                oldest.unlink()

    def _complain(self, error: OSError) -> None:
        self.failures += 1
        if time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + COMPLAIN_SECONDS
            log.error("the audit cannot be written", error=str(error), waiting=len(self._waiting))


def renamed(path: Path) -> list[Path]:
    """Return the full files of an audit, oldest first."""
    prefix = f"{path.name}-"
    return sorted(
        one
        for one in path.parent.iterdir()
        if one.name.startswith(prefix) and one.name[len(prefix) :].isdigit()
    )


def key_in(file: Path | None) -> bytes | None:
    """Return the key that a file holds; raises SettingsError when it cannot be one."""
    if file is None:
        return None
    key, why = b"", ""
    try:
        key = file.read_bytes()
    except OSError as error:
        why = f"{error.strerror or error}; "
    if len(key) < KEY_BYTES_MIN:
        raise SettingsError(
            f"telemetry.audit_key_file={file}: {why}must hold a key of {KEY_BYTES_MIN} bytes or "
            f"more, for example of: head -c {KEY_BYTES_MIN} /dev/urandom"
        )
    return key
