"""One gateway among its neighbours: what goes over which way, and what is taken."""

from __future__ import annotations

from dataclasses import replace

from federation.link import LinkLimits
from federation.peer_states import UNHEARD, PeerAddress
from llmx.v1.peering_pb2 import PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent, PeerFrameBytes
from tests.support.meshes import LIMITS, Meshes


def frame(number: int, *messages: bytes, epoch: int = 1, receiver_epoch: int = 1) -> PeerContent:
    return PeerContent(
        frame=PeerFrameBytes(
            number=number, epoch=epoch, receiver_epoch=receiver_epoch, messages=messages
        )
    )


def test_a_link_begins_when_both_epochs_are_known_and_not_before() -> None:
    meshes = Meshes("a")
    a = meshes.sides["a"]
    a.mesh.set_members({"a": meshes.address("a"), "b": PeerAddress("", 0, "")})
    assert not a.mesh.send("b", b"too early")
    assert a.begun == []
    a.mesh.set_members({"b": PeerAddress("", 7, "")})
    assert a.begun == ["b"]
    assert a.mesh.send("b", b"queued until there is a way")
    assert not a.mesh.send("a", b"to ourselves")


def test_without_an_epoch_of_its_own_a_gateway_has_no_links() -> None:
    meshes = Meshes("a", "b", epoch=0)
    a = meshes.sides["a"]
    a.mesh.set_members({"b": PeerAddress("", 7, "")})
    assert a.begun == []
    a.mesh.set_own_epoch(3)
    assert a.begun == ["b"]


def test_what_was_queued_goes_in_frames_and_is_confirmed_a_little_later() -> None:
    meshes = Meshes("a", "b")
    a, b = meshes.sides["a"], meshes.sides["b"]
    for message in (b"1", b"2", b"3"):
        a.mesh.send("b", message)
    meshes.carry(meshes.join("a", "b"))
    assert b.heard == [b"1", b"2", b"3"]
    state = a.mesh.links()[0]
    assert (state.state, state.queued, state.unconfirmed, state.sent) == ("open", 0, 0, 3)
    assert b.mesh.links()[0].received == 3


def test_a_confirmation_rides_on_a_frame_that_goes_anyway() -> None:
    meshes = Meshes("a", "b")
    here, there = meshes.join("a", "b")
    meshes.carry((here, there))
    b = meshes.sides["b"]
    meshes.hear(there, "b", frame(1, b"x"))
    b.handle()
    b.mesh.send("a", b"y")
    said = meshes.said(there, "b")
    assert [(one.frame.number, one.frame.confirmed_number) for one in said] == [(1, 1)]
    meshes.time.run_until(meshes.time.now + 0.1)
    assert meshes.said(there, "b") == [], "it was told already"


def test_a_frame_that_comes_again_is_ignored_and_confirmed_again() -> None:
    meshes = Meshes("a", "b")
    here, there = meshes.join("a", "b")
    meshes.carry((here, there))
    for _ in range(2):
        meshes.hear(there, "b", frame(1, b"x"))
        meshes.sides["b"].handle()
        meshes.time.run_until(meshes.time.now + 0.1)
        assert [one.frame.confirmed_number for one in meshes.said(there, "b")] == [1]
    assert meshes.sides["b"].heard == [b"x"]
    assert meshes.sides["b"].mesh.counts["repeats"] == 1


def test_a_missing_frame_ends_the_stream() -> None:
    meshes = Meshes("a", "b")
    _, there = meshes.join("a", "b")
    meshes.hear(there, "b", frame(2, b"x"))
    assert meshes.sides["b"].closed[0].startswith("out of order: frame 2")


def test_frames_of_epochs_that_are_over_are_ignored() -> None:
    meshes = Meshes("a", "b")
    _, there = meshes.join("a", "b")
    meshes.hear(there, "b", frame(1, b"x", epoch=9))
    meshes.hear(there, "b", frame(1, b"x", receiver_epoch=9))
    meshes.sides["b"].handle()
    assert meshes.sides["b"].heard == []


def test_what_a_broken_stream_has_lost_goes_on_the_next_one() -> None:
    meshes = Meshes("a", "b")
    here, there = meshes.join("a", "b")
    a, b = meshes.sides["a"], meshes.sides["b"]
    a.mesh.send("b", b"1")
    assert [one.frame.number for one in meshes.said(here, "a") if one.HasField("frame")][-1] == 1
    a.mesh.closed(here)
    b.mesh.closed(there)
    assert a.mesh.links()[0].state == "down"
    a.mesh.send("b", b"2")
    meshes.carry(meshes.join("a", "b"))
    assert b.heard == [b"1", b"2"]
    assert a.mesh.links()[0].resumed == 1


