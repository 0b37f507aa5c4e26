"""Slices of shards are timed now and then, and all are applied."""

from __future__ import annotations

from gateway.telemetry.shard_watch import ONE_IN, ShardWatch
from policy.events import OfferReceived
from tests.support.gateway_parts import NOW, Parts


def test_of_many_slices_one_is_timed_and_all_are_applied() -> None:
    parts = Parts()
    watch = ShardWatch(lambda: NOW + 2.0)
    (shard, *_) = parts.negotiations.shards
    shard.apply_slice = watch.around(shard)
    for _ in range(2 * ONE_IN):
        for _ in range(3):
            shard.post(NOW, "nowhere", OfferReceived("agent://bob", "o", 7.0, NOW), None)
        shard.apply_slice()
        assert not shard.queued
    assert (shard.queued, shard.events_total) == (0, 6 * ONE_IN)
    assert (len(watch.waits), len(watch.steps)) == (2, 2)
    assert watch.waits.total == 4.0
    assert 0 < watch.steps.total < 2.0


def test_a_slice_without_events_is_not_timed() -> None:
    """A shard that wakes for a deadline would say that steps take no time."""
    watch = ShardWatch(lambda: NOW)
    (shard, *_) = Parts().negotiations.shards
    apply_slice = watch.around(shard)
    for _ in range(2 * ONE_IN):
        apply_slice()
    assert (len(watch.waits), len(watch.steps)) == (0, 0)
