"""Every metric of the gateway, in one place.

The hot path adds to plain integers; a scrape reads them. prometheus_client's own counters
take a lock for each increment, which at 100,000 messages a second is a core of its own.
Labels are bounded: codes, states and acts are enumerations, and no label names an agent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Labelled = Callable[[], Iterable[tuple[tuple[str, ...], float]]]
"""Returns the values of a gauge, each with its labels."""

DECISION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics(Collector):
    """What this gateway has counted since it started."""

    def __init__(self) -> None:
        """Start at zero."""
        self.frames_in = 0
        self.frames_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.admitted = 0
        self.delivered = 0
        self.acknowledged = 0
        self.repeated = 0
        self.batches_repeated = 0
        self.resumed = 0
        self.warned = 0
        self.undelivered = 0
        self.overflowed = 0
        self.validated_inline = 0
        self.validated_in_worker = 0
        self.calls = 0
        self.refused: Counter[str] = Counter()
        self.limits_reached: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.streams_ended: Counter[str] = Counter()
        self._decision_counts = [0] * (len(DECISION_BUCKETS) + 1)
        self._decision_sum = 0.0
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.sums: dict[str, tuple[str, Callable[[], float]]] = {}
        """Counters that others keep."""
        self.labelled: dict[str, tuple[str, tuple[str, ...], Labelled]] = {}
        """Gauges with labels of a bounded number of values each."""

    def decided(self, seconds: float) -> None:
        """Count a decision that came `seconds` after its call."""
        self._decision_counts[bisect_left(DECISION_BUCKETS, seconds)] += 1
        self._decision_sum += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield every metric for a scrape."""
        for name, meaning, value in (
            ("llmx_frames_received", "Frames from agents.", self.frames_in),
            ("llmx_frames_sent", "Frames to agents.", self.frames_out),
            ("llmx_received_bytes", "Bytes of frames from agents.", self.bytes_in),
            ("llmx_sent_bytes", "Bytes of frames to agents.", self.bytes_out),
            ("llmx_messages_admitted", "Messages that passed admission.", self.admitted),
            ("llmx_messages_delivered", "Messages put on their way to an agent.", self.delivered),
            ("llmx_messages_acknowledged", "Deliveries that were acked.", self.acknowledged),
            ("llmx_messages_repeated", "Deliveries that were sent again.", self.repeated),
            ("llmx_messages_undelivered", "Deliveries that were given up.", self.undelivered),
            (
                "llmx_batches_repeated",
                "Batches that had been handled before.",
                self.batches_repeated,
            ),
            ("llmx_sessions_resumed", "Streams that went on with a session.", self.resumed),
            ("llmx_slow_consumers_warned", "Warnings to slow consumers.", self.warned),
            ("llmx_outbox_overflows", "Deliveries that found a full outbox.", self.overflowed),
            ("llmx_calls", "Calls for proposals that opened a negotiation.", self.calls),
        ):
            yield CounterMetricFamily(name, meaning, value=value)
        validated = CounterMetricFamily(
            "llmx_payloads_validated", "Payloads judged, by place.", labels=["place"]
        )
        validated.add_metric(["inline"], self.validated_inline)
        validated.add_metric(["worker"], self.validated_in_worker)
        yield validated
        for name, meaning, label, counts in (
            ("llmx_messages_refused", "Messages that did not count.", "code", self.refused),
            ("llmx_limits_reached", "Refusals by whose limit.", "limit", self.limits_reached),
            ("llmx_negotiations_finished", "Negotiations by outcome.", "state", self.finished),
            ("llmx_streams_ended", "Streams by why they ended.", "reason", self.streams_ended),
        ):
            family = CounterMetricFamily(name, meaning, labels=[label])
            for word, count in sorted(counts.items()):
                family.add_metric([word], count)
            yield family
        yield self._decisions()
        for name, (meaning, read) in self.sums.items():
            yield CounterMetricFamily(name, meaning, value=read())
        for name, (meaning, read) in self.gauges.items():
            yield GaugeMetricFamily(name, meaning, value=read())
        for name, (meaning, labels, read_all) in self.labelled.items():
            gauge = GaugeMetricFamily(name, meaning, labels=labels)
            for values, figure in read_all():
                gauge.add_metric(values, figure)
            yield gauge

    def _decisions(self) -> Metric:
        family = HistogramMetricFamily(
            "llmx_decision_seconds", "Time from a call's admission to its outcome."
        )
        buckets, total = [], 0
        for bound, count in zip((*DECISION_BUCKETS, "+Inf"), self._decision_counts, strict=True):
            total += count
            buckets.append((str(bound), total))
        family.add_metric([], buckets, self._decision_sum)
        return family
