"""The shell around the mesh; tests/integration/test_peering.py lets it live."""

from __future__ import annotations

import grpc

from federation.peering import PeerAddress
from tests.support.peers import side


def test_before_it_runs_a_gateway_knows_its_members_and_queues_for_them() -> None:
    gateway = side("a")
    members = {one: PeerAddress("127.0.0.1:1", 1, "eu") for one in ("a", "b")}
    gateway.peering.set_members(members)
    assert gateway.diary.begun == ["b"]
    assert gateway.peering.send("b", b"hello")
    assert [link.gateway_id for link in gateway.peering.links()] == ["b"]
    assert gateway.link("b").queued == 1
    assert gateway.peering.trouble("b") == ""
    assert gateway.peering.view("b").heard_at < 0
    assert repr(gateway.peering) == "<Peering: <Mesh of a: 0 of 1 open>>"


def test_a_new_epoch_before_it_runs_begins_all_links_anew() -> None:
    gateway = side("a")
    gateway.peering.set_members({"b": PeerAddress("127.0.0.1:1", 1, "eu")})
    gateway.peering.send("b", b"hello")
    gateway.peering.set_own_epoch(2)
    assert [one.messages for one in gateway.diary.ended] == [(b"hello",)]
    assert gateway.diary.begun == ["b", "b"]


def test_its_service_takes_and_gives_bytes() -> None:
    handlers = side("a").peering.handlers()
    assert list(handlers) == ["Peer"]
    handler: grpc.RpcMethodHandler[bytes, bytes] = handlers["Peer"]
    assert handler.request_deserializer is None
    assert handler.response_serializer is None
    assert handler.request_streaming
    assert handler.response_streaming
