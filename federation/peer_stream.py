"""One stream between two gateways, whichever of them has dialled.

A reader and a writer, nothing more. The writer takes what the mesh has for this stream whenever
the stream is writable: all that is queued goes as one frame, and there is no timer. The reader
hands over what came, and waits while the other side's frames wait to be handled; that is what
slows the other side down. What outlives the stream is the mesh's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import grpc
import structlog
from google.protobuf.message import DecodeError

from federation.mesh import Mesh
from federation.neighbour import Neighbour
from federation.pulse import Pulse
from federation.way import Way
from llmx.v1.peering_pb2 import PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent

log = structlog.get_logger("llmx.peering")

BROKEN = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
"""What grpc raises when the call has ended under us."""


class Carrier(Protocol):
    """What both ends of a call can do."""

    async def read(self) -> object:
        """Return bytes, or something else at the end."""

    async def write(self, message: bytes, /) -> None:
        """Return when there is room for more."""


class PeerStream:
    """An open stream to a gateway that has said hello."""

    def __init__(
        self,
        carrier: Carrier,
        mesh: Mesh,
        gateway_id: str,
        heartbeat: float,
        now: Callable[[], float],
        handle: Callable[[Neighbour], None],
    ) -> None:
        """Carry the link to `gateway_id`; `handle` is called for whoever has frames to handle."""
        self._carrier = carrier
        self._mesh = mesh
        self._handle = handle
        self._awake = asyncio.Event()
        self._asleep = True
        self._ended = asyncio.Event()
        self._room = asyncio.Event()
        self.reason = ""
        """Why it ended; empty while it is open, and when the other side ended it."""
        self.way = Way(gateway_id, Pulse(heartbeat, now()), now(), self.wake, self.close)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<PeerStream: {self.reason or 'open'}, {self.way!r}>"

    def wake(self) -> None:
        """Write what is queued."""
        if self._asleep:
            self._asleep = False
            self._awake.set()

    def close(self, reason: str) -> None:
        """End the stream; the first reason counts."""
        if not self.reason:
            self.reason = reason
            self._ended.set()

    def make_room(self) -> None:
        """Read on."""
        self._room.set()

    async def run(self, hello: PeerHello, own_epoch: int) -> None:
        """Carry the link until the stream ends; both have said hello."""
        mesh, way = self._mesh, self.way
        if not mesh.opened(way, hello, own_epoch):
            self.close("an epoch has changed since the hello")
            return
        neighbour = mesh.neighbours[way.gateway_id]  # it may leave before a task has begun
        log.info("link open", peer=way.gateway_id, epoch=hello.epoch, region=hello.region)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self._read(neighbour)),
                    tasks.create_task(self._write()),
                    tasks.create_task(self._until_closed()),
                ]
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in running:
                    task.cancel()
        finally:
            mesh.closed(way)
            log.info("link closed", peer=way.gateway_id, reason=self.reason)

    async def _until_closed(self) -> None:
        await self._ended.wait()

    async def _read(self, neighbour: Neighbour) -> None:
        carrier, mesh, way = self._carrier, self._mesh, self.way
        while True:
            while not neighbour.has_room:
                self._room.clear()
                await self._room.wait()
            try:
                raw = await carrier.read()
            except BROKEN:
                return
            if not isinstance(raw, bytes):  # grpc.aio.EOF
                return
            try:
                content = PeerContent.FromString(raw)
            except DecodeError:
                self.close("malformed: a frame that is none")
                return
            heard = mesh.heard(way, content)
            if heard is not None:
                self._handle(heard)

    async def _write(self) -> None:
        carrier, mesh, way = self._carrier, self._mesh, self.way
        while True:
            await self._awake.wait()
            self._awake.clear()
            self._asleep = True
            while (raw := mesh.next_for(way)) is not None:
                try:
                    await carrier.write(raw)
                except BROKEN:
                    return
