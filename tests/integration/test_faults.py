"""Each fault does what its name says, and the gateway serves before and after it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.fault_proxy import FaultProxy, Way
from tests.support.faults import SickGateway, struck
from tests.support.gateway_faults import MIB, ClockJumped, DiskFull, Frozen, Killed, small_disk
from tests.support.gateways import is_running
from tests.support.line_faults import (
    FoulWeather,
    LineFault,
    LinesCut,
    LinesRefused,
    LinesStalled,
)
from tests.support.mortal_gateway import MortalGateway
from tests.support.other_clock import OtherClock
from tests.support.raw_agent import RawAgent, StreamEndedError
from tests.support.weather import Cut, Weather

pytestmark = pytest.mark.slow

HOUR = 3600.0


async def opened(gateway: MortalGateway, at: str = "") -> tuple[RawAgent, float]:
    """Return an agent that is served, and how far ahead its gateway's clock is."""
    life = gateway.life
    agent = RawAgent("alice", life.token("alice", ttl=2 * HOUR), at or life.address)
    welcome = await agent.open()
    await agent.is_served()
    return agent, welcome.now.ToNanoseconds() / 1e9 - time.time()


async def test_a_killed_gateway_serves_again_where_it_was(tmp_path: Path) -> None:
    async with MortalGateway(tmp_path / "gateway") as gateway:
        port, pid = gateway.life.port, gateway.life.pid
        workers = gateway.life.children()
        async with struck(Killed(gateway), gateway):
            assert not gateway.is_alive
            assert not await gateway.serves(0.1)
        assert gateway.life.port == port
        assert gateway.life.pid != pid
        assert not is_running(pid)
        assert len(gateway.deaths) == 1
        alice, _ = await opened(gateway)
        await alice.close()
    assert not any(map(is_running, workers))


async def test_a_frozen_gateway_answers_when_it_is_thawed(tmp_path: Path) -> None:
    async with MortalGateway(tmp_path / "gateway") as gateway:
        alice, _ = await opened(gateway)
        async with struck(Frozen(gateway), gateway):
            assert not await gateway.serves(0.2)
            msg_id = await alice.say("hello", alice.address)
        await alice.arrival(msg_id)
        await alice.close()


async def test_a_clock_that_jumps_is_believed_by_the_next_life_only(tmp_path: Path) -> None:
    clock = OtherClock(tmp_path / "clock")
    async with MortalGateway(tmp_path / "gateway", clock) as gateway:
        clock.jump(HOUR)
        alice, ahead = await opened(gateway)
        assert abs(ahead) < 10
        await alice.close()
        async with struck(ClockJumped(gateway, clock, HOUR), gateway):
            alice, ahead = await opened(gateway)
            assert abs(ahead - HOUR) < 10
            await alice.close()


async def test_a_disk_is_filled_only_when_it_is_a_small_one_of_its_own(tmp_path: Path) -> None:
    """Elsewhere the fault is not to be had, and says so."""
    assert not DiskFull(tmp_path).is_available()
    folder = tmp_path / "small"
    with small_disk(folder, 2 * MIB) as is_mounted:
        fault = DiskFull(folder)
        assert fault.is_available() is is_mounted
        if is_mounted:
            await fault.inject()
            with pytest.raises(OSError, match="No space"):
                (folder / "more").write_bytes(b"x" * 10_000)
            await fault.heal()
            (folder / "more").write_bytes(b"x" * 10_000)
    assert not (folder / "more").exists()


async def test_every_line_fault_hurts_the_line_and_not_the_gateway(tmp_path: Path) -> None:
    async with (
        MortalGateway(tmp_path / "gateway") as gateway,
        FaultProxy(gateway.life.port) as proxy,
    ):
        faults: list[LineFault] = [
            *(LinesCut([proxy], how, Way.UP, within_frame=False) for how in Cut),
            *(LinesCut([proxy], how, Way.DOWN, within_frame=True) for how in Cut),
            LinesRefused([proxy]),
            FoulWeather([proxy], Weather(cut_share=1.0)),
        ]
        for fault in faults:
            alice, _ = await opened(gateway, proxy.address)
            async with struck(fault, gateway):
                assert fault.is_available()
                with pytest.raises(StreamEndedError):
                    await alice.is_served()
            await alice.close()
        alice, _ = await opened(gateway, proxy.address)
        async with struck(LinesStalled([proxy], 60.0, Way.DOWN, silently=True), gateway):
            msg_id = await alice.say("hello", alice.address)
        await alice.arrival(msg_id)
        await alice.close()


async def test_a_gateway_that_does_not_serve_afterwards_is_found_out(tmp_path: Path) -> None:
    class Lasting(Frozen):
        async def heal(self) -> None:
            """Heal nothing."""

    async with MortalGateway(tmp_path / "gateway") as gateway:
        with pytest.raises(SickGateway) as caught:
            async with struck(Lasting(gateway), gateway, within=0.2):
                pass
        assert caught.value.when == "after"
        with pytest.raises(SickGateway) as caught:
            async with struck(Lasting(gateway), gateway, within=0.2):
                pass
        assert caught.value.when == "before"
