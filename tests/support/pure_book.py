"""Facts in a dict, judged and written at once: a store without waiting, for pure tests."""

from __future__ import annotations

from typing import TypeVar

from policy.facts import Fact
from policy.judging import Writer, judge
from policy.ledger import Entry
from policy.store import Change, Code, Commit, Refused

_Kind = TypeVar("_Kind")


class PureBook:
    """What commits leave, by key."""

    def __init__(self, *changes: Change, place: str = "g1", chunk: int = 10) -> None:
        """Begin with what these changes make, by a gateway at a place."""
        self.facts: dict[str, Fact] = {}
        self.writer = Writer("g1", place, chunk)
        self.commits = 0
        if changes:
            self.done(*changes)

    def commit(
        self, *changes: Change, at: float = 0.0, key: str = "", place: str | None = None
    ) -> Entry | Refused:
        """Commit, and return what was written or why nothing was."""
        self.commits += 1
        writer = self.writer if place is None else Writer(place, place, self.writer.chunk_micros)
        commit = Commit(key or f"k{self.commits}", at, changes)
        judgement = judge(commit, writer, self.facts.get)
        for name, fact in judgement.writes.items():
            if fact is None:
                self.facts.pop(name, None)
            else:
                self.facts[name] = fact
        answer = judgement.answer
        return answer if isinstance(answer, Refused) else answer.entry

    def done(self, *changes: Change, at: float = 0.0, place: str | None = None) -> Entry:
        """Commit, and have it happen."""
        entry = self.commit(*changes, at=at, place=place)
        assert isinstance(entry, Entry), entry
        return entry

    def code(self, *changes: Change, at: float = 0.0, place: str | None = None) -> Code:
        """Commit, have it refused, and return the code."""
        refused = self.commit(*changes, at=at, place=place)
        assert isinstance(refused, Refused), refused
        return refused.code

    def at(self, key: str, kind: type[_Kind]) -> _Kind:
        """Return what stands under a key."""
        fact = self.facts[key]
        assert isinstance(fact, kind)
        return fact
