"""A registration in virtual time, as `federation.etcd.Registration` keeps one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from federation.etcd.transactions import Delete, Put, Transaction
from tests.support.etcd_store import EtcdStore

NEVER = float("-inf")


class Keeper(Protocol):
    """Whose registration it is."""

    def now(self) -> float:
        """Return what its clock shows."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later."""

    def ask(
        self,
        serve: Callable[[EtcdStore, float], object],
        answer: Callable[[object], None],
        seconds: float,
    ) -> None:
        """Ask etcd; the answer is None when there was none in so many seconds."""

    def registered(self) -> None:
        """Hear that an epoch has changed."""

    def note(self, *what: object) -> None:
        """Remember for the story."""


class Key:
    """A registration, as `federation.etcd.Registration` keeps one."""

    def __init__(
        self, keeper: Keeper, key: str, value: Callable[[], bytes], seconds: float, changed: str
    ) -> None:
        self.epoch = 0
        self.sure_until = NEVER
        self._keeper = keeper
        self._key = key
        self._value = value
        self._seconds = seconds
        self._changed = changed
        self._lease = 0
        self._was_registered = False
        self._written = b""
        self._is_asking = False
        self._turn = 0

    @property
    def lease(self) -> int:
        return self._lease

    def look(self) -> None:
        """Keep it, or register, and look again when that is due."""
        if self._is_asking:
            return
        self._is_asking = True
        self._turn += 1
        sent, value = self._keeper.now(), self._value()
        serve = self._keep if self.epoch else self._register
        self._keeper.ask(
            partial(serve, value, self.epoch, self._lease),
            partial(self._answered, sent, value),
            min(2.0, self._seconds / 3),
        )

    def _keep(
        self, value: bytes, epoch: int, lease: int, store: EtcdStore, now: float
    ) -> tuple[int, int]:
        pair = store.pairs.get(self._key)
        if not store.keep_alive(lease, now) or pair is None or pair.create_revision != epoch:
            return 0, lease
        if pair.value != value:
            store.commit(Transaction([], [Put(self._key, value, lease)]))
        return epoch, lease

    def _register(
        self, value: bytes, epoch: int, lease: int, store: EtcdStore, now: float
    ) -> tuple[int, int]:
        if not store.keep_alive(lease, now):
            lease = store.grant(self._seconds, now)
        pair = store.pairs.get(self._key)
        if pair is not None and pair.lease == lease:
            return pair.create_revision, lease
        if pair is not None:
            if self._was_registered:
                return 0, lease
            store.commit(Transaction([], [Delete(self._key)]))
        return store.commit(Transaction([], [Put(self._key, value, lease)])).revision, lease

    def _answered(self, sent: float, value: bytes, answer: object) -> None:
        self._is_asking = False
        before, pause = self.epoch, self._seconds / 10
        if isinstance(answer, tuple):
            self.epoch, self._lease = answer
            if self.epoch:
                self.sure_until = sent + self._seconds
                self._was_registered = True
                pause = self._seconds / 3
            else:
                self.sure_until = NEVER
        if self.epoch != before:
            self._keeper.note(self._changed, before, "becomes", self.epoch)
            self._keeper.registered()
        turn = self._turn

        def again() -> None:
            if turn == self._turn:
                self.look()

        self._keeper.later(pause, again)
