"""Gives a Python program another wall clock; `tests.support.other_clock` says how and why.

Python imports this before the program, because its folder comes first on PYTHONPATH.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

with open(os.environ["OTHER_CLOCK_FILE"], "rb") as _file:
    _ahead = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)

_true_time = time.time


def _other_time() -> float:
    seconds: float = struct.unpack_from("d", _ahead)[0]
    return _true_time() + seconds


time.time = _other_time
