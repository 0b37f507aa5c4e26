"""A reader and a writer on one stream, played on a carrier that a test holds in its hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import grpc
import pytest

from federation.neighbour import INBOX_FRAMES_MAX, Neighbour
from federation.peer_stream import PeerStream
from llmx.wire.v1.peer_frame_pb2 import PeerContent, PeerFrameBytes
from tests.support.meshes import LIMITS, Meshes

END = object()


class FakeCarrier:
    """What a test says is read; what is written is kept."""

    def __init__(self) -> None:
        self.to_read: asyncio.Queue[object] = asyncio.Queue()
        self.written: asyncio.Queue[PeerContent] = asyncio.Queue()
        self.writable = asyncio.Event()
        self.writable.set()
        self.trouble: Exception | None = None

    async def read(self) -> object:
        came = await self.to_read.get()
        if isinstance(came, Exception):
            raise came
        return came

    async def write(self, message: bytes, /) -> None:
        await self.writable.wait()
        if self.trouble is not None:
            raise self.trouble
        self.written.put_nowait(PeerContent.FromString(message))

    async def next_frame(self) -> PeerFrameBytes:
        """Return the next numbered frame that is written."""
        while True:
            content = await self.written.get()
            if content.frame.number:
                return content.frame


class Scene:
    """The stream of a to b."""

    def __init__(self) -> None:
        self.meshes = Meshes("a", "b")
        self.mesh = self.meshes.sides["a"].mesh
        self.carrier = FakeCarrier()
        self.holds = False
        self.stream = PeerStream(
            self.carrier,
            self.mesh,
            "b",
            LIMITS.heartbeat_seconds,
            lambda: self.meshes.time.now,
            self._handle,
        )

    def _handle(self, _: Neighbour) -> None:
        if not self.holds:
            self.meshes.sides["a"].handle()

    @property
    def heard(self) -> list[bytes]:
        return self.meshes.sides["a"].heard

    def say(self, number: int, *messages: bytes) -> None:
        frame = PeerFrameBytes(number=number, epoch=1, receiver_epoch=1, messages=messages)
        self.carrier.to_read.put_nowait(PeerContent(frame=frame).SerializeToString())

    async def run(self, own_epoch: int = 1) -> None:
        await self.stream.run(self.meshes.sides["b"].mesh.hello_for("a"), own_epoch)

    @property
    def state(self) -> str:
        return self.mesh.links()[0].state


@asynccontextmanager
async def playing() -> AsyncIterator[Scene]:
    scene = Scene()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(scene.run())
        try:
            yield scene
        finally:
            running.cancel()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_queued_while_a_frame_is_written_goes_as_the_next_one() -> None:
    async with playing() as scene:
        scene.carrier.writable.clear()
        scene.mesh.send("b", b"1")
        await settled()
        for message in (b"2", b"3"):
            scene.mesh.send("b", message)
        scene.carrier.writable.set()
        frames = [await scene.carrier.next_frame() for _ in range(2)]
        assert [message for frame in frames for message in frame.messages] == [b"1", b"2", b"3"]


async def test_a_full_inbox_is_not_read_into_until_there_is_room() -> None:
    async with playing() as scene:
        scene.holds = True
        for number in range(1, INBOX_FRAMES_MAX + 4):
            scene.say(number, b"%d" % number)
        await settled()
        assert scene.carrier.to_read.qsize() == 3
        scene.holds = False
        scene.meshes.sides["a"].handle()
        scene.stream.make_room()
        await settled()
        assert len(scene.heard) == INBOX_FRAMES_MAX + 3


@pytest.mark.parametrize(
    "ending", [END, grpc.aio.UsageError(), asyncio.InvalidStateError(), grpc.RpcError()]
)
async def test_a_stream_that_ends_or_breaks_leaves_the_link_down_and_raises_nothing(
    ending: object,
) -> None:
    scene = Scene()
    scene.carrier.to_read.put_nowait(ending)
    await scene.run()
    assert scene.state == "down"
    assert scene.stream.reason == ""


async def test_a_write_that_breaks_ends_the_stream_and_the_frame_goes_again() -> None:
    scene = Scene()
    scene.carrier.trouble = asyncio.InvalidStateError()
    scene.mesh.send("b", b"1")
    await scene.run()
    assert scene.state == "down"
    link = scene.mesh.neighbours["b"].link
    assert link is not None
    assert link.has_due


async def test_bytes_that_are_no_frame_end_the_stream() -> None:
    scene = Scene()
    scene.carrier.to_read.put_nowait(b"\xff")
    await scene.run()
    assert scene.stream.reason == "malformed: a frame that is none"


async def test_who_closes_a_stream_says_why_and_the_first_reason_counts() -> None:
    async with playing() as scene:
        await settled()
        assert scene.state == "open"
        scene.stream.close("enough")
        scene.stream.close("more than enough")
        await settled()
        assert scene.state == "down"
        assert repr(scene.stream).startswith("<PeerStream: enough, <Way to b")


async def test_a_stream_whose_hello_does_not_hold_any_more_is_not_served() -> None:
    scene = Scene()
    await scene.run(own_epoch=9)
    assert scene.stream.reason == "an epoch has changed since the hello"


async def test_a_peer_that_leaves_the_cluster_as_its_stream_opens_ends_the_stream_and_no_more() -> (
    None
):
    """The membership may tell it between the hello and the first look at what came."""
    scene = Scene()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.run())
        await asyncio.sleep(0)  # it is open, and its reader has not begun
        assert scene.state == "open"
        scene.mesh.set_members({})
    assert scene.stream.reason == "b is no member of the cluster any more"
    assert not scene.mesh.links()


async def test_what_we_do_wrong_is_raised() -> None:
    scene = Scene()

    def stumble(_: Neighbour) -> NoReturn:
        raise ZeroDivisionError

    scene.stream._handle = stumble
    scene.say(1, b"x")
    with pytest.raises(ExceptionGroup) as caught:
        await scene.run()
    assert caught.group_contains(ZeroDivisionError)
    assert scene.state == "down"
