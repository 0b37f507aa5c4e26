"""The contract net that peers carry is whole: everybody is asked, one is accepted, all hear."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from loadtest.peers.contract_net import ALICE, ContractNet, Said, said
from loadtest.peers.orders import work_of
from loadtest.peers.work import PeerFailed
from loadtest.rounds import Case

WORK = work_of(Case(3, 1, 1.0, 10, 0.1, "t"), None)


class Room:
    """Links within one room: what is said waits until somebody carries it."""

    def __init__(self) -> None:
        self.net = ContractNet(WORK, self)
        self.spoken: list[tuple[int, Said]] = []

    async def call(self, said: Said) -> None:
        self.spoken += [(index, said) for index in range(WORK.contractors)]

    async def offer(self, index: int, said: Said) -> None:
        assert said["from"] == index
        self.spoken.append((ALICE, said))

    async def decide(self, decisions: Sequence[tuple[int, Said]]) -> None:
        self.spoken += decisions

    async def carry(self) -> list[tuple[int, Said]]:
        """Carry what was said so far; returns it."""
        carried, self.spoken = self.spoken, []
        for receiver, heard in carried:
            if receiver == ALICE:
                await self.net.alice_hears(heard)
            else:
                await self.net.contractor_hears(receiver, heard)
        return carried


def _acts(carried: list[tuple[int, Said]]) -> list[tuple[int, str]]:
    return [(receiver, heard["act"]) for receiver, heard in carried]


async def test_all_are_called_all_offer_and_the_first_one_wins() -> None:
    room = Room()
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(room.net.play(1))
        await asyncio.sleep(0)
        assert _acts(await room.carry()) == [(0, "cfp"), (1, "cfp"), (2, "cfp")]
        room.spoken.reverse()
        assert _acts(await room.carry()) == [(ALICE, "offer")] * 3
        verdicts = _acts(await room.carry())
    assert verdicts == [(2, "accept"), (1, "reject"), (0, "reject")]
    offered_at, ended_at = playing.result()
    assert 0 < offered_at <= ended_at
    assert room.net.messages == 3 * WORK.contractors
    assert room.net.strays == 0


async def test_a_receiver_refuses_what_its_schema_does_not_allow() -> None:
    room = Room()
    wrong = said("n0000001", ALICE, "cfp", {**WORK.call, "round": "first"})
    with pytest.raises(PeerFailed, match="cfp"):
        await room.net.contractor_hears(0, wrong)


async def test_what_comes_twice_or_too_late_counts_as_a_stray() -> None:
    room = Room()
    await room.net.alice_hears(said("n0000009", 0, "offer", WORK.offers[0][0]))
    assert room.net.strays == 1
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(room.net.play(1))
        await asyncio.sleep(0)
        await room.carry()
        room.spoken.append(room.spoken[0])
        await room.carry()
        await room.carry()
    assert playing.done()
    assert room.net.strays == 2
