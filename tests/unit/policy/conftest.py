"""The `play` fixture: make a negotiation, and check at the end that nothing is left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

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