def test_what_was_received_before_the_stream_broke_does_not_go_again() -> None:
    meshes = Meshes("a", "b")
    here, there = meshes.join("a", "b")
    a, b = meshes.sides["a"], meshes.sides["b"]
    a.mesh.send("b", b"1")
    for content in meshes.said(here, "a"):
        meshes.hear(there, "b", content)
    b.handle()  # the confirmation never comes
    a.mesh.closed(here)
    b.mesh.closed(there)
    here, there = meshes.join("a", "b")
    assert all(not one.frame.number for one in meshes.said(here, "a"))
    assert a.mesh.links()[0].unconfirmed == 0


def test_a_newer_stream_replaces_the_older_one_whose_last_words_do_not_count() -> None:
    meshes = Meshes("a", "b")
    _, old = meshes.join("a", "b")
    meshes.join("a", "b")
    assert meshes.sides["b"].closed == ["a newer stream is open"]
    meshes.hear(old, "b", frame(1, b"x"))
    meshes.sides["b"].handle()
    assert meshes.sides["b"].heard == []
    meshes.sides["b"].mesh.closed(old)
    assert meshes.sides["b"].mesh.links()[0].state == "open"


def test_a_new_epoch_hands_back_what_is_unconfirmed_and_begins_anew() -> None:
    meshes = Meshes("a", "b")
    meshes.join("a", "b")
    a = meshes.sides["a"]
    a.mesh.send("b", b"1")
    a.mesh.send("b", b"2")
    a.mesh.set_members({"b": PeerAddress("", 2, "")})
    assert a.ended == [("b", [b"1", b"2"])]
    assert a.begun == ["b", "b"]
    assert a.closed == ["b has a new epoch"]


def test_a_membership_that_lags_behind_the_hello_changes_nothing() -> None:
    meshes = Meshes("a", "b")
    a, b = meshes.sides["a"], meshes.sides["b"]
    b.mesh.set_own_epoch(2)
    assert a.mesh.greet(b.mesh.hello_for("a")) is None
    a.mesh.set_members({"b": PeerAddress("", 1, "")})
    assert a.begun == ["b", "b"]
    a.mesh.set_members({"b": PeerAddress("", 2, "")})
    assert a.begun == ["b", "b"]


def test_when_the_membership_itself_goes_back_to_lower_epochs_so_do_the_links() -> None:
    """Its store was lost and begun anew; gateways would refuse each other for ever."""
    meshes = Meshes("a", "b", epoch=1_000)
    meshes.join("a", "b")
    a, b = meshes.sides["a"], meshes.sides["b"]
    b.mesh.set_own_epoch(3)
    assert a.mesh.greet(b.mesh.hello_for("a")) is not None, "it may be an old hello"
    a.mesh.set_members({"b": meshes.address("b")})
    assert a.begun == ["b", "b"]
    meshes.join("a", "b")
    a.mesh.set_members({})
    b.mesh.set_own_epoch(2)
    a.mesh.set_members({"b": meshes.address("b")})
    assert a.begun == ["b", "b", "b"]
    meshes.join("a", "b")


def test_what_came_under_an_old_epoch_and_was_not_handled_is_dropped() -> None:
    """The other side was told that it is not confirmed."""
    meshes = Meshes("a", "b")
    _, there = meshes.join("a", "b")
    b = meshes.sides["b"]
    b.holds = True
    meshes.hear(there, "b", frame(1, b"x"))
    b.mesh.set_own_epoch(2)
    b.holds = False
    b.handle()
    assert b.heard == []


def test_a_frame_at_hand_when_an_epoch_ends_is_finished_without_a_word() -> None:
    meshes = Meshes("a", "b")
    _, there = meshes.join("a", "b")
    b = meshes.sides["b"]
    b.holds = True
    meshes.hear(there, "b", frame(1, b"x"))
    neighbour = b.mesh.neighbours["a"]
    arrived = neighbour.inbox[0]
    neighbour.is_busy = True
    b.mesh.set_own_epoch(2)
    b.mesh.finished(neighbour, arrived)
    assert not neighbour.is_busy
    assert b.mesh.links()[0].received == 0


def test_who_returns_under_the_same_epoch_goes_on_with_its_numbers() -> None:
    meshes = Meshes("a", "b")
    a, b = meshes.sides["a"], meshes.sides["b"]
    ends = meshes.join("a", "b")
    a.mesh.send("b", b"1")
    meshes.carry(ends)
    a.mesh.send("b", b"2")
    meshes.said(ends[0], "a")  # lost
    a.mesh.set_members({})
    assert a.ended == [("b", [b"2"])]
    assert not a.mesh.send("b", b"3")
    a.mesh.set_members({"b": meshes.address("b")})
    assert a.begun == ["b", "b"]
    a.mesh.send("b", b"4")
    meshes.carry(meshes.join("a", "b"))
    assert b.heard == [b"1", b"4"]


