"""Processes that are looked after; tests/integration kills gateways that serve."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.commands.processes import Facts, Processes, held_ports
from gateway.settings import ServerSettings


def nobody(facts: Sequence[Facts]) -> None:
    raise AssertionError("none of them serves")


def test_the_ports_are_held_so_that_only_processes_that_share_them_can_listen() -> None:
    with held_ports(ServerSettings(port=0, processes=2)) as (port, own_ports):
        assert len({port, *own_ports}) == 3
        for one in (port, *own_ports):
            with pytest.raises(OSError, match="in use"), socket.create_server(("127.0.0.1", one)):
                pass
            with socket.create_server(("127.0.0.1", one), reuse_port=True):
                pass


def test_a_port_on_which_somebody_listens_is_not_shared_with_them() -> None:
    """The kernel would give each of the two a part of the agents."""
    with (
        socket.create_server(("127.0.0.1", 0), reuse_port=True) as other,
        pytest.raises(OSError, match="in use"),
        held_ports(ServerSettings(port=other.getsockname()[1], processes=2)),
    ):
        pass


def test_a_held_port_gets_no_connection() -> None:
    with (
        held_ports(ServerSettings(port=0, processes=2)) as (port, _),
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.1", port), timeout=1),
    ):
        pass


@pytest.mark.slow
async def test_one_that_cannot_start_ends_all_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has said why; to start it again would only say it again."""
    monkeypatch.setenv("LLMX_STATE_DIR", str(tmp_path))
    processes = Processes({"eu-1": ["--set", "server.nothing=1"], "eu-2": ["--nothing"]}, 5.0)
    async with asyncio.timeout(60):
        assert await processes.run(asyncio.Event(), nobody) == 2
    assert repr(processes) == "<Processes: 0 of 2 live>"


@pytest.mark.slow
async def test_they_end_when_they_are_told_to_before_they_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMX_STATE_DIR", str(tmp_path))
    stop = asyncio.Event()
    stop.set()
    processes = Processes({"eu-1": ["--until-eof", "--port", "0"]}, 10.0)
    async with asyncio.timeout(60):
        assert await processes.run(stop, nobody) == 0
    assert repr(processes) == "<Processes: 0 of 1 live>"
