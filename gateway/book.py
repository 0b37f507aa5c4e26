"""The store of awards, locks and credit: judges commits and swaps facts, many at a time.

A commit is judged against the facts that are at hand (`policy.judging`), and written only if these
still stand: a `Shelf` compares and writes in one go. What is at hand was written or read by this
book before, so the usual award reads nothing. When somebody else was faster, the shelf tells what
stands now, and the commit is judged again.

Commits that touch the same facts go into one *bundle*, each judged on what those before it leave,
and the bundle is written as a whole. While it is under way whatever touches its facts waits and
becomes the next bundle; the rest goes on at once. So a resource that everybody wants costs a write
for dozens of awards, not one for each.

A refusal is verified like an award: the facts that it was judged by are compared too, though
nothing is written. When a write is left uncertain, the bundle is judged again as it was, alone and
in the same order: by the same facts it asks for the same, and by others the first write cannot
happen any more, because it compares what has changed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gateway.settling.reading import facts_in
from policy.facts import (
    CALLS,
    ENTRIES,
    Fact,
    Unread,
    decode,
    encode,
    hold_key,
    presumed_new,
    purse_key,
    sure_keys,
)
from policy.judging import Judgement, Writer, judge
from policy.ledger import Hold
from policy.store import (
    Capture,
    Commit,
    Committed,
    Refused,
    Release,
    StoreError,
    StoreUnavailable,
    StoreUncertain,
)
from policy.views import FactReader

WAITING_MAX = 50_000
KEYS_MAX = 100
"""That a bundle looks at; a single commit may look at more, if the shelf takes it."""
FACTS_COMPARED_MAX = 120
"""In one write, by however many commits."""
BYTES_MAX = 400_000
"""That a bundle writes; etcd takes 1.5 MiB, and a calendar can have a hundred kilobytes."""
SCANNED_MAX = 2_000
"""Waiting commits that are looked at for what can be written now."""
ATTEMPTS_MAX = 64
"""How often a bundle that somebody else is always faster than is tried."""
DOUBTS_MAX = 8
"""How often a write whose fate is unknown is tried again."""
RETRY_SECONDS_FIRST = 0.05
RETRY_SECONDS_MAX = 1.0
FACTS_MAX = 65_536
"""That are at hand without being read."""

Kept = tuple[bytes, int]
_Known = tuple[Fact | None, int]

log = structlog.get_logger("llmx.book")


class Shelf(Protocol):
    """Where facts are kept: bytes under keys, each with the revision that wrote it."""

    async def read(self, keys: Iterable[str]) -> Mapping[str, Kept]:
        """Return what stands under keys; those with nothing are left out."""

    async def under(self, prefix: str) -> Sequence[tuple[str, bytes, int]]:
        """Return the keys that begin so with what they hold, in the order of their revisions."""

    async def swap(
        self, compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int = 0
    ) -> int | Mapping[str, Kept] | None:
        """Write if everything stands as it was compared, and return the revision of that.

        Otherwise return what stands under the compared keys, or None when the writer is fenced.
        """


@dataclass(slots=True, eq=False)
class _Asked:
    """A commit that somebody waits for."""

    commit: Commit
    answer: asyncio.Future[Committed | Refused]
    keys: set[str]


@dataclass(slots=True, eq=False)
class _Bundle:
    """Commits that are judged one on the other and written as a whole."""

    asked: list[_Asked]
    keys: set[str]
    known: dict[str, _Known] = field(default_factory=dict)
    """What was read for it."""


class Book(FactReader):
    """A store on a shelf."""

    def __init__(
        self,
        shelf: Shelf,
        writer: Writer,
        *,
        bundles: bool = True,
        retry_first: float = RETRY_SECONDS_FIRST,
    ) -> None:
        """Write for a gateway; without `bundles` every commit is written alone."""
        self._shelf = shelf
        self._writer = writer
        self._bundles = bundles
        self._retry_first = retry_first
        self._waiting: deque[_Asked] = deque()
        self._busy: set[str] = set()
        self._wake = asyncio.Event()
        self._has_ended = False
        self._known: dict[str, _Known] = {}
        self.commits = 0
        self.refusals = 0
        self.writes = 0
        """Swaps that were asked for."""
        self.conflicts = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Book: {len(self._waiting)} waiting, {self.commits} committed and {self.refusals} "
            f"refused in {self.writes} writes, {self.conflicts} conflicts>"
        )

    async def commit(self, commit: Commit) -> Committed | Refused:
        """Do all of it or nothing, and tell which."""
        if self._has_ended or len(self._waiting) >= WAITING_MAX:
            raise StoreUnavailable(f"{len(self._waiting)} commits wait already, or none is taken")
        answer: asyncio.Future[Committed | Refused] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(commit, answer, self._keys_of(commit)))
        self._wake.set()
        return await answer

    async def at(self, key: str) -> Fact | None:
        """Return what stands under a key."""
        kept = (await self._shelf.read([key])).get(key)
        return None if kept is None else decode(kept[0])

    async def under(self, prefix: str) -> Sequence[Fact]:
        """Return what stands under the keys that begin so, in the order in which it was written."""
        return await facts_in(await self._shelf.under(prefix))

    async def run(self) -> None:
        """Write until cancelled; whoever still waits then is told that it is uncertain."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._wake.clear()
                    for bundle in self._next_bundles():
                        self._busy |= bundle.keys
                        tasks.create_task(self._write(bundle))
                    await self._wake.wait()
        finally:
            self._has_ended = True
            for asked in self._waiting:
                _fail(asked, StoreUnavailable("the store has ended"))
            self._waiting.clear()

    def _keys_of(self, commit: Commit) -> set[str]:
        """Return what a commit will look at, as far as is known."""
        keys = sure_keys(commit, self._writer.place)
        for change in commit.changes:
            if isinstance(change, Capture | Release):
                held = self._known.get(hold_key(change.hold_id), (None, 0))[0]
                if isinstance(held, Hold):
                    keys.add(purse_key(held.agent, held.place))
        return keys

    def _next_bundles(self) -> list[_Bundle]:
        """Take what need not wait, and put together what touches the same facts."""
        bundles: list[_Bundle] = []
        owners: dict[str, _Bundle] = {}
        later: deque[_Asked] = deque()
        blocked: set[str] = set()
        waiting, self._waiting = self._waiting, later
        for _ in range(min(len(waiting), SCANNED_MAX)):
            asked = waiting.popleft()
            if asked.keys & self._busy or asked.keys & blocked:
                blocked |= asked.keys
                later.append(asked)
                continue
            touched = {id(one): one for key in asked.keys if (one := owners.get(key))}
            together = list(touched.values())
            size = len(asked.keys.union(*(one.keys for one in together)))
            epochs = {one.asked[0].commit.epoch for one in together} | {asked.commit.epoch}
            if together and (size > KEYS_MAX or len(epochs) > 1 or not self._bundles):
                blocked |= asked.keys
                later.append(asked)
                continue
            bundle = _Bundle([], set())
            for other in together:
                bundle.asked += other.asked
                bundle.keys |= other.keys
                bundles.remove(other)
            bundle.asked.append(asked)
            bundle.keys |= asked.keys
            bundles.append(bundle)
            owners.update(dict.fromkeys(bundle.keys, bundle))
        later += waiting
        return bundles

    async def _write(self, bundle: _Bundle) -> None:
        try:
            await self._settle(bundle)
        except StoreError as error:
            for asked in bundle.asked:
                _fail(asked, error)
        finally:
            for asked in bundle.asked:
                _fail(asked, StoreUncertain("the store has ended"))
            self._busy -= bundle.keys
            self._wake.set()

    async def _settle(self, bundle: _Bundle) -> None:
        """Judge and write until it is known what became of it."""
        doubts, wait = 0, self._retry_first
        for _ in range(ATTEMPTS_MAX):
            try:
                is_done = await self._tried(bundle, in_doubt=doubts > 0)
            except StoreError as error:
                if isinstance(error, StoreUnavailable) and not doubts:
                    raise
                doubts += 1
                if doubts > DOUBTS_MAX:
                    raise StoreUncertain(str(error)) from error
                await asyncio.sleep(wait)
                wait = min(2 * wait, RETRY_SECONDS_MAX)
            else:
                if is_done:
                    return
        raise StoreUnavailable(f"somebody else was faster {ATTEMPTS_MAX} times")

    async def _tried(self, bundle: _Bundle, *, in_doubt: bool) -> bool:
        """Judge and write once; False when it was judged by facts that do not stand any more."""
        judgements = await self._judged(bundle)
        compared, writes = self._swap_of(bundle, judgements)
        encoded = {key: None if fact is None else encode(fact) for key, fact in writes.items()}
        size = sum(len(fact) for fact in encoded.values() if fact is not None)
        if len(compared) > FACTS_COMPARED_MAX or (size > BYTES_MAX and len(bundle.asked) > 1):
            self._lighten(bundle, len(compared))
            return False
        self.writes += 1
        try:
            done = await self._shelf.swap(compared, encoded, bundle.asked[0].commit.epoch)
        except StoreUncertain:
            bundle.known.clear()
            for key in compared:
                self._known.pop(key, None)
            raise
        if isinstance(done, int):
            self._learn(writes, done)
            self._answer(bundle, [judgement.answer for judgement in judgements])
            return True
        if done is None:
            if in_doubt:
                raise StoreUncertain("it was fenced off after a write whose fate is unknown")
            self._refuse_fenced(bundle)
            return True
        self.conflicts += 1
        for key in compared:
            kept = done.get(key)
            self._know(bundle, key, (None, 0) if kept is None else (decode(kept[0]), kept[1]))
        return False

    def _lighten(self, bundle: _Bundle, facts: int) -> None:
        """Let the later half wait: together they look at more than one write can compare."""
        half = len(bundle.asked) // 2
        if not half:
            raise StoreUnavailable(f"{facts} facts cannot be compared in one write")
        self._waiting.extendleft(reversed(bundle.asked[half:]))
        del bundle.asked[half:]

    async def _judged(self, bundle: _Bundle) -> list[Judgement]:
        """Judge each commit on what those before it leave, reading what is not at hand."""
        for _ in range(ATTEMPTS_MAX):
            left: dict[str, Fact | None] = {}
            judgements: list[Judgement] = []
            try:
                for number, asked in enumerate(bundle.asked):
                    judgement = self._judge(bundle, asked.commit, left, number)
                    left.update(judgement.writes)
                    judgements.append(judgement)
            except Unread as unread:
                missing = {*unread.keys} | {
                    key
                    for asked in bundle.asked
                    for key in asked.keys - presumed_new(asked.commit)
                    if key not in bundle.known and key not in self._known
                }
                found = await self._shelf.read(missing)
                for key in missing:
                    kept = found.get(key)
                    known = (None, 0) if kept is None else (decode(kept[0]), kept[1])
                    self._know(bundle, key, known)
            else:
                return judgements
        raise StoreUnavailable("the facts that are read do not fit together")

    def _judge(
        self, bundle: _Bundle, commit: Commit, left: Mapping[str, Fact | None], number: int
    ) -> Judgement:
        new = presumed_new(commit)

        def look(key: str) -> Fact | None:
            if key in left:
                return left[key]
            known = self._known_of(bundle, key)
            if known is not None:
                return known[0]
            if key in new:
                return None
            raise Unread(key)

        return judge(commit, self._writer, look, number)

    def _known_of(self, bundle: _Bundle, key: str) -> _Known | None:
        return bundle.known.get(key) or self._known.get(key)

    def _swap_of(
        self, bundle: _Bundle, judgements: Sequence[Judgement]
    ) -> tuple[dict[str, int], dict[str, Fact | None]]:
        """Return what has to stand as it was, and what shall stand then."""
        compared: dict[str, int] = {}
        writes: dict[str, Fact | None] = {}
        for judgement in judgements:
            for key in judgement.reads:
                known = self._known_of(bundle, key)
                compared[key] = 0 if known is None else known[1]
            writes.update(judgement.writes)
        return compared, writes

    def _answer(self, bundle: _Bundle, answers: Sequence[Committed | Refused]) -> None:
        committed = sum(isinstance(answer, Committed) for answer in answers)
        self.commits += committed
        self.refusals += len(answers) - committed
        for asked, answer in zip(bundle.asked, answers, strict=True):
            if not asked.answer.done():
                asked.answer.set_result(answer)

    def _refuse_fenced(self, bundle: _Bundle) -> None:
        gateway_id = self._writer.gateway_id
        log.warning("a commit was fenced off", gateway=gateway_id, commits=len(bundle.asked))
        refused = Refused("FENCED", gateway_id, "it does not live in that epoch any more")
        self._answer(bundle, [refused] * len(bundle.asked))

    # What is at hand.

    def _know(self, bundle: _Bundle, key: str, known: _Known) -> None:
        bundle.known[key] = known
        if _is_read_again(key):
            self._remember(key, known)

    def _learn(self, writes: Mapping[str, Fact | None], revision: int) -> None:
        for key, fact in writes.items():
            if fact is None:
                self._known.pop(key, None)
            elif _is_read_again(key):
                self._remember(key, (fact, revision))

    def _remember(self, key: str, known: _Known) -> None:
        self._known[key] = known
        if len(self._known) > FACTS_MAX:
            del self._known[next(iter(self._known))]


def _is_read_again(key: str) -> bool:
    """Tell whether somebody will look at a fact again soon, so that it is worth its memory."""
    return not key.startswith((ENTRIES, CALLS, "refunded/"))


def _fail(asked: _Asked, error: StoreError) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(error)
