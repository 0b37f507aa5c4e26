"""Frames that go through other gateways: never in a circle, in order, and again when lost."""

from __future__ import annotations

import pytest

from federation.relays import RELAYED_FRAMES_MAX
from federation.way import Way
from llmx.wire.v1.peer_frame_pb2 import PeerContent, PeerFrameBytes, RelayedFrameBytes
from tests.support.meshes import Meshes

Ends = tuple[Way, Way]


def triangle() -> tuple[Meshes, list[Ends]]:
    """Return three of which a and b are connected with c only, for long enough."""
    meshes = Meshes("a", "b", "c")
    ends = [meshes.join("a", "c"), meshes.join("b", "c")]
    meshes.carry(*ends)
    pass_time(meshes, ends, 2.25)
    return meshes, ends


def pass_time(meshes: Meshes, ends: list[Ends], seconds: float) -> None:
    for _ in range(int(4 * seconds)):
        meshes.time.run_until(meshes.time.now + 0.25)
        for side in meshes.sides.values():
            side.mesh.tick()
        meshes.carry(*ends)


def link(meshes: Meshes, one: str, other: str) -> str:
    return {state.gateway_id: state.state for state in meshes.sides[one].mesh.links()}[other]


def test_what_two_have_for_each_other_goes_through_a_third_in_order() -> None:
    meshes, ends = triangle()
    for number in range(100):
        meshes.sides["a"].mesh.send("b", b"%d" % number)
    meshes.carry(*ends)
    assert meshes.sides["b"].heard == [b"%d" % number for number in range(100)]
    assert meshes.sides["c"].heard == []
    meshes.carry(*ends)
    assert not meshes.sides["a"].mesh.neighbours["b"].link.kept  # type: ignore[union-attr]


def test_a_link_without_a_stream_says_through_whom_it_lives_even_when_nothing_is_sent() -> None:
    meshes, _ends = triangle()
    assert link(meshes, "a", "b") == "relayed by c"
    assert link(meshes, "b", "a") == "relayed by c"
    pass_time(meshes, [], 4.0)
    assert link(meshes, "a", "b") == "down", "nobody was heard for three heartbeats"


def test_nothing_is_relayed_before_its_time_or_while_there_is_a_stream() -> None:
    meshes = Meshes("a", "b", "c")
    ends = [meshes.join("a", "c"), meshes.join("b", "c")]
    meshes.carry(*ends)
    meshes.sides["a"].mesh.send("b", b"x")
    pass_time(meshes, ends, 1.5)
    assert meshes.sides["b"].heard == []
    direct = meshes.join("a", "b")
    pass_time(meshes, [*ends, direct], 3.0)
    assert meshes.sides["b"].heard == [b"x"]
    assert meshes.sides["c"].mesh.counts["relayed"] == 0


def test_what_a_relay_loses_goes_again() -> None:
    meshes, ends = triangle()
    meshes.sides["a"].mesh.send("b", b"x")
    meshes.time.run_until(meshes.time.now + 0.01)
    assert meshes.said(ends[0][0], "a"), "it went, and is lost"
    pass_time(meshes, ends, 1.0)
    assert meshes.sides["b"].heard == [b"x"]


def test_only_a_few_frames_are_under_way_through_others() -> None:
    meshes, ends = triangle()
    for _ in range(100):
        meshes.sides["a"].mesh.send("b", b"x")
    meshes.time.run_until(meshes.time.now + 0.01)
    said = [one for one in meshes.said(ends[0][0], "a") if one.HasField("relayed")]
    assert len(said) == RELAYED_FRAMES_MAX


def test_where_nobody_says_that_it_is_connected_one_frame_tries() -> None:
    meshes = Meshes("a", "b", "c", "d")
    ends = [meshes.join("a", "c"), meshes.join("c", "d"), meshes.join("b", "d")]
    meshes.carry(*ends)
    pass_time(meshes, ends, 2.25)
    for number in range(20):
        meshes.sides["a"].mesh.send("b", b"%d" % number)
    pass_time(meshes, ends, 6.0)
    assert meshes.sides["b"].heard == [b"%d" % number for number in range(20)]


