"""`llmx audit verify`: the first broken line, by its file and number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.telemetry.audit_file import AuditFile, AuditLimits, renamed

KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an audit of 60 lines in several files."""
    with AuditFile(tmp_path / "audit.jsonl", AuditLimits(file_bytes_max=4_000)) as audit:
        for number in range(60):
            audit.say(0.0, "admitted", {"agent": f"agent://bob-{number}"})
    return tmp_path


def files_in(folder: Path) -> list[Path]:
    path = folder / "audit.jsonl"
    return [*renamed(path), path]


def verified(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", "verify", *map(str, arguments)])
    return done.exit_code, done.output


def test_a_whole_audit_is_said_to_be_whole_whatever_the_order_of_its_files(folder: Path) -> None:
    for files in (files_in(folder), reversed(files_in(folder))):
        code, said = verified(*files)
        assert (code, said.partition(", sealed ")[0]) == (0, "60 lines are whole: 1 to 60")


def test_the_first_broken_line_is_named_with_its_file(folder: Path) -> None:
    broken = files_in(folder)[1]
    broken.write_bytes(broken.read_bytes().replace(b"bob-2", b"eve-2", 1))
    code, said = verified(*files_in(folder))
    assert code == 1
    assert said.startswith(f"{broken}, line ")
    assert "it was changed" in said and "nothing after it is proven" in said


def test_a_file_that_is_missing_breaks_the_chain_at_the_next_one(folder: Path) -> None:
    files = files_in(folder)
    code, said = verified(files[0], *files[2:])
    assert code == 1
    assert said.startswith(f"{files[2]}, line 1: ") and "lines are missing" in said


def test_where_the_beginning_is_missing_somebody_has_to_say_that_it_may(folder: Path) -> None:
    """It may have been removed because there were too many files, or to hide what stood there."""
    files = files_in(folder)
    there = json.loads(verified("--json", *files[1:])[1])
    assert (there["good"], there["last"]) == (False, 60)
    first = there["first"]
    code, said = verified(*files[1:])
    assert code == 1 and f"Lines 1 to {first - 1} are not in these files" in said
    assert f"--first {first}" in said
    assert verified(*files[1:], "--first", first)[0] == 0
    code, said = verified(*files[1:], "--first", first - 1)
    assert code == 1 and f"Lines {first - 1} to {first - 1} are" in said
    lines = files[0].read_bytes().splitlines(keepends=True)
    files[0].write_bytes(b"".join(lines[1:]))
    assert verified(*files)[0] == 1, "one line at the very beginning is enough"


def test_files_that_were_swapped_are_found_by_what_their_names_say(folder: Path) -> None:
    """The chain is whole, in another order than the names tell."""
    first, second, *_ = files_in(folder)
    aside = folder / "aside"
    first.rename(aside), second.rename(first), aside.rename(second)
    code, said = verified(*files_in(folder))
    assert code == 1 and said.startswith(f"{second}, line ") and "it was renamed" in said
    told = json.loads(verified("--json", *files_in(folder))[1])
    assert (told["kind"], told["file"]) == ("broken", str(second))


def test_a_full_file_without_its_last_lines_is_found_though_nothing_follows(folder: Path) -> None:
    """Its name says how many there were."""
    full = files_in(folder)[0]
    full.write_bytes(b"".join(full.read_bytes().splitlines(keepends=True)[:-1]))
    code, said = verified(full)
    assert code == 1 and "lines were removed" in said
    full.write_bytes(b"")
    code, said = verified(*files_in(folder))
    assert code == 1 and said.startswith(f"{full}, line 0: there is no line in it")


def test_what_a_crash_left_is_told_and_is_no_break(folder: Path) -> None:
    path = folder / "audit.jsonl"
    path.write_bytes(path.read_bytes() + b'{"n":61,"at"')
    code, said = verified(*files_in(folder))
    assert code == 0 and "cut short after 12 bytes" in said


def test_the_last_seal_proves_that_nothing_is_missing_at_the_end(folder: Path) -> None:
    path = folder / "audit.jsonl"
    said = json.loads(verified("--json", *files_in(folder))[1])
    assert (said["good"], said["last"]) == (True, 60)
    assert verified(*files_in(folder), "--seal", said["seal"])[0] == 0
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert verified(*files_in(folder))[0] == 0, "by the file alone it is not noticed"
    code, told = verified(*files_in(folder), "--seal", said["seal"])
    assert code == 1 and "missing" in told


def test_with_a_key_it_takes_the_key(tmp_path: Path) -> None:
    path, key = tmp_path / "audit.jsonl", tmp_path / "key"
    key.write_bytes(KEY)
    with AuditFile(path, AuditLimits(), KEY) as audit:
        audit.say(0.0, "started", {})
    assert verified(path, "--key", key)[0] == 0
    assert verified(path)[0] == 1
    assert verified(path, "--key", tmp_path / "none")[0] == 2


def test_programs_get_json(folder: Path) -> None:
    path = folder / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"agent", b"Agent", 1))
    code, said = verified("--json", *files_in(folder))
    told = json.loads(said)
    assert code == 1
    assert (told["kind"], told["file"], told["line"]) == ("broken", str(path), 1)


def test_what_is_no_audit_is_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert verified(empty)[0] == 1
    assert verified(tmp_path / "nowhere")[0] == 2
