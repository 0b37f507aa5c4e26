"""How a gateway reaches the ones that it dials: addresses in turn, hello, and again.

Of two gateways the one whose id sorts first dials, so that there is one stream between them.
After a failure it waits, longer each time, and not at all when it hears something new of the
other one. A stream that lived for a heartbeat resets the wait.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc
import structlog
from google.protobuf.message import DecodeError

from federation.backoff import Backoff
from federation.mesh import Mesh
from federation.peer_states import PeerAddress, PeeringLimits
from federation.peer_stream import BROKEN, Carrier, PeerStream
from federation.peer_tls import PeerCredentials, is_unix
from llmx.v1.peering_pb2 import PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent

log = structlog.get_logger("llmx.peering")

METHOD = "/llmx.v1.PeeringService/Peer"
KEEPALIVE_MS = 30_000
PING_TIMEOUT_MS = 10_000
RECEIVED_BYTES_MAX = 128 * 1024 * 1024
"""The largest frame that either side takes; ours are much smaller, unless one message is not."""

OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),  # what counts, of the two
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", RECEIVED_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # one meant for the web would be asked for our peers
    # Each attempt has a channel of its own, and no backoff of grpc's on top of ours.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


Serve = Callable[[str, Carrier, PeerHello, int], Awaitable[PeerStream]]
"""Carries a link on a stream until that ends: to whom, on what, its hello, our epoch in ours."""


class Dialler:
    """Keeps a stream to one gateway."""

    def __init__(
        self,
        gateway_id: str,
        address: PeerAddress,
        mesh: Mesh,
        limits: PeeringLimits,
        tls: PeerCredentials | None,
        serve: Serve,
    ) -> None:
        """Dial `gateway_id`, and let `serve` do the rest."""
        self.gateway_id = gateway_id
        self.trouble = ""
        """Why there is no stream; empty while there is contact."""
        self._address = address
        self._mesh = mesh
        self._limits = limits
        self._tls = tls
        self._serve = serve
        self._news = asyncio.Event()
        self._backoff = Backoff(limits.redial_first_seconds, limits.redial_most_seconds)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Dialler of {self.gateway_id}: {self.trouble or 'in contact'}>"

    def hear(self, address: PeerAddress) -> None:
        """Learn what the membership says now; what is new is tried at once."""
        if address != self._address:
            self._address = address
            self.hurry()

    def hurry(self) -> None:
        """Try at once."""
        self._backoff.reset()
        self._news.set()

    async def run(self) -> None:
        """Dial until cancelled."""
        while True:
            self._news.clear()
            for address in self._address.addresses:
                if await self._dial(address):
                    break  # the first address that works is the best one next time too
            with suppress(TimeoutError):
                async with asyncio.timeout(self._backoff.wait(random.random())):
                    await self._news.wait()

    async def _dial(self, address: str) -> bool:
        """Carry the link over one address until the stream ends; False if there was none."""
        mesh = self._mesh
        if not mesh.own.epoch:
            return False  # it would be refused; `hurry` is called when there is one
        async with _channel(address, self.gateway_id, self._tls) as channel:
            call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(METHOD)()
            try:
                own_epoch = mesh.own.epoch
                hello = await self._greet(call)
                fault = self._fault_of(hello)
                if hello is None or fault is not None:
                    self._failed(address, fault or await _ending(call))
                    return False
                self.trouble = ""
                opened_at = asyncio.get_running_loop().time()
                stream = await self._serve(self.gateway_id, call, hello, own_epoch)
                lived = asyncio.get_running_loop().time() - opened_at
                if lived >= self._limits.heartbeat_seconds:  # not one that breaks at once, again
                    self._backoff.reset()
                self.trouble = stream.reason or await _ending(call)
            finally:
                call.cancel()
        return True

    async def _greet(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> PeerHello | None:
        """Say hello and return the answer; None when there is no good one in time."""
        own = self._mesh.hello_for(self.gateway_id).SerializeToString()
        try:
            async with asyncio.timeout(self._limits.dial_seconds_max):
                # What is written to a call that was refused meanwhile hides why it was.
                await call.initial_metadata()
                if not call.done():
                    await call.write(PeerContent(hello=own).SerializeToString())
                raw: object = await call.read()
        except TimeoutError:
            return None
        except BROKEN:
            return None
        return parsed_hello(raw)

    def _fault_of(self, hello: PeerHello | None) -> str | None:
        if hello is None:
            return None
        if hello.gateway_id != self.gateway_id:
            return f"{hello.gateway_id!r} answers there"
        fault = self._mesh.greet(hello)
        return None if fault is None else fault.detail

    def _failed(self, address: str, trouble: str) -> None:
        """Say what is wrong, once as long as it is the same."""
        if trouble != self.trouble:
            self.trouble = trouble
            log.warning("peer not reached", peer=self.gateway_id, address=address, why=trouble)


def parsed_hello(raw: object) -> PeerHello | None:
    """Return the PeerHello that came as the first thing on a stream, if it is one."""
    if not isinstance(raw, bytes):
        return None
    with suppress(DecodeError):
        content = PeerContent.FromString(raw)
        if content.WhichOneof("content") == "hello":
            return PeerHello.FromString(content.hello)
    return None


def _channel(address: str, gateway_id: str, tls: PeerCredentials | None) -> grpc.aio.Channel:
    if tls is None or is_unix(address):
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    # Whatever the address is, the certificate must bear the id of the gateway.
    options = (*OPTIONS, ("grpc.ssl_target_name_override", gateway_id))
    return grpc.aio.secure_channel(address, tls.channel_credentials(), options=options)


async def _ending(call: grpc.aio.StreamStreamCall[bytes, bytes]) -> str:
    if not call.done():
        return "no hello in time"
    return f"{(await call.code()).name}: {await call.details()}"
