"""Heartbeats tell who lives and how long a way takes, whatever clock the other side has."""

from __future__ import annotations

import pytest

from federation.pulse import Pulse
from llmx.v1.peering_pb2 import PeerHeartbeat


def test_the_round_trip_is_the_same_whatever_time_it_is_on_the_other_side() -> None:
    here, there, ahead = Pulse(1.0, 100.0), Pulse(1.0, 7.0), 93.0
    there.hear(here.beat(100.0, (), True), 100.25 - ahead)
    here.hear(there.beat(105.25 - ahead, (), True), 105.5)  # it waited five seconds to answer
    assert here.round_trip == pytest.approx(0.5)
    assert there.round_trip == 0.0, "its own heartbeat was not answered yet"


def test_a_round_trip_that_is_new_changes_what_is_told_by_and_by() -> None:
    pulse = Pulse(1.0, 0.0)
    pulse.hear(PeerHeartbeat(sent=1, echo=1_000_000_000), 1.1)
    pulse.hear(PeerHeartbeat(sent=2, echo=2_000_000_000), 2.5)
    assert pulse.round_trip == pytest.approx(0.1 + 0.25 * 0.4)


def test_an_echo_from_the_future_says_nothing() -> None:
    pulse = Pulse(1.0, 0.0)
    pulse.hear(PeerHeartbeat(sent=1, echo=9_000_000_000), 1.0)
    assert pulse.round_trip == 0.0


def test_the_first_heartbeat_is_due_at_once_and_the_next_before_a_heartbeat_is_over() -> None:
    pulse = Pulse(1.0, 5.0)
    assert pulse.owes_beat(5.0)
    pulse.beat(5.0, (), True)
    assert not pulse.owes_beat(5.7)
    assert pulse.owes_beat(5.75)


def test_a_heartbeat_says_who_is_reached_and_whether_discovery_is() -> None:
    beat = Pulse(1.0, 5.0).beat(5.0, {"c", "b"}, True)
    assert (list(beat.connected), beat.sees_discovery, beat.echo) == (["b", "c"], True, 0)


def test_who_says_nothing_for_three_heartbeats_is_silent() -> None:
    pulse = Pulse(1.0, 5.0)
    assert not pulse.is_silent(8.0)
    assert pulse.is_silent(8.1)
    pulse.heard_at = 8.1
    assert not pulse.is_silent(8.1)
