"""The file of tokens that count no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import revocations
from gateway.keys import KeysError
from gateway.revocations import Revocations


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
    revoked = Revocations(file)
    assert "three" not in revoked
    with file.open("a") as stream:
        stream.write("three\n")
    assert "three" in revoked


def test_a_file_that_was_replaced_is_noticed_though_its_size_is_the_same(file: Path) -> None:
    revoked = Revocations(file)
    fresh = file.with_name("fresh")
    fresh.write_text(file.read_text().replace("one", "six"))
    fresh.replace(file)
    assert "six" in revoked
    assert "one" not in revoked


def test_a_file_that_has_gone_forgets_nobody(file: Path) -> None:
    revoked = Revocations(file)
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
    revoked = Revocations(file)
    file.write_text("a\nb\nc\nd\n")
    assert "one" in revoked
    assert "a" not in revoked
    with pytest.raises(KeysError, match="more than"):
        Revocations(file)
