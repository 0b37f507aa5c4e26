"""Facts come in the order in which they were written, few or many."""

from __future__ import annotations

import asyncio

import pytest

from gateway.settling.reading import AT_ONCE_MAX, facts_in
from policy.facts import encode
from policy.ledger import Entry


@pytest.mark.parametrize("count", [3, AT_ONCE_MAX + 1])
async def test_facts_are_in_the_order_of_their_revisions_and_numbers(count: int) -> None:
    """Entries of one write have its revision, and a number each."""
    entries = [Entry(f"k{n}", float(n), "g", number=n % 2) for n in range(count)]
    kept = [(f"entry/{one.key}", encode(one), n // 2) for n, one in enumerate(entries)]
    assert await facts_in(kept[::-1]) == entries


async def test_while_many_are_decoded_the_loop_goes_on() -> None:
    kept = [(f"entry/{n}", encode(Entry(f"k{n}", 1.0, "g")), n) for n in range(AT_ONCE_MAX + 1)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)  # a turn of the loop

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        await facts_in(kept[:10])
        assert turns == 0, "a few are decoded at once"
        await facts_in(kept)
        counting.cancel()
    assert turns > 0
