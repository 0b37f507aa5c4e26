"""Starts sooner by leaving out what a library would import only because it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let a library that is installed seem not to be, for imports within this block.

    What has been imported already stays as it is.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # so Python is told that there is none
    try:
        yield
    finally:
        del sys.modules[name]
