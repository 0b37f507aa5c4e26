"""What docs/cluster.md shows runs as it is shown."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path

import pytest

from tests.support.gateways import ROOT, environment
from tests.support.typed import typed, typed_on

pytestmark = pytest.mark.slow

SECONDS_MAX = 60.0
LLMX = ".venv/bin/llmx "


def shown() -> list[list[str]]:
    """Return every command of ours that the page shows, in order, as words."""
    page = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    lines = re.findall(rf"^    {re.escape(LLMX)}(.*)$", page, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_the_page_can_be_followed_from_top_to_bottom(tmp_path: Path):
    up, agent, call, *rest = shown()
    assert [words[0] for words in (up, agent, call)] == ["up", "agent", "call"]
    ours = environment(tmp_path) | {"TMPDIR": str(tmp_path)}
    ours["LLMX_LIMITS__LINGER_SECONDS"] = "600"  # a machine may be slower than a reader
    with typed_on(ours, *up, "--json") as cluster:
        told = json.loads(cluster.until('"event": "ready"'))
        ours["LLMX_GATEWAY"] = told["addresses"]

        def said(*words: str) -> str:
            done = typed(ours, *words)
            assert (done.returncode, done.stderr) == (0, ""), (words, done.stdout)
            return done.stdout

        with typed_on(ours, *agent) as bob:
            bob.until("listens to topic://gpu")
            assert "agent://bob wins at 40" in said(*call)
            (listed,) = said("ctl", "negotiations", "--json").splitlines()
            known = {
                "ID": json.loads(listed)["negotiation_id"],
                "federation.etcd=127.0.0.1:2379": f"federation.etcd={told['etcd']['endpoint']}",
            }
            for words in rest:
                really = [known.get(word, word) for word in words]
                if words[0] == "gateway":
                    with typed_on(ours, *really) as joined:
                        joined.until("gateway eu-2 listens")
                        assert joined.ended(signal.SIGTERM)[0] == 0
                else:
                    said(*really)
            assert bob.ended(signal.SIGINT) == (0, "")
        assert cluster.ended(signal.SIGINT) == (0, "")
