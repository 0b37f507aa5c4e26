"""A registration: its epoch, and how long one may be sure of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from grpc import StatusCode

from federation.etcd import EtcdClient, EtcdDenied, Registration
from federation.etcd.calls import GRANT, KEEP_ALIVE, RANGE, REVOKE, TXN
from federation.etcd.registration import NEVER
from federation.etcd.v1.key_value_pb2 import (
    KeyValue,
    RangeResponse,
    ResponseHeader,
    TxnResponse,
)
from federation.etcd.v1.lease_pb2 import (
    LeaseGrantResponse,
    LeaseKeepAliveResponse,
    LeaseRevokeResponse,
)
from tests.support.scripted_etcd import SILENCE, ScriptedEtcd

NO_LEADER = StatusCode.UNAVAILABLE, "etcdserver: no leader"
TIMED_OUT = StatusCode.UNAVAILABLE, "etcdserver: request timed out"
DENIED = StatusCode.PERMISSION_DENIED, "etcdserver: permission denied"
NOT_THERE = RangeResponse()
LEASE = 7
TTL = 6
ALIVE = [LeaseKeepAliveResponse(id=LEASE, ttl=TTL)]
LOST = [LeaseKeepAliveResponse(id=LEASE, ttl=0)]


def there(epoch: int, lease: int = LEASE, value: bytes = b"me") -> RangeResponse:
    pair = KeyValue(key=b"me", value=value, create_revision=epoch, mod_revision=epoch, lease=lease)
    return RangeResponse(kvs=[pair])


def done(revision: int, *, succeeded: bool = True) -> TxnResponse:
    return TxnResponse(header=ResponseHeader(revision=revision), succeeded=succeeded)


class Scene(Registration):
    """A registration with a clock and a value of the test."""

    def __init__(self, client: EtcdClient) -> None:
        self.clock = 100.0
        self.says = b"me"
        self.epochs: list[int] = []
        super().__init__(client, "me", lambda: self.says, TTL, lambda: self.clock)
        self.on_change = lambda: self.epochs.append(self.epoch)


@asynccontextmanager
async def registered(etcd: ScriptedEtcd) -> AsyncIterator[Scene]:
    """Begin a scene in which all has gone well once, with the epoch 20."""
    async with EtcdClient([etcd.endpoint]) as client:
        scene = Scene(client)
        await scene.look()
        assert scene.epochs == [20]
        etcd.answers(RANGE, there(20))
        yield scene


@pytest.fixture
def etcd() -> ScriptedEtcd:
    etcd = ScriptedEtcd()
    etcd.answers(GRANT, LeaseGrantResponse(id=LEASE, ttl=TTL))
    etcd.answers(KEEP_ALIVE, ALIVE)
    etcd.answers(RANGE, NOT_THERE)
    etcd.answers(TXN, done(20))
    etcd.answers(REVOKE, LeaseRevokeResponse())
    return etcd


async def test_a_key_is_made_under_a_lease_and_its_revision_is_the_epoch(
    etcd: ScriptedEtcd,
) -> None:
    async with registered(etcd) as scene:
        assert (scene.epoch, scene.sure_until, scene.fault) == (20, 106.0, "")
        assert repr(scene) == "<Registration of me: epoch 20, sure for 6.0 s>"
    (txn,) = etcd.heard[TXN.path]
    (compare,), (operation,) = txn.compare, txn.success
    assert (compare.key, compare.target, compare.create_revision) == (b"me", 1, 0)
    assert operation.request_put.value == b"me" and operation.request_put.lease == LEASE


async def test_a_keepalive_counts_from_when_it_was_sent(etcd: ScriptedEtcd) -> None:
    """The server's clock began somewhere on the way; to count from the answer is too late."""
    async with registered(etcd) as scene:
        scene.clock = 102.0

        def slow(_: object) -> LeaseKeepAliveResponse:
            scene.clock += 1.5
            return ALIVE[0]

        etcd.answers(KEEP_ALIVE, [slow])
        assert await scene.look() == TTL / 3
        assert scene.sure_until == 108.0
        assert scene.epochs == [20], "that is no change"


