"""`llmx policy` and `llmx agents`, as far as they go without a gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.commands.control import list_policies, profile_of
from gateway.commands.trouble import CommandError


def test_a_profile_starts_from_a_shipped_one():
    profile = profile_of("night", '{"profile": "flow/medium", "quorum": 3}')
    assert (profile.name, profile.quorum.count, profile.select) == ("night", 3, "best")
    assert profile.window.seconds == 5


def test_a_profile_can_stand_in_a_file(tmp_path: Path):
    file = tmp_path / "night.json"
    file.write_text(json.dumps({"quorum": "all", "confirm": True}))
    profile = profile_of("night", str(file))
    assert profile.quorum.all and profile.confirm


@pytest.mark.parametrize("parameters", ['{"quorum": -1}', '{"quorom": 1}', '{"profile": "x"}'])
def test_a_profile_that_cannot_be_says_what_could(parameters: str):
    with pytest.raises(CommandError) as caught:
        profile_of("night", parameters)
    assert "use " in str(caught.value)


def test_a_gateway_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert list_policies("127.0.0.1:1", "a.b.c") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "llmx gateway" in said
