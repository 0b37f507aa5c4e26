"""How the file of the store is opened, and what an operator hears when it cannot be."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.settings import SettingsError
from gateway.store_file import APPLICATION_ID, SCHEMA_VERSION, open_store_file


def problem(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        open_store_file(path, lock_seconds=0)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_new_file_is_made_and_a_known_one_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = open_store_file(path)
    first.execute("INSERT INTO members VALUES ('k', x'01')")
    first.close()
    second = open_store_file(path, fsync=False)
    assert second.execute("SELECT key FROM members").fetchall() == [("k",)]
    assert second.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert second.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    second.close()


def test_every_commit_reaches_the_disk_unless_the_operator_wants_speed(tmp_path: Path) -> None:
    for fsync, level in ((True, 2), (False, 1)):
        connection = open_store_file(tmp_path / f"{level}.db", fsync=fsync)
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        connection.close()


def test_a_file_in_use_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = open_store_file(path)
    assert "has it open" in problem(path)
    first.close()
    open_store_file(path).close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk\n" * 100)
    assert "no store of a gateway" in problem(path)
    assert path.read_text() == "remember the milk\n" * 100


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE milk (bought TEXT)")
    other.close()
    assert "another program" in problem(path)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("milk",)]
    other.close()


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = open_store_file(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "version 99" in problem(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = open_store_file(path)
    connection.execute("BEGIN")
    for number in range(200):
        connection.execute(
            "INSERT INTO parcels VALUES (?, 'o', 0, zeroblob(100), zeroblob(3000))", (number,)
        )
    connection.execute("COMMIT")
    connection.close()
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 12288)
    path.write_bytes(content)
    assert "damaged" in problem(path)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "directory" in problem(tmp_path / "nowhere" / "store.db")
    assert "directory" in problem(tmp_path)


def test_nobody_else_may_read_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = open_store_file(path)
    connection.execute("INSERT INTO members VALUES ('k', x'01')")
    assert {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {
        "store.db": 0o600,
        "store.db-wal": 0o600,
    }
    connection.close()
