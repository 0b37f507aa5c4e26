"""Texts in etcd: heard by all gateways, and not kept while it is away."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from gateway.governing.keeping import KeepError
from gateway.governing.kept_in_etcd import KeptInEtcd
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd
from tests.support.keepers import in_etcd, listening


async def test_what_one_gateway_keeps_all_hear_and_who_comes_later_too() -> None:
    store = EtcdStore()
    async with listening(in_etcd(store)) as one, listening(in_etcd(store)) as two:
        await one.keeper.put("page/a|b/1", b"text")
        await two.until({"page/a|b/1": b"text"})
        change = lambda text: (text or b"") + b"x"  # noqa: E731 - both do the same
        await asyncio.gather(one.keeper.change("sum", change), two.keeper.change("sum", change))
        await one.until({"page/a|b/1": b"text", "sum": b"xx"})
        await two.keeper.remove("page/a|b/1")
        await one.until({"sum": b"xx"})
        async with listening(in_etcd(store)) as late:
            assert late.texts == {"sum": b"xx"}


async def test_while_etcd_is_away_nothing_is_kept() -> None:
    store = EtcdStore()
    keeper = in_etcd(store)
    async with listening(keeper) as heard:
        client = cast(FakeEtcd, keeper._client)
        client.is_away = True
        for change in (
            keeper.put("a", b"1"),
            keeper.change("a", lambda text: b"1"),
            keeper.remove("a"),
        ):
            with pytest.raises(KeepError):
                await change
        client.is_away = False
        await keeper.put("a", b"2")
        await heard.until({"a": b"2"})
    assert isinstance(keeper, KeptInEtcd)
