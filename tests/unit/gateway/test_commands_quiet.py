"""Ctrl-C before a command runs."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from gateway.commands.quiet import is_command


def test_only_the_command_line_of_llmx_is_made_quiet():
    assert is_command("/opt/venv/bin/llmx")
    assert is_command("llmx")
    assert is_command("C:\\venv\\Scripts\\llmx.exe")
    assert is_command("/srv/llm-x/gateway/cli.py")
    assert not is_command("/srv/llm-x/.venv/bin/pytest")
    assert not is_command("cli.py")
    assert not is_command("")


@pytest.mark.slow
def test_ctrl_c_during_the_imports_ends_the_process_without_a_word():
    code = (
        "import sys, signal; sys.argv[0] = '/opt/bin/llmx'; import gateway.commands.quiet; "
        "print('ready', flush=True); signal.pause()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
        assert process.stderr.read() == b""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "given", "level"),
    [
        (["call"], {}, "NONE"),
        (["call"], {"GRPC_VERBOSITY": "INFO"}, "INFO"),
        (["gateway"], {}, "ERROR"),
        (["demo-cluster"], {}, "ERROR"),
    ],
)
def test_the_log_of_grpc_is_off_in_commands_that_do_not_serve(
    words: list[str], given: dict[str, str], level: str
):
    """What a command says on standard error is one line."""
    code = (
        f"import os, sys; sys.argv[:] = ['/opt/bin/llmx', *{words}]; "
        "import gateway.commands.quiet; print(os.environ.get('GRPC_VERBOSITY', ''))"
    )
    env = {"PYTHONPATH": ":".join(filter(None, sys.path)), **given}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert done.stdout.decode().strip() == level
