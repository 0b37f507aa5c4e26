"""A cluster on this machine, as far as it goes without gateways."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.commands.family import family
from gateway.commands.local_cluster import LocalCluster, LocalEtcd, regions_of
from gateway.commands.local_etcd import free_ports, is_healthy
from gateway.commands.trouble import FAILED, CommandError
from tests.support.gateways import is_running


def test_a_gateway_is_named_after_its_region():
    assert regions_of("eu, us,ap") == [("eu", "eu"), ("us", "us"), ("ap", "ap")]


def test_several_of_one_region_are_numbered():
    assert regions_of("eu,us,eu") == [("eu-1", "eu"), ("us", "us"), ("eu-2", "eu")]


@pytest.mark.parametrize(
    "text", ["", "eu,,us", "1eu", "eu us", "e_u", "etcd", "eu,eu,eu-1", ",".join("a" * 17)]
)
def test_regions_that_cannot_be_are_refused(text: str):
    with pytest.raises(CommandError, match="--regions"):
        regions_of(text)


@pytest.mark.slow
def test_an_etcd_is_started_and_does_not_outlive_the_cluster(tmp_path: Path):
    async def started() -> LocalEtcd:
        async with asyncio.timeout(30), family(tmp_path) as members:
            etcd = await LocalCluster(members, tmp_path, keeps=True).start_etcd()
            assert is_running(etcd.pid) and await asyncio.to_thread(is_healthy, etcd.endpoint)
            return etcd

    first, again = asyncio.run(started()), asyncio.run(started())  # on the same data
    assert first.version == again.version and first.endpoint != again.endpoint
    assert not is_running(first.pid) and not is_running(again.pid)
    assert (tmp_path / "etcd" / "member").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("in_the_way", "said"), [("etcd", "cannot hold etcd's data"), ("etcd/member", "does not serve")]
)
def test_an_etcd_that_cannot_start_is_told_with_its_last_words(
    tmp_path: Path, in_the_way: str, said: str
):
    (tmp_path / in_the_way).parent.mkdir(exist_ok=True)
    (tmp_path / in_the_way).write_text("in the way")

    async def start() -> None:
        async with asyncio.timeout(30), family(tmp_path / "logs") as members:
            await LocalCluster(members, tmp_path, keeps=True).start_etcd()

    (tmp_path / "logs").mkdir()
    with pytest.raises(CommandError, match=said) as caught:
        asyncio.run(start())
    assert caught.value.code == FAILED


def test_an_etcd_that_runs_already_must_answer(tmp_path: Path):
    nobody = f"127.0.0.1:{free_ports(1)[0]}"

    async def use() -> None:
        async with family(tmp_path) as members:
            await LocalCluster(members, tmp_path, keeps=False).use_etcd(nobody)

    with pytest.raises(CommandError, match="leave --etcd out") as caught:
        asyncio.run(use())
    assert caught.value.code == FAILED
