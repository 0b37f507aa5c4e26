"""JSON that a person wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.commands.json_files import (
    FILE_BYTES_MAX,
    check_members,
    parse_object,
    policy_of,
    read_object,
)
from gateway.commands.trouble import USAGE, CommandError


def complaint(path: Path, text: bytes) -> str:
    """Return why a file with this text is no good."""
    path.write_bytes(text)
    with pytest.raises(CommandError) as caught:
        read_object(path)
    assert caught.value.code == USAGE
    return str(caught.value)


def test_an_object_is_read_as_it_is(tmp_path: Path):
    path = tmp_path / "call.json"
    path.write_text('{"task": "é", "reply_within": 5}', "utf-8")
    assert read_object(path) == {"task": "é", "reply_within": 5}


def test_a_mistake_is_found_where_it_stands(tmp_path: Path):
    said = complaint(tmp_path / "call.json", b'{"reply_within": 5,\n "task": }')
    assert "call.json, line 2, column 10" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[1]", "no JSON object"),
        (b'{"a": 1, "a": 2}', '"a" stands twice'),
        (b'{"a": NaN}', "JSON has no NaN"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b" " * (FILE_BYTES_MAX + 1), "more than"),
    ],
)
def test_what_is_not_plain_json_is_named(tmp_path: Path, text: bytes, said: str):
    assert said in complaint(tmp_path / "call.json", text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(CommandError) as caught:
        read_object(tmp_path / "nowhere.json")
    assert "nowhere.json: No such file" in str(caught.value)


def test_an_unknown_member_brings_the_nearest_known_one():
    with pytest.raises(CommandError) as caught:
        check_members({"stratgy": 1}, ("agent", "strategy"), "bob.json")
    assert str(caught.value) == 'bob.json: there is no "stratgy"; did you mean "strategy"?'


def test_a_policy_is_a_name_or_an_object():
    assert policy_of("flow/high") == "flow/high"
    assert policy_of(' {"quorum": 2}') == {"quorum": 2}
    with pytest.raises(CommandError):
        policy_of("{quorum}")
    assert parse_object(b"{}", "x") == {}
