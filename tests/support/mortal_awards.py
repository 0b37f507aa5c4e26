"""Processes that are killed in the middle of an award, after any number of steps.

    python -m tests.support.mortal_awards file FOLDER
    python -m tests.support.mortal_awards etcd ENDPOINT PREFIX STEP

In a file, the first kills a child (kill -9, by itself) before and after each statement that three
awards in one transaction execute, and prints for each step what is found when the file is opened
again: how many awards, and whether everything adds up. In etcd, a single process makes its awards
and is killed before (even steps) or after (odd steps) a request; the test looks at what is left.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from federation.etcd import Committed, Compare, EtcdClient, Operation
from gateway.book_etcd import book_in_etcd
from gateway.book_file import book_in_file
from gateway.store import Store
from gateway.store_file import open_store_file
from policy.store import Commit
from tests.support.store_scenes import ALICE, award, balanced, done, prepared

NAMES = ("one", "two", "three")


class Mortal:
    """Kills this process at its `step`: even ones come before something is done, odd ones after."""

    def __init__(self, step: int) -> None:
        """Live for ever below 0."""
        self.left = step

    def pass_by(self) -> None:
        """Come to the next step."""
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


class MortalConnection:
    """A connection to SQLite that counts its statements."""

    def __init__(self, connection: sqlite3.Connection, mortal: Mortal) -> None:
        self._connection = connection
        self._mortal = mortal

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        self._mortal.pass_by()
        cursor = self._connection.execute(sql, values)
        self._mortal.pass_by()
        return cursor


class MortalClient(EtcdClient):
    """A client of etcd that counts its transactions."""

    mortal = Mortal(-1)

    async def commit(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
        *,
        seconds: float | None = None,
    ) -> Committed:
        self.mortal.pass_by()
        answer = await super().commit(compares, then, otherwise, seconds=seconds)
        self.mortal.pass_by()
        return answer


def commits() -> list[Commit]:
    """Return three awards that share a resource and a purse."""
    return [Commit(f"award:{name}", 0.0, award(name)) for name in NAMES]


async def _in_file(path: Path, step: int) -> None:
    """Make the awards and die at a step; return when there was none so late."""
    mortal = Mortal(-1)
    connection = cast("sqlite3.Connection", MortalConnection(open_store_file(path), mortal))
    store = Store(connection)
    store.start()
    async with book_in_file(store, "g1") as book:
        mortal.left = step
        await asyncio.gather(*map(book.commit, commits()))
        mortal.left = -1
    await store.close()


async def _prepare(path: Path) -> None:
    store = Store(open_store_file(path))
    store.start()
    async with book_in_file(store, "g1") as book:
        await prepared(book)
    await store.close()


async def _look(path: Path) -> dict[str, int]:
    """Return what is there, what the heir has then, and what is left when all has ended."""
    store = Store(open_store_file(path))
    store.start()
    async with book_in_file(store, "g1") as book:
        await balanced(book)
        found = {
            "decisions": sum([await book.decision(name) is not None for name in NAMES]),
            "holds": len(await book.holds()),
        }
        resource = await book.resource("h100")
        assert resource is not None
        found["locks"] = len(resource.bookings)
        again = [await done(book, commit.key, *commit.changes) for commit in commits()]
        found["made by the heir"] = sum(answer.is_first for answer in again)
        await balanced(book)
        found["expired"] = await book.expire(9e9)
        found["held in the end"] = (await book.balance(ALICE)).held
    await store.close()
    return found


def _every_step_of_a_file(folder: Path) -> None:
    prepared_file = folder / "prepared.db"
    asyncio.run(_prepare(prepared_file))
    for step in range(1_000):
        path = folder / f"{step}.db"
        shutil.copy(prepared_file, path)
        child = os.fork()
        if not child:
            asyncio.run(_in_file(path, step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "the child ends, or is killed"
            return
        print(json.dumps({"step": step, **asyncio.run(_look(path))}), flush=True)  # noqa: T201 - the test reads it


async def _in_etcd(endpoint: str, prefix: str, step: int) -> None:
    async with MortalClient([endpoint]) as client:
        epoch = await client.put(f"{prefix}gateways/g1", b"")
        async with book_in_etcd(
            client,
            f"{prefix}facts/",
            "g1",
            registration=f"{prefix}gateways/g1",
            epoch=lambda: epoch,
            chunk_micros=50,
        ) as book:
            client.mortal = Mortal(step)
            await asyncio.gather(*map(book.commit, commits()))


if __name__ == "__main__":
    if sys.argv[1] == "file":
        _every_step_of_a_file(Path(sys.argv[2]))
    else:
        asyncio.run(_in_etcd(sys.argv[2], sys.argv[3], int(sys.argv[4])))
