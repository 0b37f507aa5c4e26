"""Gateways that peer over real sockets: who is believed to be whom, and who is sent away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from federation.dialling import METHOD, OPTIONS
from federation.greeting import OwnGateway, hello_of
from federation.peer_states import PeerAddress
from federation.peer_tls import PeerTls
from federation.peer_tls_files import PeerTlsFiles
from llmx.wire.v1.peer_frame_pb2 import PeerContent
from tests.support.certificates import Authority
from tests.support.peers import PeerSide, living, side, until


def tls_of(authority: Authority, gateway_id: str) -> PeerTls:
    signed = authority.signed(gateway_id)
    return PeerTls(authority.certificate, signed.certificate, signed.key)


async def test_gateways_that_show_certificates_with_their_ids_are_linked() -> None:
    authority = Authority()
    a, b = (side(one, tls=tls_of(authority, one)) for one in ("a", "b"))
    async with living(a, b):
        a.send("b", "hello")
        await until(lambda: b.heard("a") == ["hello"])


async def test_a_gateway_whose_certificate_bears_another_id_is_refused_by_the_one_it_dials() -> (
    None
):
    authority = Authority()
    mallory, b = side("a", tls=tls_of(authority, "z")), side("b", tls=tls_of(authority, "b"))
    async with living(mallory, b):
        await until(lambda: mallory.peering.trouble("b"))
        assert "PERMISSION_DENIED" in mallory.peering.trouble("b")
        assert "needs its id there as DNS name" in mallory.peering.trouble("b")
        assert b.link("a").state == "down"


async def test_a_gateway_whose_certificate_bears_another_id_is_refused_by_the_one_that_dials() -> (
    None
):
    authority = Authority()
    a, mallory = side("a", tls=tls_of(authority, "a")), side("b", tls=tls_of(authority, "z"))
    async with living(a, mallory):
        await until(lambda: a.peering.trouble("b"))
        assert a.link("b").state == mallory.link("a").state == "down"
        assert not mallory.heard("a")


@pytest.mark.parametrize("late", ["a", "b"], ids=["who dials", "who is dialled"])
async def test_certificates_that_are_replaced_count_without_a_restart(
    tmp_path: Path, late: str
) -> None:
    """Both what it shows and whom it believes."""
    old, new = Authority("old"), Authority("new")
    for one in ("a", "b"):
        write(tmp_path / one, old if one == late else new, one)
    a, b = (side(one, tls=files_in(tmp_path / one)) for one in ("a", "b"))
    async with living(a, b):
        await until(lambda: a.peering.trouble("b"))
        assert a.link("b").state == "down"
        write(tmp_path / late, new, late)
        a.send("b", "hello")
        await until(lambda: b.heard("a") == ["hello"])


def write(folder: Path, authority: Authority, gateway_id: str) -> None:
    """Write the files of a gateway, in place of those that are there."""
    folder.mkdir(exist_ok=True)
    authority.signed(gateway_id).write(folder, "gateway")
    (folder / "ca.pem").write_bytes(authority.certificate)


def files_in(folder: Path) -> PeerTlsFiles:
    return PeerTlsFiles(folder / "ca.pem", folder / "gateway.pem", folder / "gateway.key")


async def test_a_certificate_of_another_authority_and_none_at_all_are_refused() -> None:
    here, elsewhere = Authority("here"), Authority("elsewhere")
    b = side("b", tls=tls_of(here, "b"))
    for a in (side("a", tls=tls_of(elsewhere, "a")), side("a")):
        async with living(a, b):
            await until(lambda a=a: a.peering.trouble("b"))
            assert b.link("a").state == "down"


async def test_a_gateway_of_another_cluster_is_refused_and_told_why() -> None:
    a, b = side("a", cluster="blue"), side("b", cluster="green")
    async with living(a, b):
        await until(lambda: a.peering.trouble("b"))
        assert "FAILED_PRECONDITION" in a.peering.trouble("b")
        assert "'green'" in a.peering.trouble("b")
        assert "'blue'" in a.peering.trouble("b")
        assert a.link("b").state == "down"


async def refusal(to: PeerSide, first: bytes) -> grpc.aio.AioRpcError:
    """Return how a gateway ends a call that begins with these bytes."""
    async with grpc.aio.insecure_channel(to.address.address, options=OPTIONS) as channel:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(METHOD)()
        await call.write(first)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        return caught.value


async def test_who_sorts_last_does_not_dial_and_who_says_no_hello_is_not_served() -> None:
    b = side("b")
    async with living(b):
        own = OwnGateway("c", 1, "test", "")
        hello = PeerContent(hello=hello_of(own, 0, 0).SerializeToString())
        error = await refusal(b, hello.SerializeToString())
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error.details() == "b sorts before c, and is the one to dial"
        error = await refusal(b, b"\xff")
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_another_gateway_than_the_one_that_was_dialled_is_not_talked_to() -> None:
    a, b, c = side("a"), side("b"), side("c")
    async with living(a, b, c, are_strangers=True):
        a.know(b=c.address)
        c.know(a)
        await until(lambda: "'c' answers there" in a.peering.trouble("b"))


async def test_several_addresses_are_tried_and_a_unix_socket_is_one(tmp_path: Path) -> None:
    """On a Unix socket there is no TLS, though there is on the port beside it."""
    authority = Authority()
    a, b = (side(one, tls=tls_of(authority, one)) for one in ("a", "b"))
    async with asyncio.TaskGroup() as tasks:
        path = tmp_path / "b.sock"
        await a.start(tasks)
        await b.start(tasks, unix=str(path))
        b.know(a)
        a.know(b=PeerAddress(f"unix:{tmp_path}/nobody.sock, unix:{path}", 1, "here"))
        a.send("b", "hello")
        await until(lambda: b.heard("a") == ["hello"])
        await a.stop()
        await b.stop()