def test_who_returns_under_a_new_epoch_has_its_messages_handed_back_once() -> None:
    meshes = Meshes("a", "b")
    a = meshes.sides["a"]
    a.mesh.send("b", b"1")
    a.mesh.set_members({})
    a.mesh.set_members({"b": PeerAddress("", 2, "")})
    assert a.ended == [("b", [b"1"])]
    assert a.begun == ["b", "b"]


def test_what_was_accepted_from_one_that_left_and_not_handled_comes_again() -> None:
    meshes = Meshes("a", "b")
    a, b = meshes.sides["a"], meshes.sides["b"]
    a.mesh.send("b", b"1")
    b.holds = True
    meshes.carry(meshes.join("a", "b"))
    b.mesh.set_members({})
    b.mesh.set_members({"a": meshes.address("a")})
    b.holds = False
    meshes.carry(meshes.join("a", "b"))
    assert b.heard == [b"1"]


def test_hellos_are_refused_that_cannot_be_true() -> None:
    meshes = Meshes("a", "b")
    a = meshes.sides["a"]

    def refused(**changes: object) -> str:
        hello = meshes.sides["b"].mesh.hello_for("a")
        for name, value in changes.items():
            setattr(hello, name, value)
        fault = a.mesh.greet(hello)
        assert fault is not None
        return fault.detail

    assert "is not a member" in refused(gateway_id="c")
    assert "has received frame 3, and a has sent 0" in refused(received_number=3)
    a.mesh.set_members({"b": PeerAddress("", 5, "")})
    assert "which is newer than 1" in refused()


def test_a_number_of_an_epoch_that_is_over_says_nothing() -> None:
    meshes = Meshes("a", "b")
    hello = meshes.sides["b"].mesh.hello_for("a")
    hello.received_epoch, hello.received_number = 77, 3
    assert meshes.sides["a"].mesh.greet(hello) is None


def test_a_stream_is_not_opened_when_an_epoch_has_changed_since_the_hello() -> None:
    meshes = Meshes("a", "b")
    here, _ = meshes.join("a", "b")
    a = meshes.sides["a"]
    assert not a.mesh.opened(here, PeerHello(gateway_id="b", epoch=1), own_epoch=9)
    assert not a.mesh.opened(here, PeerHello(gateway_id="b", epoch=9), own_epoch=1)
    a.mesh.set_members({})
    assert not a.mesh.opened(here, PeerHello(gateway_id="b", epoch=1), own_epoch=1)


def test_a_silent_stream_is_closed_unless_it_is_we_who_do_not_read_or_were_away() -> None:
    meshes = Meshes("a", "b")
    _, there = meshes.join("a", "b")
    b = meshes.sides["b"]

    def wait(seconds: float) -> None:
        for _ in range(int(4 * seconds)):
            meshes.time.run_until(meshes.time.now + 0.25)
            b.mesh.tick()

    wait(3.0)
    assert b.closed == []
    b.holds = True
    for number in range(1, 9):
        meshes.hear(there, "b", frame(number, b"x"))
    wait(10.0)
    assert b.closed == [], "its frames wait for us"
    b.holds = False
    b.handle()
    b.mesh.tick()
    assert b.closed == [], "it had no chance to be heard"
    meshes.time.run_until(meshes.time.now + 60.0)
    b.mesh.tick()
    assert b.closed == [], "we were away, and what came meanwhile was not read yet"
    wait(0.25)
    assert b.closed == ["silent for 3 heartbeats"]


def test_heartbeats_tell_what_the_other_side_sees() -> None:
    meshes = Meshes("a", "b")
    meshes.carry(meshes.join("a", "b"))
    view = meshes.sides["a"].mesh.view("b")
    assert view.sees_discovery
    assert view.connected == {"a"}
    assert view.heard_at >= 100.0
    assert meshes.sides["a"].mesh.view("nobody") == UNHEARD


def test_what_is_malformed_ends_the_stream() -> None:
    meshes = Meshes("a", "b")
    _, there = meshes.join("a", "b")
    meshes.hear(there, "b", PeerContent(heartbeat=b"\xff"))
    meshes.hear(there, "b", PeerContent(hello=b""))
    assert meshes.sides["b"].closed == [
        "malformed: a heartbeat that is none",
        "malformed: a second hello",
    ]


def test_a_full_link_takes_nothing_more() -> None:
    narrow = replace(LIMITS, link=LinkLimits(messages_max=1))
    meshes = Meshes("a", "b", limits=narrow)
    assert meshes.sides["a"].mesh.send("b", b"1")
    assert not meshes.sides["a"].mesh.send("b", b"2")


def test_a_mesh_tells_its_state_in_words() -> None:
    meshes = Meshes("a", "b")
    meshes.join("a", "b")
    assert repr(meshes.sides["a"].mesh) == "<Mesh of a: 1 of 1 open>"
