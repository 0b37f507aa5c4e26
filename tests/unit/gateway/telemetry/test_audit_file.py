"""The file of an audit: crashes, bounds, full disks, other writers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from gateway.settings import SettingsError
from gateway.telemetry import audit_file
from gateway.telemetry.audit_chain import read, verify
from gateway.telemetry.audit_file import AuditFile, AuditLimits, key_in, renamed

KEY = b"k" * 32
ROOT = Path(__file__).resolve().parents[4]
PATH = f"{ROOT}{os.pathsep}{ROOT / 'client'}"


def lines_of(*files: Path) -> list[bytes]:
    return [line for file in files for line in file.read_bytes().splitlines(keepends=True)]


def kinds(path: Path) -> list[str]:
    told = [read(line, None)[0] for line in lines_of(path)]
    return [str(one["kind"]) for one in told if one is not None]


def say(path: Path, *kinds: str, limits: AuditLimits | None = None) -> AuditFile:
    """Say things, and end."""
    with AuditFile(path, limits or AuditLimits()) as audit:
        for kind in kinds:
            audit.say(0.0, kind, {"agent": "agent://bob"})
    return audit


def test_what_is_said_is_written_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = say(path, *(f"k{n}" for n in range(1_100)))  # more than one batch
    assert kinds(path) == [f"k{n}" for n in range(1_100)]
    assert (audit.lines, len(audit), audit.lost) == (1_100, 0, 0)
    assert verify(lines_of(path), None).head == audit.head
    assert path.stat().st_mode & 0o077 == 0, "it is nobody else's business"


def test_the_next_life_goes_on_with_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for life in ("a", "b", "c"):
        say(path, life)
    assert kinds(path) == ["a", "b", "c"]
    assert verify(lines_of(path), None).lines == 3


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_line_that_was_cut_short_is_taken_off_and_told(tmp_path: Path, left: int) -> None:
    path = tmp_path / "audit.jsonl"
    say(path, "a", "b")
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    torn = last[:left]
    path.write_bytes(whole[: -len(last)] + torn)
    with capture_logs() as logs:
        say(path, "c")
    assert kinds(path) == ["a", "recovered", "c"]
    assert verify(lines_of(path), None).lines == 3
    said, _ = read(lines_of(path)[1], None)
    assert said is not None and said["torn_bytes"] == len(torn)
    assert [log["bytes"] for log in logs if log["log_level"] == "warning"] == [len(torn)]


def test_of_a_long_line_that_was_cut_short_nothing_stays(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    say(path, "a")
    path.write_bytes(path.read_bytes() + b'{"n":2,"kind":"' + b"x" * 5_000)
    say(path)
    assert kinds(path) == ["a", "recovered"]
    assert verify(lines_of(path), None).torn_bytes == 0


def test_a_first_line_that_was_cut_short_leaves_nothing_to_go_on_from(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"n":1,"at":')
    say(path, "a")
    assert kinds(path) == ["recovered", "a"]


def test_an_audit_that_was_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    """It would hide where it was changed behind lines that are whole."""
    path = tmp_path / "audit.jsonl"
    say(path, "a", "b")
    path.write_bytes(path.read_bytes().replace(b'"kind":"b"', b'"kind":"x"'))
    with pytest.raises(SettingsError, match="llmx audit verify"):
        AuditFile(path, AuditLimits())
    with pytest.raises(SettingsError, match="another key"):
        AuditFile(path, AuditLimits(), KEY)


def test_two_gateways_do_not_write_one_audit(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with (
        AuditFile(path, AuditLimits()),
        pytest.raises(SettingsError, match="another gateway writes it"),
    ):
        AuditFile(path, AuditLimits())


def test_a_file_that_is_full_is_renamed_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    say(path, *(f"k{n}" for n in range(100)), limits=AuditLimits(file_bytes_max=5_000))
    older = renamed(path)
    assert len(older) > 2
    assert verify(lines_of(*older, path), None).lines == 100
    last, _ = read(lines_of(older[0])[-1], None)
    assert last is not None
    assert older[0].name == f"audit.jsonl-{last['n']:012d}"
    say(path, "more")
    assert verify(lines_of(*older, path), None).lines == 101


def test_a_crash_between_two_files_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    say(path, "a", "b")
    older = tmp_path / "audit.jsonl-000000000002"
    path.rename(older)
    say(path, "c")
    assert verify(lines_of(older, path), None).lines == 3


def test_an_audit_that_finds_no_place_for_another_file_goes_on_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_file, "RETRY_SECONDS", 0.0)
    path, opened, tries = tmp_path / "audit.jsonl", os.open, iter(range(3))

    def crowded(file: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_EXCL and next(tries, None) is not None:
            raise OSError(24, "Too many open files")
        return opened(file, flags, mode)

    monkeypatch.setattr(audit_file.os, "open", crowded)
    limits = AuditLimits(file_bytes_max=5_000)
    with AuditFile(path, limits) as audit:
        for number in range(100):
            audit.say(0.0, f"k{number}", {"agent": "agent://bob"})
        while len(audit):
            threading.Event().wait(0.001)
    assert audit.failures == 3
    found = verify(lines_of(*renamed(path), path), None)
    assert (found.lines, found.fault) == (100, "")
    assert len(renamed(path)) > 1
    for file in renamed(path):
        last, _ = read(lines_of(file)[-1], None)
        assert last is not None and file.name == f"audit.jsonl-{last['n']:012d}"


def test_of_renamed_files_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    (tmp_path / "audit.jsonl-notes").write_text("somebody's own")
    limits = AuditLimits(file_bytes_max=5_000, files_max=2)
    audit = say(path, *(f"k{n}" for n in range(100)), limits=limits)
    older = renamed(path)
    assert len(older) == 2
    found = verify(lines_of(*older, path), None)
    assert not found.fault and found.first > 1 and found.head == audit.head
    assert (tmp_path / "audit.jsonl-notes").exists()


def test_what_finds_no_room_is_counted_and_the_audit_tells_of_its_gap(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditFile(path, AuditLimits(waiting_max=3))
    for number in range(10):  # nobody writes yet
        audit.say(0.0, f"k{number}", {})
    assert (len(audit), audit.lost) == (3, 7)
    with audit:
        while len(audit):
            threading.Event().wait(0.001)  # for the thread
        audit.say(0.0, "after", {})
    assert kinds(path) == ["k0", "k1", "k2", "lost", "after"]
    said, _ = read(lines_of(path)[3], None)
    assert said is not None and said["lines"] == 7


def test_a_disk_that_fails_is_tried_again_and_nothing_is_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_file, "RETRY_SECONDS", 0.0)
    path = tmp_path / "audit.jsonl"
    pwrite, left = os.pwrite, iter((0, 30, OSError(28, "No space left on device")))

    def full(file: int, data: bytes, offset: int) -> int:
        taken = next(left, None)
        if taken is None:
            return pwrite(file, data, offset)
        if isinstance(taken, OSError):
            raise taken
        return pwrite(file, data[:taken], offset)

    monkeypatch.setattr(audit_file.os, "pwrite", full)
    with capture_logs() as logs, AuditFile(path, AuditLimits()) as audit:
        audit.say(0.0, "a", {})
        while not audit.lines:
            threading.Event().wait(0.001)
        audit.say(0.0, "b", {})
    assert kinds(path) == ["a", "b"]
    assert (audit.failures, audit.lost) == (3, 0)
    complaints = [log for log in logs if log["log_level"] == "error"]
    assert len(complaints) == 1 and "30 of" not in complaints[0]["error"]


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 2, 9), (None, 1, 1), (3600.0, 1, 1)])
def test_the_disk_is_flushed_as_the_settings_say_and_at_the_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float | None,
    least: int,
    most: int,
) -> None:
    fsync, flushed = os.fsync, []
    monkeypatch.setattr(audit_file.os, "fsync", lambda file: (flushed.append(file), fsync(file))[1])
    with AuditFile(tmp_path / "audit.jsonl", AuditLimits(flush_seconds=seconds)) as audit:
        for number in (1, 2):
            audit.say(0.0, "a", {})
            while audit.lines < number:
                threading.Event().wait(0.001)
    assert least <= len(flushed) <= most


def test_where_it_ends_is_logged_to_be_compared_with(tmp_path: Path) -> None:
    """Lines that are missing at the end are not noticed otherwise."""
    with capture_logs() as logs:
        audit = say(tmp_path / "audit.jsonl", "a")
    ended = logs[-1]
    assert (ended["event"], ended["line"], ended["seal"]) == ("audit ends", 1, audit.head.seal)
    assert structlog.get_config()


def test_a_file_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"telemetry.audit=.*name a file"):
        AuditFile(tmp_path / "nowhere" / "audit.jsonl", AuditLimits())


def test_a_key_has_enough_bytes(tmp_path: Path) -> None:
    assert key_in(None) is None
    file = tmp_path / "key"
    for content in (None, b"short"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(SettingsError, match="32 bytes or more"):
            key_in(file)
    file.write_bytes(KEY)
    assert key_in(file) == KEY


WRITER = """
import itertools, sys, threading
from pathlib import Path
from gateway.telemetry.audit_file import AuditFile, AuditLimits
with AuditFile(Path(sys.argv[1]), AuditLimits(file_bytes_max=100_000)) as audit:
    for number in itertools.count():
        audit.say(0.0, "admitted", {"agent": "agent://bob", "number": number})
        while len(audit) > 50:
            threading.Event().wait(0.001)
        if number == 1_500:
            print("much is written", flush=True)
"""


@pytest.mark.slow
def test_kill_9_leaves_a_chain_that_is_gone_on_with(tmp_path: Path) -> None:
    """In the middle of whatever it does: a write, a rename, a new file."""
    path = tmp_path / "audit.jsonl"
    whole = 0
    for _ in range(2):
        line = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, env={"PYTHONPATH": PATH}) as writer:
            assert writer.stdout is not None and writer.stdout.readline()
            writer.kill()
        found = verify(lines_of(*renamed(path), *([path] if path.exists() else [])), None)
        assert not found.fault and found.lines > whole
        whole = found.lines
    say(path, "after")
    found = verify(lines_of(*renamed(path), path), None)
    assert not found.fault and not found.torn_bytes
    assert kinds(path)[-1] == "after"
