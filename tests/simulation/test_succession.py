"""Who may take over from whom, by what stands in etcd."""

from __future__ import annotations

import pytest

from federation.etcd.transactions import (
    Committed,
    Delete,
    Found,
    KeyValue,
    Put,
    Transaction,
    WasPut,
)
from tests.simulation.succession import Holder, Life, Succession, Wait, read_holder, written
from tests.support.etcd_store import EtcdStore

CALL = "gone.0.x"
LEASE = 5.0


class Scene:
    """A store, and what one gateway of it knows."""

    def __init__(self) -> None:
        self.store = EtcdStore()
        self.leases: dict[str, int] = {}
        self.known: dict[str, Succession] = {}

    def join(self, gateway_id: str, number: int = 1) -> Succession:
        """Register a gateway and its life, and let it see itself."""
        knows = Succession("llmx", gateway_id, number)
        self.known[gateway_id] = knows
        self.leases[gateway_id] = lease = self.store.grant(LEASE, 0.0)
        self.put(knows.own_key, b"{}", lease)
        self.look(gateway_id)
        knows.renew(self.epoch(gateway_id))
        self.put(knows.own_life_key, written(knows.own_life))
        self.look(gateway_id)
        return knows

    def put(self, key: str, value: bytes, lease: int = 0) -> None:
        self.store.commit(Transaction([], [Put(key, value, lease)]))

    def epoch(self, gateway_id: str) -> int:
        return self.store.pairs[f"llmx/gateways/{gateway_id}"].create_revision

    def look(self, gateway_id: str) -> None:
        """Let a gateway hear what has changed."""
        knows = self.known[gateway_id]
        for change in self.store.changes("llmx/gateways/", knows.revision):
            knows.change(change.key, change.pair)
        knows.advance(self.store.revision)

    def tell(self, gateway_id: str) -> None:
        """Let a gateway see everybody, and say so in its life."""
        self.look(gateway_id)
        knows = self.known[gateway_id]
        if knows.renew(self.epoch(gateway_id)):
            self.put(knows.own_life_key, written(knows.own_life))

    def lose(self, gateway_id: str) -> None:
        self.store.revoke(self.leases[gateway_id])

    def claim(self, gateway_id: str, negotiation_id: str = CALL) -> Committed | Wait:
        asked = self.known[gateway_id].claim(negotiation_id, self.epoch(gateway_id))
        return asked if isinstance(asked, Wait) else self.store.commit(asked)


def holder(done: Committed | Wait) -> Holder | None:
    assert isinstance(done, Committed) and not done.succeeded
    (there,) = done.responses
    assert isinstance(there, Found)
    return read_holder(there.pairs[0].value) if there.pairs else None


def test_of_two_heirs_one_has_it_and_the_other_finds_it() -> None:
    scene = Scene()
    for one in ("eu", "us"):
        scene.join(one)
    for one in ("eu", "us"):
        scene.tell(one)
        scene.look("eu")
        scene.look("us")
    done = scene.claim("eu")
    assert isinstance(done, Committed) and done.succeeded and done.responses == (WasPut(),)
    assert holder(scene.claim("us")) == Holder("eu", scene.epoch("eu"))


def test_a_claim_ends_with_the_registration_of_who_made_it() -> None:
    scene = Scene()
    scene.join("eu")
    scene.claim("eu")
    assert f"llmx/claims/{CALL}" in scene.store.pairs
    scene.lose("eu")
    assert f"llmx/claims/{CALL}" not in scene.store.pairs


def test_what_was_claimed_can_be_given_up_by_who_has_it() -> None:
    scene = Scene()
    eu, us = scene.join("eu"), scene.join("us")
    scene.look("eu")
    scene.claim("eu")
    scene.store.commit(us.release(CALL, scene.epoch("us")))
    assert f"llmx/claims/{CALL}" in scene.store.pairs
    scene.store.commit(eu.release(CALL, scene.epoch("eu")))
    assert f"llmx/claims/{CALL}" not in scene.store.pairs


def test_who_has_lost_its_registration_takes_over_nothing() -> None:
    """Its lease may live on: somebody has deleted the key."""
    scene = Scene()
    eu = scene.join("eu")
    epoch = scene.epoch("eu")
    asked = eu.claim(CALL, epoch)
    assert isinstance(asked, Transaction)
    scene.store.commit(Transaction([], [Delete(eu.own_key)]))
    assert not scene.store.commit(asked).succeeded
    scene.look("eu")
    assert isinstance(eu.claim(CALL, epoch), Wait)


def test_while_somebody_came_who_is_not_known_nothing_is_taken_over() -> None:
    """It may be the owner itself, that has registered again."""
    scene = Scene()
    scene.join("eu")
    scene.join("gone")
    assert holder(scene.claim("eu")) is None
    scene.look("eu")
    scene.tell("gone")
    scene.look("eu")
    done = scene.claim("eu")
    assert isinstance(done, Committed) and done.succeeded


def test_a_gateway_takes_over_from_a_lost_one_that_knew_it() -> None:
    scene = Scene()
    scene.join("eu")
    scene.join("gone")  # sees eu when it comes
    scene.lose("gone")
    scene.look("eu")
    done = scene.claim("eu")
    assert isinstance(done, Committed) and done.succeeded


