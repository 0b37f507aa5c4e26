"""`llmx ctl policy`, as far as it goes without a gateway; test_live_policies has the rest."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.commands import ctl_policy
from gateway.commands.admin import Reached
from gateway.commands.control import profile_of
from gateway.commands.ctl_policy import PolicyCtl
from gateway.policies import proto_of
from llmx.control import Control
from llmx.errors import ControlError
from llmx.v1.admin_service_pb2 import ListMembersResponse
from llmx.v1.cluster_pb2 import Cluster, ClusterMember
from llmx.v1.control_service_pb2 import ListPoliciesResponse
from policy.acceptance import PROFILES, parse


class Gateway:
    """What one gateway says of its profiles, one answer after the other."""

    def __init__(self, *revisions: int) -> None:
        self._revisions = list(revisions)
        self.asked = 0
        self.is_closed = False

    async def list_policies(self) -> ListPoliciesResponse:
        self.asked += 1
        revision = self._revisions.pop(0) if len(self._revisions) > 1 else self._revisions[0]
        if revision < 0:
            raise ControlError("PERMISSION_DENIED", "not you")
        made = parse({}, PROFILES["flow/low"], name="quick", revision=max(revision, 1))
        return ListPoliciesResponse(profiles=[proto_of(made)] if revision else [])

    async def close(self) -> None:
        self.is_closed = True


def reached(monkeypatch: pytest.MonkeyPatch, own: Gateway, **others: Gateway) -> Reached:
    members = [ClusterMember(gateway_id="eu", agents_address="eu:1")]
    members += [ClusterMember(gateway_id=name, agents_address=f"{name}:1") for name in others]
    monkeypatch.setattr(
        ctl_policy, "Control", lambda address, tokens, tls: others[address.partition(":")[0]]
    )
    told = ListMembersResponse(cluster=Cluster(gateway_id="eu"), members=members)
    return Reached(cast(Any, SimpleNamespace(address="eu:1")), told, cast(Any, None), None)


def has(revision: int) -> ctl_policy.Holds:
    return lambda told: any(one.revision >= revision for one in told.profiles)


async def stands(cluster: Reached, own: Gateway, holds: ctl_policy.Holds) -> str:
    used = PolicyCtl("eu:1", None, None, as_json=False)
    return await used._stands(cluster, cast(Control, own), holds)


async def test_a_change_stands_when_every_gateway_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctl_policy, "LOOK_SECONDS", 0.0)
    own, slow = Gateway(2), Gateway(0, 1, 1, 2)
    cluster = reached(monkeypatch, own, us=slow)
    assert await stands(cluster, own, has(2)) == "eu, us"
    assert slow.asked == 4 and slow.is_closed and not own.is_closed
    assert not cluster.trouble


async def test_who_does_not_have_it_in_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctl_policy, "STANDS_SECONDS", 0.02)
    monkeypatch.setattr(ctl_policy, "LOOK_SECONDS", 0.001)
    own, behind, denied = Gateway(2), Gateway(1), Gateway(-1)
    cluster = reached(monkeypatch, own, us=behind, ap=denied)
    assert await stands(cluster, own, has(2)) == "eu"
    assert sorted(sentence.partition(":")[0] for sentence in cluster.trouble) == [
        "gateway us does not have it yet",
        "whether gateway ap at ap",
    ]


def test_what_get_shows_is_what_set_takes() -> None:
    changed = parse({"quorum": 0.5, "settle": 1.5, "confirm": True}, PROFILES["low"], name="mine")
    for profile in (*PROFILES.values(), changed):
        told = proto_of(profile)
        fields = json.dumps(ctl_policy._fields(told))
        again = profile_of(profile.name, fields)
        again.revision = told.revision
        assert again == told


@pytest.mark.parametrize("command", ["list", "get", "set", "delete"])
def test_a_gateway_that_is_away_is_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    used = PolicyCtl("127.0.0.1:1", "a.b.c", None, as_json=False)
    arguments = {"list": (), "set": ("quick", "{}")}.get(command, ("quick",))
    assert getattr(used, command)(*arguments) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"llmx ctl policy {command}: no gateway" in said


def test_what_is_no_address_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert PolicyCtl("localhost", "a.b.c", None, as_json=False).list() == 2
    assert "HOST:PORT" in capsys.readouterr().err
