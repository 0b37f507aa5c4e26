"""Links to all other gateways of the cluster, over gRPC.

Whom to link with comes from outside (`set_members`), what is said on links too; this holds the
streams, lets the `Mesh` say what goes over which, and hands on what came. Everything it waits
for has a deadline: a hello, a silent peer, a stream that ends.

`hear` must not wait for room on the link that it hears from: while it is not done nothing is
read from that gateway, confirmations neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import structlog

from federation.dialling import Dialler, parsed_hello
from federation.greeting import OwnGateway
from federation.mesh import Mesh
from federation.neighbour import Arrived, Neighbour, News
from federation.peer_states import LinkState, PeerAddress, PeeringLimits, PeerView
from federation.peer_stream import BROKEN, Carrier, PeerStream
from federation.peer_tls import PeerCredentials, stranger_fault
from llmx.v1.peering_pb2 import PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent

__all__ = [
    "LinkState",
    "OwnGateway",
    "PeerAddress",
    "PeerView",
    "Peering",
    "PeeringLimits",
]

log = structlog.get_logger("llmx.peering")

TICKS_PER_HEARTBEAT = 4
MEMBER_SECONDS_MAX = 2.0
"""How long a gateway that is no member yet may wait until the membership names it."""

Context = grpc.aio.ServicerContext[Any, Any]
Hear = Callable[[str, Sequence[bytes]], Awaitable[None] | None]


class Peering:
    """All links of one gateway."""

    def __init__(
        self,
        own: OwnGateway,
        limits: PeeringLimits,
        now: Callable[[], float],
        *,
        hear: Hear,
        begun: Callable[[str], None],
        ended: Callable[[str, list[bytes]], None],
        sees_discovery: Callable[[], bool],
        tls: PeerCredentials | None = None,
    ) -> None:
        """Be `own`; `run` makes it live.

        `hear` gets serialised PeerMessages in order, each once; what it returns is awaited before
        anything more is heard from that gateway. `begun` is called when a link to a new epoch
        of a gateway begins, before anything is heard from it, and what is sent in it goes first.
        `ended` gets what a gateway has not confirmed that left or lives under a new epoch, or
        when we do; in it there is no link to that gateway. None of them may raise.
        """
        self._limits = limits
        self._now = now
        self._hear = hear
        self._tls = tls
        self._mesh = Mesh(own, limits, now, self._soon, News(begun, ended), sees_discovery)
        self._members: dict[str, PeerAddress] = {}
        self._diallers: dict[str, tuple[Dialler, asyncio.Task[None]]] = {}
        self._streams: dict[str, PeerStream] = {}
        self._accepted: set[asyncio.Task[Any]] = set()
        self._members_changed = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._failure: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Peering: {self._mesh!r}>"

    # ------------------------------------------------------------------ what others call

    async def run(self) -> None:
        """Dial, show life, hand on what came, until cancelled. Raises what `hear` raises."""
        self._failure = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._tick())
                self._tasks.create_task(self._fail())
                self._dial()
        finally:
            self._tasks = None
            self._diallers.clear()
            for stream in list(self._streams.values()):
                stream.close("this gateway stops")

    def set_members(self, members: Mapping[str, PeerAddress]) -> None:
        """Have these gateways linked from now on; we ourselves may be among them."""
        self._members = {
            gateway_id: address
            for gateway_id, address in members.items()
            if gateway_id != self._mesh.own.gateway_id
        }
        self._mesh.set_members(self._members)
        self._look_again()
        self._dial()

    def set_own_epoch(self, epoch: int) -> None:
        """Live under a new epoch; every link begins anew."""
        self._mesh.set_own_epoch(epoch)
        self._look_again()
        for dialler, _ in self._diallers.values():
            dialler.hurry()

    def send(self, gateway_id: str, message: bytes) -> bool:
        """Queue a serialised PeerMessage; False when there is no link, or no room on it."""
        return self._mesh.send(gateway_id, message)

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
        """Return the methods of llmx.v1.PeeringService; they take and give bytes."""
        return {"Peer": grpc.stream_stream_rpc_method_handler(self._accept)}

    def links(self) -> list[LinkState]:
        """Return the state of every link, by gateway id."""
        return self._mesh.links()

    def view(self, gateway_id: str) -> PeerView:
        """Return what a gateway has said of itself in its heartbeats."""
        return self._mesh.view(gateway_id)

    @property
    def counts(self) -> Mapping[str, int]:
        """Return what happened so far: relayed, relay_dropped, repeats, gaps, overtaken."""
        return self._mesh.counts

    def trouble(self, gateway_id: str) -> str:
        """Return why a gateway that we dial is not reached; empty when it is, or it dials us."""
        known = self._diallers.get(gateway_id)
        return "" if known is None else known[0].trouble

    # ------------------------------------------------------------------ the streams we dial

    def _dial(self) -> None:
        """Have a dialler for each member that is ours to dial, and for nobody else."""
        if self._tasks is None:
            return
        own_id = self._mesh.own.gateway_id
        for gateway_id in [one for one in self._diallers if one not in self._members]:
            self._diallers.pop(gateway_id)[1].cancel()
        for gateway_id, address in self._members.items():
            if gateway_id in self._diallers:
                self._diallers[gateway_id][0].hear(address)
            elif own_id < gateway_id:
                dialler = Dialler(
                    gateway_id, address, self._mesh, self._limits, self._tls, self._serve
                )
                self._diallers[gateway_id] = dialler, self._tasks.create_task(dialler.run())

    # ------------------------------------------------------------------ the streams we take

    async def _accept(self, _requests: object, context: Context) -> None:
        try:
            await context.send_initial_metadata(())
        except grpc.aio.BaseError:
            raise asyncio.CancelledError from None  # it broke already; grpc would send a status
        hello = await self._hello(context)
        own_epoch = self._mesh.own.epoch
        answer = self._mesh.hello_for(hello.gateway_id).SerializeToString()
        try:
            await context.write(PeerContent(hello=answer).SerializeToString())
        except BROKEN:
            return
        stream = await self._serve(hello.gateway_id, context, hello, own_epoch)
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        context.set_details(stream.reason or "the stream has ended")

    async def _hello(self, context: Context) -> PeerHello:
        """Return what the other side says of itself, or end the call with what is wrong."""
        hello: PeerHello | None = None
        try:
            async with asyncio.timeout(self._limits.dial_seconds_max):
                hello = parsed_hello(await context.read())
        except TimeoutError:
            pass
        if hello is None:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the first thing must be a PeerHello, within {self._limits.dial_seconds_max:g} s",
            )
        own_id = self._mesh.own.gateway_id
        if self._tls is not None:
            fault = stranger_fault(hello.gateway_id, context.peer(), context.auth_context())
            if fault is not None:
                log.warning("stranger refused", peer=hello.gateway_id[:64], why=fault)
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, fault)
        if hello.cluster == self._mesh.own.cluster:
            if hello.gateway_id > own_id:
                await context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"{own_id} sorts before {hello.gateway_id[:64]}, and is the one to dial",
                )
            await self._until_member(hello.gateway_id)
        refusal = self._mesh.greet(hello)
        if refusal is not None:
            log.warning("peer refused", peer=hello.gateway_id[:64], why=refusal.detail)
            code = (
                grpc.StatusCode.FAILED_PRECONDITION
                if refusal.for_good
                else grpc.StatusCode.UNAVAILABLE
            )
            await context.abort(code, refusal.detail)
        return hello

    async def _until_member(self, gateway_id: str) -> None:
        """Give the membership a moment to name one who knows of us already."""
        try:
            async with asyncio.timeout(MEMBER_SECONDS_MAX):
                while gateway_id not in self._members or not self._mesh.own.epoch:
                    await self._members_changed.wait()
        except TimeoutError:
            pass

    def _look_again(self) -> None:
        """Wake those who wait until the members or our epoch are others."""
        self._members_changed.set()
        self._members_changed = asyncio.Event()

    # ------------------------------------------------------------------ what both kinds share

    async def _serve(
        self, gateway_id: str, carrier: Carrier, hello: PeerHello, own_epoch: int
    ) -> PeerStream:
        """Carry the link on a stream until that ends."""
        stream = PeerStream(
            carrier,
            self._mesh,
            gateway_id,
            self._limits.heartbeat_seconds,
            self._now,
            self._handle,
        )
        if self._tasks is None:
            stream.close("this gateway does not run")
            return stream
        self._streams[gateway_id] = stream
        try:
            await stream.run(hello, own_epoch)
        finally:
            if self._streams.get(gateway_id) is stream:
                del self._streams[gateway_id]
        return stream

    def _handle(self, neighbour: Neighbour) -> None:
        """Hand on what came from a gateway, as far as it can be done at once."""
        if self._tasks is None:
            return  # we stop; what is not handled is not confirmed
        gateway_id = neighbour.gateway_id
        while neighbour.inbox and not neighbour.is_busy:
            arrived = neighbour.inbox[0]
            neighbour.is_busy = True
            try:
                waiting = self._hear(gateway_id, arrived.messages) if arrived.messages else None
            except Exception as error:
                self._fail_with(error)
                raise
            if waiting is not None:
                self._tasks.create_task(self._handle_later(neighbour, arrived, waiting))
                return
            self._finished(neighbour, arrived)

    async def _handle_later(
        self, neighbour: Neighbour, arrived: Arrived, waiting: Awaitable[None]
    ) -> None:
        await waiting
        self._finished(neighbour, arrived)
        self._handle(neighbour)

    def _finished(self, neighbour: Neighbour, arrived: Arrived) -> None:
        self._mesh.finished(neighbour, arrived)
        stream = self._streams.get(neighbour.gateway_id)
        if stream is not None:
            stream.make_room()

    # ------------------------------------------------------------------ by the clock

    def _soon(self, seconds: float, what: Callable[[], None]) -> object:
        return asyncio.get_running_loop().call_later(seconds, what)

    async def _tick(self) -> None:
        while True:
            self._mesh.tick()
            await asyncio.sleep(self._limits.heartbeat_seconds / TICKS_PER_HEARTBEAT)

    async def _fail(self) -> None:
        """Raise what went wrong in a call of grpc's, which would only log it."""
        assert self._failure is not None, "we run"
        await self._failure

    def _fail_with(self, error: Exception) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
