"""The processes of the demo."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.family import Family, environment, family
from gateway.commands.trouble import FAILED, CommandError
from tests.support.gateways import is_running

GATEWAY = ("gateway", "--port", "0", "--metrics-port", "none", "--announce", "json", "--until-eof")


def play(folder: Path, scene: Callable[[Family], Coroutine[Any, Any, None]]) -> None:
    """Play a scene with a family."""

    async def bounded() -> None:
        async with asyncio.timeout(60), family(folder) as members:
            await scene(members)

    asyncio.run(bounded())


def test_settings_of_the_user_do_not_reach_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LLMX_SERVER__PORT", "1")
    monkeypatch.setenv("LLMX_TOKEN", "mine")
    monkeypatch.setenv("ETCD_NAME", "mine")
    made = environment(tmp_path)
    assert [name for name in made if name.startswith(("LLMX_", "ETCD_"))] == ["LLMX_STATE_DIR"]
    assert environment(tmp_path, "theirs")["LLMX_TOKEN"] == "theirs"
    assert made["PYTHONPATH"].split(os.pathsep)[0]


def test_a_cluster_of_the_user_gets_the_users_settings_and_ours_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LLMX_SERVER__PORT", "1")
    monkeypatch.setenv("LLMX_ENGINE__SHARDS", "8")
    monkeypatch.setenv("LLMX_TOKEN", "mine")
    made = environment(tmp_path, settings={"server.port": "0"}, inherits=True)
    assert (made["LLMX_SERVER__PORT"], made["LLMX_ENGINE__SHARDS"]) == ("0", "8")
    assert "LLMX_TOKEN" not in made


@pytest.mark.slow
def test_nobody_outlives_the_family(tmp_path: Path):
    pids: list[int] = []

    async def scene(members: Family) -> None:
        await members.start("gateway", *GATEWAY)
        event = await members.event(30, "the gateway")
        assert event["event"] == "announced" and event["port"] > 0
        pids.extend(members.pids.values())
        assert all(map(is_running, pids))

    play(tmp_path, scene)
    assert len(pids) == 1 and not any(map(is_running, pids))


@pytest.mark.slow
def test_who_ends_too_early_is_named_with_its_last_words(tmp_path: Path):
    async def scene(members: Family) -> None:
        await members.start("bob", "agent", "agent://bob", "--strategy", "none")
        await members.event(30, "bob")

    with pytest.raises(CommandError) as caught:
        play(tmp_path, scene)
    assert caught.value.code == FAILED
    assert "bob has ended with exit code 2" in str(caught.value)
    assert "no strategy 'none'" in str(caught.value)


def test_what_does_not_come_is_not_waited_for_longer(tmp_path: Path):
    async def scene(members: Family) -> None:
        await members.event(0.01, "the gateway")

    with pytest.raises(CommandError) as caught:
        play(tmp_path, scene)
    assert "the gateway did not come in time" in str(caught.value)


@pytest.mark.slow
def test_who_was_killed_on_purpose_is_missed_by_nobody(tmp_path: Path):
    async def scene(members: Family) -> None:
        await members.run("sleeper", "/bin/sleep", "60")
        assert members.lives("sleeper")
        members.kill("sleeper")
        event = await members.event(30, "its end")
        assert (event["event"], event["code"]) == ("ended", -9)
        assert not members.lives("sleeper")
        members.post(event="news", from_whom="us")
        assert (await members.event(30, "news"))["from_whom"] == "us"

    play(tmp_path, scene)


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 3])
def test_who_may_end_is_missed_only_when_it_ends_badly(tmp_path: Path, code: int):
    async def scene(members: Family) -> None:
        await members.run("worker", "/bin/sh", "-c", f"exit {code}")
        members.may_end("worker")
        event = await members.event(30, "its end")
        assert (event["event"], event["code"]) == ("ended", 0)

    if code:
        with pytest.raises(CommandError, match="worker has ended with exit code 3"):
            play(tmp_path, scene)
    else:
        play(tmp_path, scene)


@pytest.mark.slow
def test_other_programs_are_told_to_end_and_in_their_turn(tmp_path: Path):
    """The first looks for the second one's file, which is there as long as that one lives."""
    file = tmp_path / "second"
    there = """echo '{"event": "there"}'; while true; do sleep 0.01; done"""
    last = f"touch {file}; trap 'rm {file}; exit' TERM; {there}"
    first = f"trap 'test -e {file} && echo in time >&2; exit' TERM; {there}"

    async def scene(members: Family) -> None:
        await members.run("last", "/bin/sh", "-c", last, turn=1)
        await members.run("first", "/bin/sh", "-c", first)
        heard = {(await members.event(30, "both"))["process"] for _ in range(2)}
        assert heard == {"first", "last"}

    play(tmp_path, scene)
    assert (tmp_path / "first.log").read_text() == "in time\n"
    assert not file.exists()
