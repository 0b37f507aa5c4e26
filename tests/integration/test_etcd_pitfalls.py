"""What etcd does that one would not expect, each with what our client makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from federation.etcd import (
    Committed,
    Compare,
    Delete,
    EtcdClient,
    EtcdFull,
    EtcdRefused,
    EtcdUncertain,
    Found,
    Get,
    GroupCommit,
    Operation,
    Prefix,
    Put,
    Transaction,
    WasDeleted,
    created,
    modified,
    value_is,
)
from tests.support.etcd import FAST, Etcd
from tests.support.fault_proxy import FaultProxy, Way

pytestmark = pytest.mark.slow

GATEWAYS = Prefix("gateways/")


@pytest.fixture
def etcd(tmp_path: Path) -> Etcd:
    """A fresh one; it is started when the test begins and ends with it."""
    return Etcd(tmp_path)


# ------------------------------------------------------------------ writes that may have been done


async def test_a_write_without_an_answer_may_have_been_done_and_says_so(etcd: Etcd) -> None:
    async with (
        FaultProxy(etcd.port) as proxy,
        EtcdClient([proxy.address], attempt_seconds=0.3) as client,
        EtcdClient([etcd.endpoint]) as other,
    ):
        await client.get("anything")
        proxy.stall(0.6, Way.DOWN)
        with pytest.raises(EtcdUncertain):
            await client.commit([created("award") == 0], [Put("award", b"me")])
        found = await other.get("award")
        assert found is not None and found.value == b"me", "it was done"
        proxy.heal()
        again = await client.commit([created("award") == 0], [Put("award", b"me")], [Get("award")])
        assert not again.succeeded
        assert again.responses == (Found((found,)),), "whose it is, is read in the failure branch"


async def test_a_write_whose_connection_breaks_may_have_been_done_and_says_so(etcd: Etcd) -> None:
    async with (
        FaultProxy(etcd.port) as proxy,
        EtcdClient([proxy.address], attempt_seconds=2) as client,
        EtcdClient([etcd.endpoint]) as other,
    ):
        await client.get("anything")
        proxy.cut(way=Way.DOWN, within_frame=True)
        with pytest.raises(EtcdUncertain):
            await client.put("key", b"value")
        found = await other.get("key")
        assert found is not None, "it was done"


async def test_a_write_that_could_not_be_sent_was_not_done_and_says_so(etcd: Etcd) -> None:
    """So the next endpoint may be asked at once."""
    async with EtcdClient(["127.0.0.1:1", etcd.endpoint]) as client:
        assert await client.put("key", b"value") > 1
        assert client.state.reachable
        assert client.state.endpoint == etcd.endpoint


# ------------------------------------------------------------------ fencing


async def test_the_compare_on_ones_own_registration_does_not_see_who_has_joined(
    etcd: Etcd,
) -> None:
    """Both leases live, and the older one's view is behind: only the range compare stops it."""
    async with EtcdClient([etcd.endpoint]) as client:
        epoch = await client.put("gateways/old", b"")
        _, seen = await client.get_prefix(GATEWAYS.start)
        await client.put("elsewhere", b"")
        await client.put("gateways/new", b"")
        own = [created("award") == 0, created("gateways/old") == epoch]
        nobody_joined = created(GATEWAYS) <= seen
        fenced = await client.commit([*own, nobody_joined], [Put("award", b"old")])
        assert not fenced.succeeded
        unfenced = await client.commit(own, [Put("award", b"old")])
        assert unfenced.succeeded, "what the range compare is for"


async def test_a_member_that_tells_its_load_does_not_fence_the_others(etcd: Etcd) -> None:
    """A compare on the revision of the last write would."""
    async with EtcdClient([etcd.endpoint]) as client:
        await client.put("gateways/one", b"")
        await client.put("gateways/two", b"idle")
        _, seen = await client.get_prefix(GATEWAYS.start)
        await client.put("gateways/two", b"busy")
        assert (await client.commit([created(GATEWAYS) <= seen], [])).succeeded
        assert not (await client.commit([modified(GATEWAYS) <= seen], [])).succeeded


