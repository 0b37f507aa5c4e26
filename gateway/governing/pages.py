"""A log of facts that outlives its gateway: pages of what was noted, one for each second at most.

What is noted here is handed to nobody here, because who notes it knows it. It goes onto a page
with all else of the same second, and the others read that. When the gateway starts again it reads
its own pages of earlier lives too. A page is taken away when its last fact is older than the log
keeps facts; those of a gateway that is gone are taken away by any other, some time later.

    note ──▸ due ──flush──▸ keeper ──hear──▸ on_facts, at the other gateways and in the next life

Bounded: of more than `facts_max` facts that were not written yet, and of as many on own pages, the
oldest go. A page that cannot be written now is written later as it is, under its name, before what
came meanwhile: it may have been written though nobody said so, and nobody shall hear a fact twice.
The facts of the last second before a crash are lost to those that did not hear them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

import structlog

from gateway.governing.facts import Fact, FactsError, facts_in, page_of
from gateway.governing.keeping import Keeper, KeepError

PAGE_FACTS_MAX = 4_096
"""Of one page: some 300 KiB, well below what etcd takes."""
REMOVED_MAX = 64
"""Pages that one flush takes away."""
CLEAR_SECONDS = 10.0
"""How often old pages are looked for: there may be many."""
GONE_SECONDS = 600.0
"""How much longer others leave pages that their own gateway should have taken away."""

log = structlog.get_logger("llmx.governing")


class Pages:
    """The pages of one kind of fact."""

    def __init__(
        self,
        keeper: Keeper,
        kind: str,
        writer: str,
        life: str,
        keep_seconds: float,
        facts_max: int,
    ) -> None:
        """Write as the gateway `writer` in one `life`, unlike each of its other ones."""
        self._keeper = keeper
        self._kind = kind
        self._writer = writer
        self._life = life
        self._keep = keep_seconds
        self._facts_max = facts_max
        self._number = 0
        self._due: deque[Fact] = deque(maxlen=facts_max)
        self._page: tuple[str, tuple[Fact, ...]] | None = None
        """The page that is being written, by its name, until it surely was."""
        self._last: OrderedDict[str, float] = OrderedDict()
        """When the last fact of each page was, by its name."""
        self._own: OrderedDict[str, int] = OrderedDict()
        """How many facts the pages of this gateway have."""
        self._own_facts = 0
        self._clear_at = 0.0
        self.on_facts: Callable[[tuple[Fact, ...]], None] = lambda facts: None
        """Hears facts of others, and of earlier lives."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Pages of {self._kind}: {len(self._last)} pages, {self._waiting} facts due>"

    @property
    def _waiting(self) -> int:
        return len(self._due) + (0 if self._page is None else len(self._page[1]))

    def note(self, fact: Fact) -> None:
        """Write a fact soon."""
        self._due.append(fact)

    def owns(self, name: str) -> bool:
        """Tell whether a text is a page of this kind."""
        return name.startswith(f"{self._kind}/")

    def hear(self, name: str, text: bytes | None) -> None:
        """Hear of a page that stands, or is gone."""
        if text is None:
            self._forget(name)
            return
        try:
            facts = facts_in(text)
        except FactsError as error:
            log.warning("a page cannot be read", page=name, error=str(error))
            return
        _, writer, life, _ = f"{name}///".split("/", 3)
        is_new = name not in self._last
        self._note_page(name, facts, is_own=writer == self._writer)
        if is_new and (writer, life) != (self._writer, self._life):
            self.on_facts(facts)

    async def flush(self, now: float) -> None:
        """Write what is due, and take away what is old. Raises KeepError."""
        while self._page is not None or self._due:
            name, facts = self._page = self._page or self._next_page()
            await self._keeper.put(name, page_of(facts))
            self._page = None
            self._note_page(name, facts, is_own=True)
        if now >= self._clear_at or self._own_facts > self._facts_max:
            self._clear_at = now + CLEAR_SECONDS
            for name in list(self._old(now)):
                await self._keeper.remove(name)
                self._forget(name)

    def _next_page(self) -> tuple[str, tuple[Fact, ...]]:
        size = min(len(self._due), PAGE_FACTS_MAX)
        facts = tuple(self._due.popleft() for _ in range(size))
        self._number += 1
        return f"{self._kind}/{self._writer}/{self._life}/{self._number}", facts

    def _note_page(self, name: str, facts: tuple[Fact, ...], *, is_own: bool) -> None:
        self._last[name] = max((fact.at for fact in facts), default=0.0)
        if is_own:
            self._own_facts += len(facts) - self._own.get(name, 0)
            self._own[name] = len(facts)

    def _forget(self, name: str) -> None:
        self._last.pop(name, None)
        self._own_facts -= self._own.pop(name, 0)

    def _old(self, now: float) -> Iterator[str]:
        """Yield the pages that go, a few at a time."""
        left = REMOVED_MAX
        surplus = self._own_facts - self._facts_max
        for name, last in self._last.items():
            own = self._own.get(name)
            is_over = last < now - self._keep - (GONE_SECONDS if own is None else 0.0)
            if is_over or (own is not None and surplus > 0):
                surplus -= own or 0
                left -= 1
                yield name
            if not left:
                return


async def flushed(pages: Pages, now: float) -> bool:
    """Flush, and tell whether that went well."""
    try:
        await pages.flush(now)
    except KeepError as error:
        log.warning("what was noted is not kept now", pages=repr(pages), error=str(error))
        return False
    return True
