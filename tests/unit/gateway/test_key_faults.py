"""What is wrong with keys, and how little it takes to say so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.key_faults import KeysError


def test_a_fault_says_what_is_wrong_and_what_would_be_right():
    fault = KeysError("the key set is no JSON", "write {}")
    assert str(fault) == "the key set is no JSON; write {}"
    assert (fault.reason, fault.remedy) == ("the key set is no JSON", "write {}")


@pytest.mark.slow
def test_who_makes_a_token_imports_nothing_of_what_judges_tokens():
    code = (
        "import sys; from gateway.commands.access import development_tokens; "
        "import gateway.tokens; "
        "print(sorted({'gateway.keys', 'gateway.members', 'structlog'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout == "[]\n"
