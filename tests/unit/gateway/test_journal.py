"""A durable negotiation that is read again from the disk stands where it stood."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.journal import EVENT_KINDS, Journal, Opening, Story, decoded, encoded, stories
from gateway.store import Store
from gateway.store_file import open_store_file
from policy.acceptance import PROFILES
from policy.call import Call
from policy.events import DeadlinePassed, Event, OfferReceived, RefusalReceived
from policy.table import Table

BOB, CAROL = "agent://bob", "agent://carol"


def call(number: int = 1) -> Call:
    return Call(
        negotiation_id=f"gw.0.{number}-tag",
        initiator="agent://alice",
        msg_id=f"m{number}",
        eligible=(BOB, CAROL),
        acceptance=PROFILES["flow/high"],
        closes_at=12.0,
        opened_at=10.0,
        reserve=9.5,
    )


def opening(number: int = 1) -> Opening:
    return Opening("acme", call(number), 10.0, ("gpu", None))


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = Store(open_store_file(path))
    store.start()
    try:
        yield store
    finally:
        await store.close()


def offer(sender: str = BOB, msg_id: str = "o1", value: float = 3.0) -> OfferReceived:
    fields = {"value": value, "text": "günstig", "n": 2**64 - 1, "deep": [{"none": None}]}
    return OfferReceived(sender, msg_id, value, fields, valid_until=99.5)


def play(journal: Journal, store: Store, number: int = 1) -> Table:
    """Open a negotiation, let two agents answer, one of them twice, and let its time pass."""
    table, id_ = Table(), call(number).negotiation_id
    table.open(call(number), 10.0)
    store.write(journal.open(opening(number), table.state(id_)))
    for at, event in (
        (10.5, offer()),
        (10.6, offer()),
        (11.0, RefusalReceived(CAROL, "r1", "busy")),
        (12.0, DeadlinePassed()),
    ):
        table.apply(id_, event, at)
        store.write(journal.note(id_, at, event, table.state(id_)))
    return table


def restored(story: Story) -> Table:
    table, id_ = Table(), story.opening.call.negotiation_id
    table.open(story.opening.call, story.opening.opened_at)
    for at, event in story.events:
        table.apply(id_, event, at)
    return table


def test_every_event_comes_back_as_it_was() -> None:
    assert set(EVENT_KINDS.values()) == set(typing.get_args(Event))
    for event in (offer(), RefusalReceived(BOB, "r", "no"), DeadlinePassed()):
        assert decoded(encoded(10.25, event)) == (10.25, event)


def test_what_is_read_again_leads_to_the_same_state(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db") as store:
            table = play(Journal(), store)
            (story,) = await stories(store)
            assert story.opening == opening()
            id_ = story.opening.call.negotiation_id
            assert restored(story).state(id_) == table.state(id_)

    asyncio.run(scene())


def test_events_that_changed_nothing_are_not_written(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db") as store:
            play(Journal(), store)
            (story,) = await stories(store)
            assert [at for at, _ in story.events] == [10.5, 11.0]

    asyncio.run(scene())


def test_a_journal_goes_on_where_the_earlier_gateway_stopped(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db") as store:
            play(Journal(), store)
            (story,) = await stories(store)
            table, journal = restored(story), Journal()
            id_ = story.opening.call.negotiation_id
            journal.resume(story, table.state(id_))
            assert id_ in journal
            assert len(journal) == 1
            end = typing.cast("float", table.next_deadline())
            table.apply(id_, DeadlinePassed(), end)
            assert table.state(id_) is None
            store.write(journal.note(id_, end, DeadlinePassed(), table.state(id_)))
            assert id_ not in journal
            assert journal.negotiation_ids == []
            await store.committed()
            assert await stories(store) == []
            assert await store.read("SELECT * FROM events") == []

    asyncio.run(scene())


@pytest.mark.slow
def test_many_negotiations_are_read_in_steps(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db") as store:
            journal = Journal()
            for number in range(1_100):
                store.write(journal.open(opening(number), None))
            id_ = call(7).negotiation_id
            for number in range(1_050):
                event = offer(msg_id=f"o{number}")
                state = restored(Story(opening(7), [])).state(id_)
                store.write(journal.note(id_, 10.5, event, state))
            await store.committed()
            found = {one.opening.call.negotiation_id: one for one in await stories(store)}
            assert len(found) == 1_100
            assert [event.msg_id for _, event in found[id_].events] == [
                f"o{number}" for number in range(1_050)
            ]

    asyncio.run(scene())
