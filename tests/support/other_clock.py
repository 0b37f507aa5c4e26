"""Another wall clock for a gateway, which jumps when it is told to.

The time of the machine belongs to everybody on it, and Linux has namespaces for the monotonic
clocks only. So a gateway under test is started with a `time.time` that adds what a file says.
That is the one way in which the product reads the wall clock; `datetime.now`, which it does
not use, would still tell the true time.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tests.support.gateways import ROOT

SHIM = Path(__file__).with_name("clock_shim")


class OtherClock:
    """The wall clock of one gateway and its workers."""

    def __init__(self, file: Path) -> None:
        """Keep how far it is ahead in `file`; at first it tells the true time."""
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(struct.pack("d", 0.0))

    @property
    def variables(self) -> dict[str, str]:
        """Return what the environment of a program must say to have this clock."""
        folders = (SHIM, ROOT, ROOT / "client")
        return {
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "OTHER_CLOCK_FILE": str(self._file),
        }

    def jump(self, ahead: float) -> None:
        """Be so many seconds ahead of the true time from now on; negative is behind."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("d", ahead))
