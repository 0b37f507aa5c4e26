"""A small process that writes to a store and says what is on disk, until it is killed.

Run as `python -m tests.support.store_writer FILE`: each number that it prints was reported as
committed before.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.store import Store
from gateway.store_file import open_store_file

INSERT = "INSERT INTO admitted (key, opened, at) VALUES (?, '', 0)"


async def write(path: Path) -> None:
    """Write numbers, a few at a time, as fast as the disk takes them."""
    store = Store(open_store_file(path))
    store.start()
    number = 0
    while True:
        first = number
        for _ in range(5):
            store.write([(INSERT, (str(number),)), (INSERT, (f"twin of {number}",))])
            number += 1
        if await store.committed():
            for committed in range(first, number):
                print(committed, flush=True)  # noqa: T201 - whoever killed us reads it


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
