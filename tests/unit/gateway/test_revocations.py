"""The file of tokens that count no longer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import revocations
from gateway.keys import KeysError
from gateway.revocations import LOOK_SECONDS, Revocations


class Reads:
    """Counts what a gateway does with the file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stats = self.opens = 0
        stat, open_ = Path.stat, Path.open

        def counted_stat(path: Path) -> object:
            self.stats += 1
            return stat(path)

        def counted_open(path: Path, mode: str, **more: Any) -> object:
            self.opens += mode == "rb"
            return open_(path, mode, **more)

        monkeypatch.setattr(Path, "stat", counted_stat)
        monkeypatch.setattr(Path, "open", counted_open)


def looking(file: Path) -> Revocations:
    """Return the revocations by a clock on which a second passes between any two looks."""
    return Revocations(file, count().__next__)


@pytest.fixture
def reads(file: Path) -> Iterator[Reads]:
    with pytest.MonkeyPatch.context() as patch:
        yield Reads(patch)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "revoked"
    file.write_text("one\n\n  two  # stolen\n# three\n")
    return file


def test_each_line_names_a_token(file: Path) -> None:
    revoked = Revocations(file)
    assert [name in revoked for name in ("one", "two", "three", "", "stolen")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert "2 tokens" in repr(revoked)


def test_a_change_is_noticed_at_the_next_look(file: Path) -> None:
    revoked = looking(file)
    assert "three" not in revoked
    with file.open("a") as stream:
        stream.write("three\n")
    assert "three" in revoked


def test_a_file_that_was_replaced_is_noticed_though_its_size_is_the_same(file: Path) -> None:
    revoked = looking(file)
    fresh = file.with_name("fresh")
    fresh.write_text(file.read_text().replace("one", "six"))
    fresh.replace(file)
    assert "six" in revoked
    assert "one" not in revoked


def test_a_file_that_has_gone_forgets_nobody(file: Path) -> None:
    revoked = looking(file)
    file.unlink()
    assert "one" in revoked
    file.write_text("two\n")
    assert "one" not in revoked


def test_a_file_that_cannot_be_read_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="No such file"):
        Revocations(tmp_path / "revoked")


def test_a_file_that_grows_too_large_keeps_what_was_in_force(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "REVOKED_MAX", 3)
    revoked = looking(file)
    file.write_text("a\nb\nc\nd\n")
    assert "one" in revoked
    assert "a" not in revoked
    with pytest.raises(KeysError, match="more than"):
        Revocations(file)


def test_the_file_is_looked_at_once_a_second_however_many_sessions_ask(
    file: Path, reads: Reads
) -> None:
    now = 100.0
    revoked = Revocations(file, lambda: now)
    reads.stats = 0
    for _ in range(1_000):
        assert "three" not in revoked
    file.write_text("three\n")
    reads.stats = 0
    now += LOOK_SECONDS - 0.01
    assert "three" not in revoked
    assert reads.stats == 0
    now += 0.01
    assert [name in revoked for name in ("three", "one", "two")] == [True, False, False]
    assert reads.stats == 1
    assert LOOK_SECONDS <= 1


def test_a_file_over_its_limit_is_read_and_told_once_for_each_change(
    file: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "FILE_BYTES_MAX", 64)
    revoked = looking(file)
    file.write_text("x" * 65)
    reads.opens = 0
    with capture_logs() as logs:
        assert ["one" in revoked for _ in range(10)] == [True] * 10
        assert (reads.opens, len(logs)) == (1, 1)
        file.write_text("y" * 66)
        reads.opens = 0
        assert ["one" in revoked for _ in range(10)] == [True] * 10
        assert (reads.opens, len(logs)) == (1, 2)
    file.write_text("six\n")
    assert "six" in revoked and "one" not in revoked


def test_a_file_that_is_missing_is_told_once_each_time_it_goes(file: Path) -> None:
    revoked = looking(file)
    away = file.with_name("away")
    with capture_logs() as logs:
        for times in (1, 2):
            file.rename(away)
            assert ["one" in revoked for _ in range(10)] == [True] * 10
            assert len(logs) == times
            away.rename(file)
            assert "one" in revoked
    assert {log["event"] for log in logs} == {"revocations_not_read"}


def test_a_file_that_could_not_be_read_is_tried_again_though_it_has_not_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the gateway was out of file descriptors for a moment."""
    revoked = looking(file)
    file.write_text("six\n")

    def refuse(path: Path, mode: str) -> None:
        raise OSError(24, "Too many open files")

    with capture_logs() as logs, monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert ["six" in revoked for _ in range(10)] == [False] * 10
    assert len(logs) == 1
    assert "six" in revoked
