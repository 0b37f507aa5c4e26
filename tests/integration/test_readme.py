"""What the README shows runs as it is shown."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

import llmx
from tests.support.gateways import ROOT, Gateway, environment

TENANT = "readme"  # so that nobody else listens to its topic


def _shown_agent() -> str:
    found = re.search(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, "the README shows an agent"
    return found[1]


@pytest.mark.slow
async def test_the_agent_of_the_readme_negotiates_and_ends_on_ctrl_c(
    gateway: Gateway, tmp_path: Path
) -> None:
    file = tmp_path / "bob.py"
    file.write_text(_shown_agent(), "utf-8")
    surroundings = {
        **environment(gateway.folder),
        "LLMX_GATEWAY": gateway.address,
        "LLMX_TOKEN": gateway.token("bob", tenant=TENANT),
        "PYTHONUNBUFFERED": "1",
    }
    bob = await asyncio.create_subprocess_exec(
        sys.executable, str(file), env=surroundings, stdout=PIPE, stderr=PIPE
    )
    assert bob.stdout is not None, "it was started with a pipe"
    try:
        token = gateway.token("alice", tenant=TENANT)
        async with llmx.Agent("agent://alice", gateway.address, token=token) as alice:
            while not await alice.control.list_agents("gpu"):
                assert bob.returncode is None, "it ended before it listened"
            outcome = await alice.call({"reply_within": 20}, to="topic://gpu", policy="high")
        told = await bob.stdout.readline()
    finally:
        if bob.returncode is None:
            bob.send_signal(signal.SIGINT)
        _, complaints = await bob.communicate()
    assert outcome.winner is not None
    assert (outcome.winner.agent, outcome.winner.price) == ("agent://bob", 40)
    assert told == b"won at 40.0\n"
    assert (bob.returncode, complaints) == (0, b"")