def test_a_frame_that_came_too_early_is_dropped_and_comes_again_in_its_turn() -> None:
    meshes, ends = triangle()
    a, b = meshes.sides["a"], meshes.sides["b"]
    for message in (b"1", b"2", b"3", b"4"):
        a.mesh.send("b", message)
    meshes.time.run_until(meshes.time.now + 0.01)
    first, *others = [one for one in meshes.said(ends[0][0], "a") if one.HasField("relayed")]
    assert first.relayed.hops == ["a"]
    for content in others:
        meshes.hear(ends[0][1], "c", content)
    meshes.carry(*ends)
    assert b.heard == []
    assert b.mesh.counts["overtaken"] == 1
    pass_time(meshes, ends, 1.0)
    assert b.heard == [b"1", b"2", b"3", b"4"]


def test_two_streams_and_a_relay_bring_everything_once() -> None:
    meshes, ends = triangle()
    a, b = meshes.sides["a"], meshes.sides["b"]
    a.mesh.send("b", b"1")
    meshes.time.run_until(meshes.time.now + 0.01)
    late = meshes.said(ends[0][0], "a")
    direct = meshes.join("a", "b")
    a.mesh.send("b", b"2")
    meshes.carry(direct)
    assert b.heard == [b"1", b"2"]
    for content in late:
        meshes.hear(ends[0][1], "c", content)
    meshes.carry(*ends, direct)
    assert b.heard == [b"1", b"2"]


@pytest.mark.parametrize(
    "hops",
    [
        [],
        ["b", "c"],
        ["a", "b"],
        ["a", "c", "a"],
        ["a", "d", "c", "d", "e"],
        ["a", "x", "y", "z", "c"],
    ],
)
def test_hops_that_cannot_be_true_are_not_believed(hops: list[str]) -> None:
    """A frame that was here, or that others than its last bearer bring, goes no further."""
    meshes, ends = triangle()
    before = meshes.sides["b"].mesh.counts["relay_dropped"]
    frame = PeerFrameBytes(number=1, epoch=1, receiver_epoch=1, messages=[b"x"])
    relayed = RelayedFrameBytes(
        origin="a", destination="b", hops=hops, frame=frame.SerializeToString()
    )
    meshes.hear(ends[1][0], "b", PeerContent(relayed=relayed))
    meshes.sides["b"].handle()
    assert meshes.sides["b"].heard == []
    assert meshes.sides["b"].mesh.counts["relay_dropped"] == before + 1


def test_a_frame_of_a_stranger_or_for_one_nobody_knows_is_dropped() -> None:
    meshes, ends = triangle()
    mesh = meshes.sides["c"].mesh
    for origin, destination in (("z", "c"), ("a", "z")):
        relayed = RelayedFrameBytes(origin=origin, destination=destination, hops=[origin])
        before = mesh.counts["relay_dropped"]
        mesh.heard(ends[0][1], PeerContent(relayed=relayed))
        assert mesh.counts["relay_dropped"] == before + 1


def test_a_relayed_frame_that_is_none_ends_the_stream_that_brought_it() -> None:
    meshes, ends = triangle()
    relayed = RelayedFrameBytes(origin="a", destination="b", hops=["a", "c"], frame=b"\xff")
    meshes.hear(ends[1][0], "b", PeerContent(relayed=relayed))
    assert meshes.sides["b"].closed == ["malformed: a relayed frame that is none"]


def test_a_full_inbox_takes_no_relayed_frames_but_what_they_confirm() -> None:
    meshes, ends = triangle()
    a, b = meshes.sides["a"], meshes.sides["b"]
    b.holds = True
    for number in range(40):
        a.mesh.send("b", b"%d" % number)
    b.mesh.send("a", b"x")
    pass_time(meshes, ends, 2.0)
    assert a.heard == [b"x"]
    assert not b.mesh.neighbours["a"].link.kept  # type: ignore[union-attr]
    b.holds = False
    pass_time(meshes, ends, 10.0)
    assert b.heard == [b"%d" % number for number in range(40)]