async def test_a_grant_counts_from_when_it_was_asked_for(etcd: ScriptedEtcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        scene = Scene(client)

        def slow(_: object) -> LeaseGrantResponse:
            scene.clock += 1.5
            return LeaseGrantResponse(id=LEASE, ttl=TTL)

        etcd.answers(GRANT, slow)
        await scene.look()
        assert scene.sure_until == 106.0


async def test_while_etcd_is_away_the_epoch_stays_and_certainty_ends(etcd: ScriptedEtcd) -> None:
    """Lease and epoch may survive; nobody can know."""
    async with registered(etcd) as scene:
        etcd.answers(KEEP_ALIVE, [NO_LEADER])
        scene.clock = 110.0
        assert await scene.look() < TTL / 3, "it tries again sooner"
        assert (scene.epoch, scene.sure_until) == (20, 106.0)
        assert "no leader" in scene.fault
        etcd.answers(KEEP_ALIVE, ALIVE)
        await scene.look()
        assert (scene.epoch, scene.sure_until, scene.fault) == (20, 116.0, "")
        assert scene.epochs == [20]


async def test_a_lease_that_is_lost_is_replaced_and_the_epoch_is_another(
    etcd: ScriptedEtcd,
) -> None:
    async with registered(etcd) as scene:
        etcd.answers(KEEP_ALIVE, LOST)
        etcd.answers(RANGE, NOT_THERE)
        etcd.answers(TXN, done(31))
        await scene.look()
        assert scene.epochs == [20, 0, 31]
    assert len(etcd.heard[GRANT.path]) == 2


async def test_a_key_that_somebody_deleted_is_made_again_under_the_same_lease(
    etcd: ScriptedEtcd,
) -> None:
    async with registered(etcd) as scene:
        etcd.answers(RANGE, NOT_THERE)
        etcd.answers(TXN, done(31))
        await scene.look()
        assert scene.epochs == [20, 0, 31]
    assert len(etcd.heard[GRANT.path]) == 1


async def test_a_registration_whose_answer_was_lost_is_found(etcd: ScriptedEtcd) -> None:
    """The write may have been done: its lease tells whose it is."""
    async with EtcdClient([etcd.endpoint]) as client:
        scene = Scene(client)
        etcd.answers(TXN, TIMED_OUT)
        await scene.look()
        assert scene.epoch == 0 and "timed out" in scene.fault
        etcd.answers(RANGE, there(20))
        scene.clock = 103.0
        await scene.look()
        assert (scene.epoch, scene.sure_until) == (20, 109.0)
    assert len(etcd.heard[GRANT.path]) == 1


async def test_at_its_start_it_takes_the_place_of_an_earlier_life(etcd: ScriptedEtcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        scene = Scene(client)
        etcd.answers(RANGE, there(9, lease=1, value=b"dead"))
        await scene.look()
        assert scene.epochs == [20]
    delete, create = etcd.heard[TXN.path]
    assert delete.compare[0].create_revision == 9, "and of nobody else's"
    assert delete.success[0].request_delete_range.key == b"me"
    assert create.compare[0].create_revision == 0


async def test_later_it_waits_for_whoever_has_its_name(etcd: ScriptedEtcd) -> None:
    async with registered(etcd) as scene:
        etcd.answers(RANGE, there(25, lease=1))
        await scene.look()
        await scene.look()
        assert scene.epochs == [20, 0] and "somebody else" in scene.fault
        assert scene.sure_until == NEVER
        etcd.answers(RANGE, NOT_THERE)
        etcd.answers(TXN, done(31))
        await scene.look()
        assert scene.epochs == [20, 0, 31]


async def test_who_was_quicker_is_not_overwritten(etcd: ScriptedEtcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        scene = Scene(client)
        etcd.answers(TXN, done(20, succeeded=False))
        await scene.look()
        assert scene.epoch == 0 and "just registered" in scene.fault
        assert "none (somebody else" in repr(scene)


async def test_a_value_that_has_changed_is_written_under_the_same_epoch(
    etcd: ScriptedEtcd,
) -> None:
    async with registered(etcd) as scene:
        scene.says = b"busy"
        etcd.answers(TXN, done(25))
        scene.clock = 102.0
        await scene.look()
        await scene.look()
        assert (scene.epochs, scene.sure_until) == ([20], 108.0)
    _, written = etcd.heard[TXN.path]
    assert written.success[0].request_put.value == b"busy"
    assert [compare.target for compare in written.compare] == [1, 4], "still mine, on my lease"


async def test_a_value_is_not_written_over_somebody_elses(etcd: ScriptedEtcd) -> None:
    async with registered(etcd) as scene:
        scene.says = b"busy"
        etcd.answers(TXN, done(25, succeeded=False))
        etcd.answers(RANGE, there(25, lease=1))
        await scene.look()
        assert scene.epochs == [20, 0]


async def test_who_may_not_register_hears_it_unless_it_was_registered_before(
    etcd: ScriptedEtcd,
) -> None:
    async with registered(etcd) as scene:
        etcd.answers(RANGE, DENIED)
        await scene.look()
        assert scene.epoch == 20 and "permission denied" in scene.fault
    etcd.answers(TXN, DENIED)
    etcd.answers(RANGE, NOT_THERE)
    async with EtcdClient([etcd.endpoint]) as client:
        with pytest.raises(EtcdDenied):
            await Scene(client).run()


async def test_who_leaves_ends_the_lease_after_it_has_stopped_to_be_sure(
    etcd: ScriptedEtcd,
) -> None:
    async with EtcdClient([etcd.endpoint]) as client, asyncio.TaskGroup() as tasks:
        scene = Scene(client)

        def revoked(_: object) -> LeaseRevokeResponse:
            assert scene.epoch == 0 and scene.sure_until == NEVER
            return LeaseRevokeResponse()

        etcd.answers(REVOKE, revoked)
        running = tasks.create_task(scene.run())
        await etcd.asked(TXN)
        running.cancel()
        request = await etcd.asked(REVOKE)
        assert request.id == LEASE


async def test_who_leaves_does_not_wait_for_ever_for_an_etcd_that_is_away(
    etcd: ScriptedEtcd,
) -> None:
    etcd.answers(REVOKE, SILENCE)
    client = EtcdClient([etcd.endpoint], attempt_seconds=0.05)
    async with client, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Scene(client).run())
        await etcd.asked(TXN)
        running.cancel()
        async with asyncio.timeout(2):
            await asyncio.wait([running])


async def test_what_is_announced_is_written_at_once(etcd: ScriptedEtcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client, asyncio.TaskGroup() as tasks:
        scene = Scene(client)
        running = tasks.create_task(scene.run())
        await etcd.asked(TXN)
        scene.says = b"busy"
        scene.announce()
        written = await etcd.asked(TXN, 2)
        assert written.success[0].request_put.value == b"busy"
        running.cancel()


async def test_a_lease_of_nothing_is_refused() -> None:
    async with EtcdClient(["127.0.0.1:1"]) as client:
        with pytest.raises(ValueError, match="a second at least"):
            Registration(client, "me", bytes, 0, float)
