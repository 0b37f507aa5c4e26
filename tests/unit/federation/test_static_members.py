"""Members that the settings name."""

from __future__ import annotations

import asyncio

from federation.membership import MemberInfo
from federation.static_members import FOREVER, StaticDiscovery

OWN = MemberInfo("eu-1", "eu", "10.0.0.1:7700", "10.0.0.1:7600", epoch=1_700_000)
US = MemberInfo("us-1", "us", "10.0.0.2:7700", "")


def test_they_are_there_from_the_start_and_for_ever() -> None:
    discovery = StaticDiscovery(OWN, [OWN, US])
    assert dict(discovery.members) == {"us-1": US}
    assert discovery.own == OWN
    assert discovery.sure_until == FOREVER
    assert discovery.state is None


def test_nobody_is_ever_taken_for_gone_so_everybody_may_decide_what_is_its_own() -> None:
    discovery = StaticDiscovery(OWN, [US])
    assert discovery.may_decide()
    assert discovery.say_sight()


def test_nothing_was_promised() -> None:
    assert not StaticDiscovery(OWN, [US]).is_bound()


def test_alone_there_is_nobody() -> None:
    discovery = StaticDiscovery(OWN, [])
    discovery.announce(0.5)
    assert not discovery.members
    assert repr(discovery) == "<StaticDiscovery: <Membership of eu-1: nobody else>>"


def test_whoever_asks_is_told_once_that_they_are_there() -> None:
    async def play() -> None:
        discovery = StaticDiscovery(OWN, [US])
        told = asyncio.Event()
        discovery.on_change = told.set
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(discovery.run())
            await told.wait()
            running.cancel()

    asyncio.run(play())
