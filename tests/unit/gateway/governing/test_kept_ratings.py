"""Ratings that are kept: each task counts once, whoever repeats it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.governing import kept_ratings as module
from gateway.governing.keeping import KeepError, KeptInMemory
from gateway.governing.kept_ratings import KeptRatings
from policy.rating import Rating, RatingRule

RULE = RatingRule()


class Away(KeptInMemory):
    """A keeper that may be away, for marks or for all."""

    refused = "nothing"

    async def put(self, name: str, text: bytes) -> None:
        if name.startswith(self.refused):
            raise KeepError("away")
        await super().put(name, text)


class Book:
    """The ratings of one gateway, and what it knows of them."""

    def __init__(self, keeper: KeptInMemory | None = None) -> None:
        self.keeper = keeper or Away()
        self.known: dict[tuple[str, str], Rating] = {}
        self.ratings = KeptRatings(
            self.keeper, RULE, lambda tenant, agent, one: self.known.update({(tenant, agent): one})
        )
        self.keeper.on_text = self.ratings.hear

    async def rate(self, task: str, realised: float = 10.0, agent: str = "bob") -> bool:
        return await self.ratings.rate("acme", agent, 20.0, realised, task)

    @property
    def bob(self) -> Rating:
        return self.known["acme", "bob"]


async def test_a_rating_follows_what_came_true_of_a_claim() -> None:
    book = Book()
    assert await book.rate("n1/bob")
    assert book.bob == Rating(pytest.approx(0.95), 1, 20.0, 10.0)
    assert await book.rate("n2/bob", realised=20.0)
    assert (book.bob.rating, book.bob.tasks) == (pytest.approx(0.955), 2)


async def test_a_task_counts_once_at_whichever_gateway_and_in_whichever_life() -> None:
    book = Book()
    assert sum(await asyncio.gather(*(book.rate("n1/bob") for _ in range(3)))) == 1
    later = Book(book.keeper)
    assert not await later.rate("n1/bob", realised=0.0)
    assert await later.rate("n2/bob")
    assert later.bob.tasks == 2


async def test_marks_outlast_what_the_text_of_an_agent_remembers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TASKS_REMEMBERED", 2)
    book = Book()
    for number in range(3):
        await book.rate(f"n{number}/bob")
        await book.ratings.mark(f"n{number}/bob", float(number))
    assert all(book.ratings.is_rated(f"n{number}/bob") for number in range(3))
    assert len(book.ratings) == 3
    await book.ratings.forget(1.0, at_most=9)
    assert not book.ratings.is_rated("n0/bob")
    monkeypatch.setattr(module, "MARKS_MAX", 1)
    await book.ratings.forget(0.0, at_most=1)
    assert len(book.ratings) == 1 and book.ratings.is_rated("n2/bob")


async def test_what_is_not_kept_does_not_count() -> None:
    keeper = Away()
    book = Book(keeper)
    keeper.refused = module.RATING
    with pytest.raises(KeepError):
        await book.rate("n1/bob")
    assert not book.known
    keeper.refused = module.MARK
    assert await book.rate("n1/bob")
    await book.ratings.mark("n1/bob", 1.0)
    assert not book.ratings.is_rated("n1/bob")
    assert not await book.rate("n1/bob"), "the text of the agent remembers it still"


def test_texts_that_cannot_be_read_are_passed_over() -> None:
    book = Book()
    for name, text in (("rating/acme/bob", b"x"), ("reported/n", b"x"), ("page/1", b"x")):
        book.ratings.hear(name, text)
    book.ratings.hear("rating/acme/bob", None)
    assert not book.known and not len(book.ratings)


async def test_what_follows_from_a_text_that_cannot_be_read_is_not_kept() -> None:
    """It must not end the gateway that was told of a task."""
    book = Book()
    await book.keeper.put("rating/acme/bob", b"x")
    with pytest.raises(KeepError, match="cannot be read"):
        await book.rate("n1/bob")
    assert await book.rate("n1/carol", agent="carol")
