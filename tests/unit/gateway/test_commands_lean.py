"""A gateway leaves out what it has no use for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.commands.lean import without
from tests.support.gateways import ROOT


def told(program: str) -> str:
    """Return what a program says in an interpreter of its own."""
    line = [sys.executable, "-c", program]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_who_imports_within_the_block_finds_it_missing_and_who_does_later_finds_it() -> None:
    name = "this"
    assert name not in sys.modules, "it prints a poem when it is imported"
    with without(name), pytest.raises(ModuleNotFoundError):
        __import__(name)
    assert name not in sys.modules


def test_what_was_there_already_stays() -> None:
    with without("json"):
        import json
    assert sys.modules["json"] is json


def test_a_gateway_does_not_wait_for_rich_and_commands_still_have_it() -> None:
    program = (
        "import sys\n"
        "from gateway import cli\n"
        "try: cli.app(['gateway', '--set', 'engine.shards=0'])\n"
        "except SystemExit: pass\n"
        "print('structlog' in sys.modules, 'rich' in sys.modules)\n"
        "import rich.table\n"
    )
    assert told(program).split() == ["True", "False"]
