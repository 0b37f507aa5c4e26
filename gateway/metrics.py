"""Every metric of the gateway, in one place.

The hot path adds to plain integers; a scrape reads them. prometheus_client's own counters
take a lock for each increment, which at 100,000 messages a second is a core of its own.
Labels are bounded: codes, states and acts are enumerations, and no label names an agent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.telemetry.timing import LONG, SHORT, Timing, Timings, histogram

Labelled = Callable[[], Iterable[tuple[tuple[str, ...], float]]]
"""Returns the values of a gauge or a counter, each with its labels."""


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
        self._decisions = Timing(LONG)
        self.inline_validation = Timing(SHORT)
        self.worker_validation = Timing(LONG)
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.sums: dict[str, tuple[str, Callable[[], float]]] = {}
        """Counters that others keep."""
        self.labelled: dict[str, tuple[str, tuple[str, ...], Labelled]] = {}
        """Gauges with labels of a bounded number of values each."""
        self.labelled_sums: dict[str, tuple[str, tuple[str, ...], Labelled]] = {}
        """The same of counters."""
        self.timings: dict[str, tuple[str, tuple[str, ...], Timings]] = {}
        """Histograms that others keep."""

    def decided(self, seconds: float) -> None:
        """Count a decision that came `seconds` after its call."""
        self._decisions.add(seconds)

    @property
    def decisions(self) -> Timing:
        """How long decisions took."""
        return self._decisions

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
        yield histogram(
            "llmx_decision_seconds",
            "Time from a call's admission to its outcome.",
            (),
            lambda: [((), self._decisions)],
        )
        yield histogram(
            "llmx_validation_seconds",
            "Time to judge a payload, by place; inline one of 64 is timed.",
            ("place",),
            lambda: [
                (("inline",), self.inline_validation),
                (("worker",), self.worker_validation),
            ],
        )
        for name, (meaning, read) in self.sums.items():
            yield CounterMetricFamily(name, meaning, value=read())
        for name, (meaning, read) in self.gauges.items():
            yield GaugeMetricFamily(name, meaning, value=read())
        for name, (meaning, labels, read_all) in self.labelled.items():
            gauge = GaugeMetricFamily(name, meaning, labels=labels)
            for values, figure in read_all():
                gauge.add_metric(values, figure)
            yield gauge
        for name, (meaning, labels, read_all) in self.labelled_sums.items():
            counter = CounterMetricFamily(name, meaning, labels=labels)
            for values, figure in read_all():
                counter.add_metric(values, figure)
            yield counter
        for name, (meaning, labels, read_timings) in self.timings.items():
            yield histogram(name, meaning, labels, read_timings)
