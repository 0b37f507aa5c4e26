"""Gateways that peer over real sockets: what is sent arrives once, in order, or is handed back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from federation.link import LinkLimits
from federation.peer_states import PeerAddress
from tests.support.fault_proxy import FaultProxy, Way
from tests.support.peers import QUICK, Handed, PeerSide, living, side, until
from tests.support.weather import Cut, Weather

NOWHERE = "127.0.0.1:1"


def texts(count: int, first: int = 0) -> list[str]:
    return [f"m{number}" for number in range(first, first + count)]


def meet(one: PeerSide, other: PeerSide, proxy: FaultProxy, *others: PeerSide) -> None:
    """Let all know each other, and `one` reach `other` through a proxy."""
    for gateway in (other, *others):
        gateway.know(one, other, *others)
    behind = replace(other.address, address=proxy.address)
    one.know(*others, **{other.own.gateway_id: behind})


def are_open(one: PeerSide, other: PeerSide) -> bool:
    return (
        one.link(other.own.gateway_id).state == "open"
        and other.link(one.own.gateway_id).state == "open"
    )


def breaks_at(one: PeerSide, other: PeerSide) -> Callable[[], bool]:
    """Return what tells whether a gateway has seen the link break since now.

    It may have been mended since, sooner than anybody looks.
    """
    peer = other.own.gateway_id
    before = one.link(peer).resumed
    return lambda: one.link(peer).state != "open" or one.link(peer).resumed > before


async def linked(*sides: PeerSide) -> None:
    await until(
        lambda: all(are_open(one, other) for one in sides for other in sides if one is not other)
    )


async def test_what_is_sent_arrives_in_order_in_few_frames_and_is_confirmed() -> None:
    a, b = side("a"), side("b")
    async with living(a, b):
        await linked(a, b)
        a.send("b", *texts(1_000))
        b.send("a", *texts(10))
        await until(lambda: b.heard("a") == texts(1_000) and a.heard("b") == texts(10))
        assert b.diary.frames < 10
        await until(lambda: a.is_confirmed("b") and b.is_confirmed("a"))
        assert (a.link("b").sent, a.link("b").received) == (1_000, 10)


async def test_what_is_sent_when_a_link_begins_goes_before_everything_else() -> None:
    a, b = side("a"), side("b")
    b.diary.greeting = lambda gateway_id: b.send(gateway_id, "snapshot")
    async with living(a, b):
        b.send("a", "later")
        await until(lambda: a.heard("b") == ["snapshot", "later"])
        assert a.diary.begun == ["b"]


async def test_heartbeats_tell_how_long_a_way_takes_who_is_reached_and_whether_etcd_is() -> None:
    a, b, c = side("a"), side("b"), side("c")
    b.sees_discovery = False
    async with living(a, b, c):
        await linked(a, b, c)
        await until(lambda: a.link("b").round_trip and a.peering.view("b").connected == {"a", "c"})
        assert 0 < a.link("b").round_trip < 1.0
        assert not a.peering.view("b").sees_discovery
        await until(lambda: a.peering.view("c").sees_discovery)
        assert a.link("b").region == "region-b"


@pytest.mark.slow
async def test_a_link_goes_on_where_streams_broke_however_often_they_do() -> None:
    a, b = side("a"), side("b")
    async with living(a, b, are_strangers=True), FaultProxy(b.port, seed=1) as proxy:
        meet(a, b, proxy)
        sent = 0
        for turn in range(20):
            await until(lambda: are_open(a, b))
            breaks = breaks_at(a, b)
            a.send("b", *texts(200, sent))
            b.send("a", *texts(200, sent))
            sent += 200
            proxy.cut(Cut.RESET, way=(Way.UP, Way.DOWN)[turn % 2], within_frame=bool(turn % 3))
            if turn % 3 == 0:
                await until(breaks)
        await until(lambda: len(b.heard("a")) >= sent and len(a.heard("b")) >= sent)
        assert b.heard("a") == texts(sent)
        assert a.heard("b") == texts(sent)
        assert a.link("b").resumed > 3
        assert a.diary.begun == ["b"]
        assert not a.diary.ended


async def test_what_a_peer_has_not_confirmed_is_handed_back_when_it_starts_anew() -> None:
    a, b = side("a"), side("b")
    async with living(a, b) as tasks:
        await linked(a, b)
        a.send("b", "confirmed")
        await until(lambda: a.is_confirmed("b"))
        await b.stop()
        await until(lambda: a.link("b").state == "down")
        a.send("b", "never heard", "nor this")
        new = side("b", epoch=2)
        await new.start(tasks)
        new.know(a)
        a.know(new)
        await linked(a, new)
        assert a.diary.ended == [Handed("b", (b"never heard", b"nor this"))]
        assert a.diary.begun == ["b", "b"]
        a.send("b", "hello")
        await until(lambda: new.heard("a") == ["hello"])
        await new.stop()


async def test_a_new_epoch_is_learnt_from_the_hello_before_the_membership_tells_it() -> None:
    a, b = side("a"), side("b")
    async with living(a, b):
        await linked(a, b)
        b.peering.set_own_epoch(7)
        await until(lambda: a.diary.begun == ["b", "b"] and b.diary.begun == ["a", "a"])
        await linked(a, b)
        a.send("b", "under the new epoch")
        await until(lambda: b.heard("a") == ["under the new epoch"])


async def test_who_leaves_the_membership_is_linked_no_longer_and_its_messages_come_back() -> None:
    a, b = side("a"), side("b")
    async with living(a, b):
        await linked(a, b)
        b.diary.wait = asyncio.Event().wait  # type: ignore[assignment]
        a.send("b", "is being handled")
        await until(lambda: b.heard("a"))
        a.send("b", "waits")
        a.know()
        assert [one.gateway_id for one in a.diary.ended] == ["b"]
        assert a.diary.ended[0].messages[-1] == b"waits"
        assert not a.peering.send("b", b"no more")
        assert a.peering.links() == []
        await until(lambda: b.link("a").state == "down")


async def test_a_gateway_that_is_no_member_yet_is_linked_when_the_membership_names_it() -> None:
    a, b = side("a"), side("b")
    async with living(a, b, are_strangers=True):
        a.know(b)
        await until(lambda: a.diary.begun == ["b"])
        b.know(a)
        await linked(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("way", list(Way))
async def test_a_cut_in_one_direction_only_is_noticed_and_nothing_is_lost(way: Way) -> None:
    a, b = side("a"), side("b")
    async with living(a, b, are_strangers=True), FaultProxy(b.port) as proxy:
        meet(a, b, proxy)
        await linked(a, b)
        notice = (breaks_at(a, b), breaks_at(b, a))
        proxy.stall(60.0, way, silently=True)
        a.send("b", *texts(100))
        b.send("a", *texts(100))
        await until(lambda: all(has_noticed() for has_noticed in notice))
        proxy.heal()
        await until(lambda: b.heard("a") == texts(100) and a.heard("b") == texts(100))


@pytest.mark.slow
async def test_frames_go_through_a_third_gateway_while_two_cannot_reach_each_other() -> None:
    a, b, c = side("a"), side("b"), side("c")
    async with living(a, b, c, are_strangers=True), FaultProxy(b.port) as proxy:
        proxy.refuse()
        meet(a, b, proxy, c)
        await linked(a, c)
        for turn in range(20):
            a.send("b", *texts(50, 50 * turn))
            b.send("a", *texts(50, 50 * turn))
        await until(lambda: b.heard("a") == texts(1_000) and a.heard("b") == texts(1_000))
        await until(lambda: a.link("b").state == "relayed by c")
        await until(lambda: b.link("a").state == "relayed by c")
        await until(lambda: a.is_confirmed("b") and b.is_confirmed("a"))
        assert c.peering.counts["relayed"] >= 2
        assert not c.diary.heard
        proxy.heal()
        a.send("b", *texts(10, 1_000))
        await until(lambda: are_open(a, b))
        await until(lambda: b.heard("a") == texts(1_010))
        assert a.diary.begun.count("b") == 1


@pytest.mark.slow
async def test_what_a_relay_loses_comes_again_when_it_dies_in_between() -> None:
    a, b, c, d = side("a"), side("b"), side("c"), side("d")
    async with living(a, b, c, d, are_strangers=True), FaultProxy(b.port) as proxy:
        proxy.refuse()
        meet(a, b, proxy, c, d)
        await until(lambda: str(a.link("b").state).startswith("relayed"))
        a.send("b", *texts(100))
        await c.stop()
        a.send("b", *texts(100, 100))
        b.send("a", *texts(100))
        await until(lambda: b.heard("a") == texts(200) and a.heard("b") == texts(100))


async def test_two_that_never_met_and_know_no_epochs_find_each_other_through_a_third() -> None:
    """A static list of peers names no epochs."""
    a, b, c = side("a"), side("b"), side("c")
    async with living(a, b, c, are_strangers=True):
        c.know(a, b)
        a.know(c, b=PeerAddress(NOWHERE, 0, "far"))
        b.know(c, a=PeerAddress(NOWHERE, 0, "far"))
        await until(lambda: "b" in a.diary.begun and "a" in b.diary.begun)
        a.send("b", "hello")
        await until(lambda: b.heard("a")[-1:] == ["hello"])


@pytest.mark.slow
async def test_a_slow_link_is_measured_and_brings_everything() -> None:
    slow = Weather(delay=0.1, jitter=0.02, bytes_per_second=200_000)
    a, b = side("a", replace(QUICK, heartbeat_seconds=0.5)), side("b")
    async with living(a, b, are_strangers=True), FaultProxy(b.port, weather=slow) as proxy:
        meet(a, b, proxy)
        await linked(a, b)
        a.send("b", *texts(5_000))
        await until(lambda: b.heard("a") == texts(5_000))
        await until(lambda: a.link("b").round_trip > 0.2)
        assert a.link("b").resumed <= 1


async def test_a_full_queue_takes_nothing_more_and_says_so() -> None:
    narrow = replace(QUICK, link=LinkLimits(messages_max=100, bytes_max=1_000))
    a, b = side("a", narrow), side("b")
    async with living(a, b, are_strangers=True):
        a.know(b=PeerAddress(NOWHERE, 1, "far"))
        b.know(a)
        taken = [a.peering.send("b", b"x" * 100) for _ in range(20)]
        assert taken == [True] * 10 + [False] * 10
        assert not a.peering.send("nobody", b"hello")
        a.know(b)
        await until(lambda: len(b.heard("a")) == 10)
        await until(lambda: a.peering.send("b", b"there is room again"))


@pytest.mark.slow
async def test_who_is_slow_to_handle_is_not_read_and_not_taken_for_dead() -> None:
    a, b = side("a"), side("b")
    async with living(a, b):
        await linked(a, b)
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        b.diary.wait = wait
        big = "x" * 500_000
        for _ in range(60):
            a.send("b", big)
        b.send("a", "the other direction is open")
        await until(lambda: a.heard("b"))
        before = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - before > 1.0)  # five heartbeats
        assert len(b.heard("a")) <= 2
        assert are_open(a, b)
        gate.set()
        await until(lambda: len(b.heard("a")) == 60)
        assert a.link("b").resumed == b.link("a").resumed == 0


async def test_a_gateway_dials_again_as_soon_as_the_membership_tells_another_address() -> None:
    patient = replace(QUICK, redial_first_seconds=1_000.0, redial_most_seconds=1_000.0)
    a, b = side("a", patient), side("b")
    async with living(a, b, are_strangers=True):
        b.know(a)
        a.know(b=PeerAddress(NOWHERE, 1, "far"))
        await until(lambda: a.peering.trouble("b"))
        a.know(b)
        await until(lambda: are_open(a, b))


async def test_a_mistake_of_ours_in_handling_ends_the_peering_and_not_one_stream_in_silence() -> (
    None
):
    a, b = side("a"), side("b")

    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    async def play() -> None:
        async with living(a, b):
            await linked(a, b)
            b.diary.wait = stumble
            a.send("b", "hello")
            await until(lambda: False)

    with pytest.raises(ExceptionGroup) as caught:
        await play()
    assert caught.group_contains(ZeroDivisionError)
