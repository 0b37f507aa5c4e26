"""What a scrape reads."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics
from gateway.telemetry.timing import LONG, SHORT, Timing


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return what Prometheus would read, by name and labels."""
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_everything_starts_at_zero_and_is_there_from_the_start() -> None:
    """A counter that appears with its first event hides that event from rate()."""
    samples = scraped(Metrics())
    assert set(samples.values()) == {0.0}
    assert ("llmx_messages_admitted_total", ()) in samples


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("frames_in", "llmx_frames_received_total"),
        ("frames_out", "llmx_frames_sent_total"),
        ("bytes_in", "llmx_received_bytes_total"),
        ("bytes_out", "llmx_sent_bytes_total"),
        ("admitted", "llmx_messages_admitted_total"),
        ("delivered", "llmx_messages_delivered_total"),
        ("acknowledged", "llmx_messages_acknowledged_total"),
        ("repeated", "llmx_messages_repeated_total"),
        ("undelivered", "llmx_messages_undelivered_total"),
        ("overflowed", "llmx_outbox_overflows_total"),
        ("calls", "llmx_calls_total"),
    ],
)
def test_a_counter_is_read_under_its_name_and_moves_no_other(field: str, name: str) -> None:
    metrics = Metrics()
    setattr(metrics, field, 7)
    assert {key: value for key, value in scraped(metrics).items() if value} == {(name, ()): 7.0}


def test_refusals_outcomes_and_endings_are_counted_by_their_enumerations() -> None:
    metrics = Metrics()
    metrics.refused["LATE"] += 2
    metrics.limits_reached["tenant_rate"] += 7
    metrics.finished["committed"] += 3
    metrics.streams_ended["slow_consumer"] += 4
    metrics.validated_inline += 5
    metrics.validated_in_worker += 6
    assert {key: value for key, value in scraped(metrics).items() if value} == {
        ("llmx_messages_refused_total", (("code", "LATE"),)): 2,
        ("llmx_limits_reached_total", (("limit", "tenant_rate"),)): 7,
        ("llmx_negotiations_finished_total", (("state", "committed"),)): 3,
        ("llmx_streams_ended_total", (("reason", "slow_consumer"),)): 4,
        ("llmx_payloads_validated_total", (("place", "inline"),)): 5,
        ("llmx_payloads_validated_total", (("place", "worker"),)): 6,
    }


def test_a_decision_falls_into_the_buckets_that_are_not_below_it() -> None:
    metrics = Metrics()
    for seconds in (0.0, 0.001, 0.0011, 60.0, 61.0):
        metrics.decided(seconds)
    samples = scraped(metrics)
    at_most = {
        float(dict(labels)["le"]): value
        for (name, labels), value in samples.items()
        if name == "llmx_decision_seconds_bucket"
    }
    assert at_most.keys() == {*LONG, float("inf")}
    assert (at_most[0.001], at_most[0.0025], at_most[10]) == (2, 3, 3)
    assert (at_most[60], at_most[float("inf")]) == (4, 5)
    assert samples["llmx_decision_seconds_count", ()] == 5
    assert samples["llmx_decision_seconds_sum", ()] == pytest.approx(121.0021)


def test_a_gauge_is_read_when_it_is_scraped() -> None:
    metrics, open_now = Metrics(), [1.0]
    metrics.gauges["llmx_negotiations_open"] = ("Open negotiations.", lambda: open_now[0])
    assert scraped(metrics)["llmx_negotiations_open", ()] == 1
    open_now[0] = 5.0
    assert scraped(metrics)["llmx_negotiations_open", ()] == 5


def test_a_gauge_may_have_labels() -> None:
    metrics = Metrics()
    metrics.labelled["llmx_jain"] = ("Evenness.", ("tenant", "of"), lambda: [(("a", "b"), 0.5)])
    assert scraped(metrics)["llmx_jain", (("of", "b"), ("tenant", "a"))] == 0.5


def test_counters_that_others_keep_may_have_labels_too() -> None:
    metrics = Metrics()
    metrics.labelled_sums["llmx_acts_received_total"] = (
        "Acts.",
        ("act", "class"),
        lambda: [(("cfp", "gold"), 3.0)],
    )
    key = ("llmx_acts_received_total", (("act", "cfp"), ("class", "gold")))
    assert scraped(metrics)[key] == 3


def test_timings_that_others_keep_are_histograms() -> None:
    metrics, timing = Metrics(), Timing(SHORT)
    timing.add(0.002)
    metrics.timings["llmx_step_seconds"] = ("Steps.", (), lambda: [((), timing)])
    metrics.inline_validation.add(0.001)
    samples = scraped(metrics)
    assert samples["llmx_step_seconds_count", ()] == 1
    assert samples["llmx_validation_seconds_sum", (("place", "inline"),)] == 0.001
    assert samples["llmx_validation_seconds_count", (("place", "worker"),)] == 0
