"""Facts in etcd are written together, by who lives, if what was read still stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from federation.etcd import EtcdUnavailable, EtcdUncertain
from federation.fact_log import KEYS_MAX, FactLog
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd


def pair() -> tuple[EtcdStore, FakeEtcd]:
    store = EtcdStore()
    return store, FakeEtcd(store, lambda: 0.0)


@asynccontextmanager
async def running(facts: FactLog) -> AsyncIterator[FactLog]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(facts.run())
        yield facts
        task.cancel()


async def test_what_is_written_is_read_with_the_revision_that_wrote_it() -> None:
    store, client = pair()
    async with running(FactLog(client, "f/")) as facts:
        revision = await facts.swap({"a": 0, "b": 0}, {"a": b"1", "b": b"2"})
        assert isinstance(revision, int)
        assert await facts.read(["a", "b", "c"]) == {
            "a": (b"1", revision),
            "b": (b"2", revision),
        }
        later = await facts.swap({"a": revision}, {"a": b"3"})
        assert isinstance(later, int)
        assert await facts.under("") == [("b", b"2", revision), ("a", b"3", later)]
        assert await facts.swap({"a": later}, {"a": None}) == later + 1
        assert set(store.pairs) == {"f/b"}
        assert repr(facts) == "<FactLog: 3 swaps in 3 transactions, 0 conflicts>"


async def test_who_was_slower_hears_what_stands_and_writes_nothing() -> None:
    """N-7.7: a transaction that compares the revision of every key that it was judged by."""
    store, client = pair()
    async with running(FactLog(client, "f/")) as facts:
        first = await facts.swap({"a": 0}, {"a": b"1"})
        assert isinstance(first, int)
        assert await facts.swap({"a": 0, "b": 0}, {"a": b"2", "b": b"2"}) == {"a": (b"1", first)}
        assert facts.conflicts == 1
        assert set(store.pairs) == {"f/a"}


async def test_a_writer_whose_registration_is_not_its_own_any_more_is_fenced_off() -> None:
    """N-7.8: the compare on the writer's own registration is the fence."""
    store, client = pair()
    epoch = await client.put("gateways/g1", b"")
    epochs = [epoch]
    facts = FactLog(client, "f/", "gateways/g1", lambda: epochs[-1])
    async with running(facts):
        assert isinstance(await facts.swap({"a": 0}, {"a": b"1"}), int)
        stale = await facts.swap({"a": 0}, {"a": b"2"})
        assert isinstance(stale, dict) and set(stale) == {"a"}
        store.pairs.pop("gateways/g1")
        assert await facts.swap({"b": 0}, {"b": b"2"}) is None
        epochs.append(await client.put("gateways/g1", b""))
        assert isinstance(await facts.swap({"b": 0}, {"b": b"2"}), int)
        assert await facts.swap({"c": 0}, {"c": b"3"}, epoch) is None, "decided in the old one"
        epochs.append(0)
        assert await facts.swap({"c": 0}, {"c": b"3"}) is None
        assert "f/c" not in store.pairs


async def test_swaps_that_touch_different_facts_share_a_transaction() -> None:
    _, client = pair()
    async with running(FactLog(client, "f/", in_flight_max=1)) as facts:
        done = await asyncio.gather(*(facts.swap({str(i): 0}, {str(i): b""}) for i in range(50)))
        assert all(isinstance(one, int) for one in done)
        assert facts.requests <= 2
        assert facts.operations == 100


async def test_alone_each_swap_is_a_transaction() -> None:
    _, client = pair()
    facts = FactLog(client, "f/", grouped=False)
    await asyncio.gather(*(facts.swap({str(i): 0}, {str(i): b""}) for i in range(5)))
    assert facts.requests == 5


async def test_many_keys_are_read_in_a_few_requests() -> None:
    _, client = pair()
    facts = FactLog(client, "f/")
    await client.put("f/7", b"x")
    found = await facts.read([str(number) for number in range(2 * KEYS_MAX + 1)])
    assert set(found) == {"7"}
    assert facts.reads == 3


async def test_what_etcd_cannot_say_is_not_said() -> None:
    """N-7.10: a lost answer stays in doubt here; who asked reads and asks again."""
    store, client = pair()
    async with running(FactLog(client, "f/")) as facts:
        client.is_mute = True
        with pytest.raises(EtcdUncertain):
            await facts.swap({"a": 0}, {"a": b"1"})
        assert "f/a" in store.pairs
        client.is_mute, client.is_away = False, True
        with pytest.raises(EtcdUnavailable):
            await facts.swap({"b": 0}, {"b": b"1"})
        with pytest.raises(EtcdUnavailable):
            await facts.read(["a"])
