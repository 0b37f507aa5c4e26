"""The `play` fixture: make a negotiation, and check at the end that nothing is left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.bargains import Bargain, make_bargain
from tests.support.plays import Play, make_call


@pytest.fixture
def play() -> Iterator[Callable[..., Play]]:
    """Make plays; each ends when the test does."""
    plays: list[Play] = []

    def make(*args: object, **fields: object) -> Play:
        plays.append(Play(make_call(*args, **fields)))  # type: ignore[arg-type]
        return plays[-1]

    yield make
    for made in plays:
        made.end()


@pytest.fixture
def bargain() -> Iterator[Callable[..., Bargain]]:
    """Make bargains by alternating offers; each is checked when the test ends."""
    made: list[Bargain] = []

    def make(call: dict[str, Any] | None = None, **options: Any) -> Bargain:
        made.append(Bargain(make_bargain(call=call, **options)))
        made[-1].unclaimed = []
        return made[-1]

    yield make
    for one in made:
        one.end()
