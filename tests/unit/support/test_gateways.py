"""A gateway that a test started ends with the process of the test, however that ends."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateways import ROOT, is_running

pytestmark = pytest.mark.slow

END_SECONDS_MAX = 10.0
STARTER = """
import sys
import threading
from pathlib import Path
from tests.support.gateways import known_issuer, launched

found = []
folder, issuer = Path(sys.argv[1]), known_issuer()
starter = threading.Thread(target=lambda: found.append(launched(folder, issuer, {})))
starter.start()
starter.join()
print(found[0].announced().pid, flush=True)
threading.Event().wait()
"""


def test_a_gateway_does_not_outlive_whoever_started_it_and_was_killed(tmp_path: Path) -> None:
    """It was started by a thread that is over; the process is what counts."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        end = os.pidfd_open(pid)
        assert is_running(pid)
        worker.kill()
    try:
        select.select([end], [], [], END_SECONDS_MAX)
        assert not is_running(pid)
    finally:
        os.close(end)
