"""Small texts that belong to the whole cluster, each under a name, kept in etcd.

Whoever changes one reads it, makes another of it and writes that if nobody else has written
meanwhile; otherwise it begins again. Everybody hears every text: all of them when it begins to
listen, also after whatever happens to etcd, and then each change.

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(shelf.run())
        await shelf.change("acme", lambda text: b"another")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from urllib.parse import quote, unquote

import structlog

from federation.etcd import (
    EtcdClient,
    EtcdDenied,
    EtcdError,
    EtcdUncertain,
    KeyValue,
    Put,
    Snapshot,
    modified,
)

DENIED_SECONDS = 5.0
"""How long to wait for somebody to grant what was denied, before asking again."""
ATTEMPTS = 10
"""How often a change is begun again because somebody else was faster."""

Edit = Callable[[bytes | None], bytes]
"""Makes another text of one, or of None. It may be asked several times, and it may raise."""

log = structlog.get_logger("llmx.shelf")


class ShelfError(Exception):
    """A text cannot be changed now; says why."""


class Shelf:
    """The texts under one prefix of etcd."""

    def __init__(self, client: EtcdClient, prefix: str) -> None:
        """Keep texts under `prefix`."""
        self._client = client
        self._prefix = prefix
        self._revisions: dict[str, int] = {}
        self._begun = asyncio.Event()
        self.on_text: Callable[[str, bytes | None], None] = lambda name, text: None
        """Hears each text once it stands, None when it is gone."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "heard" if self._begun.is_set() else "not heard yet"
        return f"<Shelf {self._prefix}: {len(self._revisions)} texts, {state}>"

    def key(self, name: str) -> str:
        """Return under which key of etcd a text is."""
        return self._prefix + quote(name, safe="")

    async def change(self, name: str, edit: Edit) -> None:
        """Change a text; here it is heard before this returns. Raises ShelfError."""
        key = self.key(name)
        for _ in range(ATTEMPTS):
            try:
                before = await self._client.get(key)
            except EtcdError as error:
                raise ShelfError(f"etcd does not answer: {error}") from error
            text = edit(None if before is None else before.value)
            revision = 0 if before is None else before.mod_revision
            try:
                done = await self._client.commit([modified(key) == revision], [Put(key, text)])
            except EtcdUncertain:
                if not await self._stands(key, text):
                    continue
                return
            except EtcdError as error:
                raise ShelfError(f"etcd does not take it: {error}") from error
            if done.succeeded:
                self._hear(name, text, done.revision)
                return
        raise ShelfError("others change it all the time")

    async def _stands(self, key: str, text: bytes) -> bool:
        """Tell whether a write of which nobody said so was done."""
        try:
            found = await self._client.get(key)
        except EtcdError as error:
            raise ShelfError(f"whether etcd took it is unknown: {error}") from error
        if found is None or found.value != text:
            return False
        self._hear_pair(found)
        return True

    async def begun(self, seconds: float) -> bool:
        """Wait until all texts were heard once, so many seconds at most; tells whether."""
        try:
            async with asyncio.timeout(seconds):
                await self._begun.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except EtcdDenied as denied:
                log.error("texts cannot be read", prefix=self._prefix, reason=str(denied))
                await asyncio.sleep(DENIED_SECONDS)

    async def _listen(self) -> None:
        async with aclosing(self._client.observe(self._prefix)) as observed:
            async for told in observed:
                if isinstance(told, Snapshot):
                    if told.reason:
                        log.warning("texts are read anew", prefix=self._prefix, reason=told.reason)
                    self._begin_anew(told)
                    self._begun.set()
                    continue
                for change in told.changes:
                    text = None if change.pair is None else change.pair.value
                    self._hear(self._name(change.key), text, change.revision)

    def _begin_anew(self, told: Snapshot) -> None:
        """Believe all that is there; what was heard before may have been lost by the store."""
        names = {self._name(pair.key) for pair in told.pairs}
        for name in self._revisions.keys() - names:
            self._hear(name, None, told.revision)
        self._revisions = {}
        for pair in told.pairs:
            self._hear_pair(pair)

    def _hear_pair(self, pair: KeyValue) -> None:
        self._hear(self._name(pair.key), pair.value, pair.mod_revision)

    def _hear(self, name: str, text: bytes | None, revision: int) -> None:
        """Tell of a text, unless a later one was told of."""
        if revision <= self._revisions.get(name, 0):
            return
        if text is None:
            self._revisions.pop(name, None)
        else:
            self._revisions[name] = revision
        self.on_text(name, text)

    def _name(self, key: str) -> str:
        return unquote(key.removeprefix(self._prefix))