def test_a_stranger_to_a_lost_gateway_waits_until_its_life_has_ended() -> None:
    scene = Scene()
    gone = scene.join("gone")
    scene.lose("gone")
    scene.join("eu")
    waiting = scene.claim("eu")
    assert waiting == Wait("gone was lost before it knew this gateway")
    scene.store.commit(Transaction([], [Delete(gone.own_life_key)]))
    scene.look("eu")
    done = scene.claim("eu")
    assert isinstance(done, Committed) and done.succeeded


def test_a_stranger_takes_over_only_while_those_it_is_strange_to_are_registered() -> None:
    """What they have claimed speaks for itself, as long as they are; here nobody saw them go."""
    scene = Scene()
    scene.join("gone")
    scene.join("eu")
    asked = scene.known["eu"].claim(CALL, scene.epoch("eu"))
    assert isinstance(asked, Transaction)
    scene.lose("gone")
    assert not scene.store.commit(asked).succeeded


def test_a_life_of_another_epoch_than_the_registration_counts_as_lost() -> None:
    scene = Scene()
    scene.join("gone")
    scene.join("eu")
    scene.lose("gone")
    scene.put("llmx/gateways/gone", b"{}")
    scene.look("eu")
    assert isinstance(scene.claim("eu"), Wait)


def test_a_life_that_cannot_be_read_knows_nobody() -> None:
    scene = Scene()
    scene.join("eu")
    scene.put("llmx/gateways/gone/7", b"nonsense")
    scene.look("eu")
    assert isinstance(scene.claim("eu"), Wait)
    assert read_holder(b"nonsense") is None


def test_a_life_says_whom_its_gateway_has_seen() -> None:
    scene = Scene()
    eu = scene.join("eu")
    assert eu.own_life.seen >= scene.epoch("eu")
    assert eu.is_told(scene.epoch("eu")) and not eu.is_told(99) and not eu.is_told(0)
    assert not eu.renew(scene.epoch("eu")), "nothing new"
    scene.join("us")
    scene.look("eu")
    assert eu.renew(scene.epoch("eu"))
    assert eu.own_life == Life("eu", scene.epoch("eu"), scene.store.revision)
    assert eu.renew(scene.epoch("eu")), "etcd has not heard of it"
    scene.put(eu.own_life_key, written(eu.own_life))
    scene.look("eu")
    assert not eu.renew(scene.epoch("eu"))


def test_a_life_says_no_epoch_before_there_is_one() -> None:
    eu = Succession("llmx", "eu", 1)
    assert eu.renew(0) and eu.own_life == Life("eu", 0, 0)


def test_the_lost_are_buried_by_those_they_knew_when_a_lease_has_gone_by() -> None:
    """A registration that was replaced is gone at once, and its lease is not."""
    scene = Scene()
    eu = scene.join("eu")
    scene.join("gone")
    scene.lose("gone")
    scene.look("eu")
    epoch = scene.epoch("eu")
    assert eu.burials(100.0, epoch, LEASE) == []
    assert eu.burials(104.9, epoch, LEASE) == []
    (burial,) = eu.burials(105.1, epoch, LEASE)
    assert scene.store.commit(burial).succeeded
    assert "llmx/gateways/gone/1" not in scene.store.pairs


def test_nobody_is_buried_who_registers_again_meanwhile() -> None:
    scene = Scene()
    eu = scene.join("eu")
    gone = scene.join("gone")
    scene.lose("gone")
    scene.look("eu")
    epoch = scene.epoch("eu")
    eu.burials(100.0, epoch, LEASE)
    (burial,) = eu.burials(106.0, epoch, LEASE)
    scene.put("llmx/gateways/gone", b"{}")
    scene.put(gone.own_life_key, written(Life("gone", scene.epoch("gone"), 1)))
    assert not scene.store.commit(burial).succeeded
    scene.look("eu")
    assert eu.burials(200.0, epoch, LEASE) == []


def test_strangers_bury_nobody() -> None:
    scene = Scene()
    scene.join("gone")
    eu = scene.join("eu")
    scene.lose("gone")
    scene.look("eu")
    eu.burials(0.0, scene.epoch("eu"), LEASE)
    assert eu.burials(100.0, scene.epoch("eu"), LEASE) == []


def test_an_earlier_process_of_the_same_gateway_is_somebody_else() -> None:
    scene = Scene()
    scene.join("eu", number=1)
    scene.lose("eu")
    scene.join("eu", number=2)
    assert isinstance(scene.claim("eu", "eu.0.x"), Wait)


def test_all_that_stands_replaces_what_was_known() -> None:
    scene = Scene()
    eu = scene.join("eu")
    scene.join("us")
    scene.look("eu")
    assert eu.others == {"us": scene.epoch("us")}
    own = scene.store.pairs["llmx/gateways/eu"]
    eu.replace([own], 50)
    assert eu.others == {} and eu.revision == 50
    assert repr(eu) == "<Succession of llmx/gateways/eu/1: 0 others, 0 lives at 50>"


@pytest.mark.parametrize("key", ["llmx/gateways/eu", "llmx/gateways/us"])
def test_a_registration_is_no_life(key: str) -> None:
    eu = Succession("llmx", "eu", 1)
    assert not eu.change(key, KeyValue(key, b"", 3, 3, 1, 1))
    assert eu.change(key + "/4", KeyValue(key + "/4", b"", 3, 3, 1, 1))
