"""Shards decide while their gateway may, and an operator hears when that changes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from federation.discovery import Discovery
from federation.membership import MemberInfo
from gateway.shard_fence import ASK_SECONDS, ShardFence


class Scene:
    """A discovery that says what it is told to, and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.may = True
        self.sure_until = 105.0
        self.own = MemberInfo("eu-1", "eu", "", "", epoch=7)
        self.asked = 0
        self.fence = ShardFence(cast(Discovery, self), lambda: self.now)

    def may_decide(self) -> bool:
        self.asked += 1
        return self.may

    def look(self, seconds: float = ASK_SECONDS) -> tuple[bool, list[Any]]:
        """Ask a little later; returns the answer, and what was logged of it."""
        self.now += seconds
        with capture_logs() as logs:
            answer = self.fence.may_decide()
        return answer, [line["event"] for line in logs]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_is_decided_before_the_gateway_is_registered(scene: Scene) -> None:
    scene.may = False
    assert scene.fence.is_shut
    assert scene.look() == (False, [])


def test_each_change_is_logged_once(scene: Scene) -> None:
    assert scene.look() == (True, ["decisions go on"])
    assert scene.look() == (True, [])
    scene.may = False
    assert scene.look() == (
        False,
        ["decisions stop: others may have taken this gateway for gone"],
    )
    assert scene.look() == (False, [])
    scene.may = True
    assert scene.look() == (True, ["decisions go on"])


def test_an_answer_counts_for_a_moment_because_shards_ask_for_every_message(scene: Scene) -> None:
    for _ in range(100):
        scene.look(ASK_SECONDS / 100)
    assert scene.asked <= 2
    scene.may = False
    assert scene.look(ASK_SECONDS)[0] is False


def test_it_goes_on_blind_when_it_may_though_its_lease_is_not_sure(scene: Scene) -> None:
    assert not scene.fence.is_blind(), "etcd may take a second, and the lease is sure"
    scene.now = scene.sure_until
    assert scene.fence.is_blind()
    scene.may = False
    assert not scene.fence.is_blind()


def test_an_operator_reads_how_it_is(scene: Scene) -> None:
    assert repr(scene.fence) == "<ShardFence: shut>"
    scene.look()
    assert repr(scene.fence) == "<ShardFence: open>"