async def test_a_registration_that_was_lost_fences_its_awards(etcd: Etcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        epoch = await client.put("gateways/me", b"")
        await client.delete("gateways/me")
        mine = created("gateways/me") == epoch
        assert not (await client.commit([mine], [Put("award", b"")])).succeeded
        await client.put("gateways/me", b"")
        assert not (await client.commit([mine], [Put("award", b"")])).succeeded


async def test_a_range_compare_holds_when_nothing_is_there(etcd: Etcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        assert (await client.commit([created(GATEWAYS) <= 1], [])).succeeded
        assert not (await client.commit([value_is(GATEWAYS) == b""], [])).succeeded


# ------------------------------------------------------------------ many in one


async def test_of_transactions_in_one_each_has_its_own_outcome(etcd: Etcd) -> None:
    """A flat one would fail all of them."""

    def award(name: str) -> Transaction:
        return Transaction([created(name) == 0], [Put(name, b"me")], [Get(name)])

    async with EtcdClient([etcd.endpoint]) as client:
        await client.put("b", b"somebody else")
        names = ["a", "b", "c"]
        done = await client.commit([], [award(name) for name in names])
        outcomes = [one for one in done.responses if isinstance(one, Committed)]
        assert [one.succeeded for one in outcomes] == [True, False, True]
        flat = await client.commit(
            [created(name) == 0 for name in ("b", "d")], [Put(name, b"") for name in ("b", "d")]
        )
        assert not flat.succeeded and await client.get("d") is None


async def test_of_two_that_each_hold_only_without_the_other_one_holds(etcd: Etcd) -> None:
    """In one request both would: etcd judges all compares before it writes anything."""
    async with EtcdClient([etcd.endpoint]) as client, asyncio.TaskGroup() as tasks:
        compares, puts = [created("b") == 0, created("a") == 0], [Put("a", b""), Put("b", b"")]
        pairs = list(zip(compares, puts, strict=True))
        both = await client.commit([], [Transaction([c], [p]) for c, p in pairs])
        assert "succeeded=False" not in repr(both.responses), "what a group must not do"
        await client.delete(Prefix(""))
        group = GroupCommit(client)
        running = tasks.create_task(group.run())
        done = await asyncio.gather(*(group.commit([c], [p]) for c, p in pairs))
        assert sorted(one.succeeded for one in done) == [False, True]
        running.cancel()


async def test_of_many_that_want_the_same_awards_each_award_has_one_winner(etcd: Etcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client, asyncio.TaskGroup() as tasks:
        groups = [GroupCommit(client), GroupCommit(client)]
        running = [tasks.create_task(group.run()) for group in groups]

        async def award(group: int, name: str) -> bool:
            put, get = Put(name, b"%d" % group), Get(name)
            done = await groups[group].commit([created(name) == 0], [put], [get])
            assert done.succeeded or isinstance(done.responses[0], Found)
            return done.succeeded

        wanted = [(group, f"{number}") for number in range(300) for group in (0, 1)]
        won = await asyncio.gather(*(award(*one) for one in wanted))
        assert sum(won) == 300
        assert sum(group.requests for group in groups) < 60
        for task in running:
            task.cancel()


async def test_127_transactions_fit_into_one_and_128_do_not(etcd: Etcd) -> None:
    """etcd counts the outer operations and the inner ones together."""

    def awards(number: int) -> list[Operation]:
        return [Transaction([created(f"{n}") == 0], [Put(f"{n}", b"")]) for n in range(number)]

    async with EtcdClient([etcd.endpoint]) as client:
        done = await client.commit([], awards(127))
        assert all(isinstance(one, Committed) and one.succeeded for one in done.responses)
        with pytest.raises(ValueError, match="where etcd takes 0"):
            await client.commit([], awards(128))


async def test_the_same_key_twice_is_refused_with_everything_around_it(etcd: Etcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        twice: list[Operation] = [Put("b", b"1"), Transaction([], [Put("b", b"2")])]
        with pytest.raises(EtcdRefused, match="duplicate key"):
            await client.commit([], [Put("a", b""), *twice])
        assert await client.get("a") is None


async def test_what_operations_answer_comes_in_their_order(etcd: Etcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        await client.put("p/1", b"1")
        await client.put("p/2", b"2")
        compares: list[Compare] = [value_is("p/1") == b"1", created("p/3") == 0]
        done = await client.commit(
            compares, [Get(Prefix("p/")), Put("q", b""), Delete(Prefix("p/")), Get("p/1")]
        )
        assert done.succeeded
        before, _, deleted, after = done.responses
        assert isinstance(before, Found) and [pair.value for pair in before.pairs] == [b"1", b"2"]
        assert deleted == WasDeleted(2) and after == Found(())


# ------------------------------------------------------------------ space


async def fill(client: EtcdClient) -> None:
    for number in range(100):
        await client.put(f"award/{number}", bytes(100_000))


async def test_when_the_database_is_full_nobody_can_register_until_somebody_makes_room(
    tmp_path: Path,
) -> None:
    """What is there still counts, can be read, deleted and kept alive."""
    flags = [*FAST, f"--quota-backend-bytes={2**20}"]
    async with Etcd(tmp_path, flags=flags) as etcd, EtcdClient([etcd.endpoint]) as client:
        lease = (await client.grant(60)).lease
        with pytest.raises(EtcdFull):
            await fill(client)
        with pytest.raises(EtcdFull):
            await client.grant(60)
        assert "NOSPACE" in " ".join((await client.status()).faults)
        assert await client.keep_alive(lease) == 60
        assert await client.get("award/0") is not None
        assert await client.delete(Prefix("award/")) > 0
        _, revision = await client.get_prefix("")
        await client.compact(revision)
        with pytest.raises(EtcdFull):
            await client.put("key", b"")
        await etcd.tell("maintenance/defragment")
        for alarm in (await etcd.tell("maintenance/alarm", action="GET"))["alarms"]:
            await etcd.tell("maintenance/alarm", action="DEACTIVATE", **alarm)
        await client.put("key", b"")
