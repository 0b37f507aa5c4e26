"""What governance knows, in etcd, where all gateways of a cluster hear it: a `federation.shelf`.

A text that is this gateway's own alone is put without looking; what several may change is
compared and swapped. While etcd is away nothing can be kept, and what is known stays known.
"""

from __future__ import annotations

from federation.etcd import Delete, EtcdClient, EtcdError
from federation.shelf import Shelf, ShelfError
from gateway.governing.keeping import Edit, Hear, KeepError


class _Unchanged(Exception):
    """The text shall stay as it is."""


class KeptInEtcd:
    """Texts under one prefix of etcd."""

    outlives = True

    def __init__(self, client: EtcdClient, prefix: str) -> None:
        """Keep texts under `prefix`."""
        self._client = client
        self._prefix = prefix
        self._shelf = Shelf(client, prefix)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<KeptInEtcd {self._shelf!r}>"

    @property
    def on_text(self) -> Hear:
        """Return who hears of texts."""
        return self._shelf.on_text

    @on_text.setter
    def on_text(self, hear: Hear) -> None:
        self._shelf.on_text = hear

    async def put(self, name: str, text: bytes) -> None:
        """Let a text stand under a name. It is heard when etcd tells it, as by the others."""
        try:
            await self._client.put(self._shelf.key(name), text)
        except EtcdError as error:
            raise KeepError(f"etcd does not take it: {error}") from error

    async def change(self, name: str, edit: Edit) -> None:
        """Change a text that others may change too."""

        def edited(before: bytes | None) -> bytes:
            text = edit(before)
            if text is None:
                raise _Unchanged
            return text

        try:
            await self._shelf.change(name, edited)
        except _Unchanged:
            return
        except ShelfError as error:
            raise KeepError(str(error)) from error

    async def remove(self, name: str) -> None:
        """Take a text away."""
        try:
            await self._client.commit([], [Delete(self._shelf.key(name))])
        except EtcdError as error:
            raise KeepError(f"etcd does not take it: {error}") from error

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._shelf.run()

    async def begun(self, seconds: float) -> bool:
        """Wait until all texts were heard once."""
        return await self._shelf.begun(seconds)
