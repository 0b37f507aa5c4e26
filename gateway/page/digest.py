"""What viewers are told each second, made once for all of them.

A `Reporter` reads counters and tables that exist; nothing tells it anything. A sample is taken
each second whether or not somebody looks, so that who comes after trouble sees the last five
minutes; it costs some twenty integers. Everything else is read for a digest only.

A digest holds addresses of agents, words and figures: no payloads, and no words of agents.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from heapq import nlargest
from itertools import islice
from typing import Final, Protocol

import msgspec

from gateway.admin import AdminView
from gateway.clock import Clock
from gateway.members import Member, Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.page.floor import Floor, floor_of
from gateway.page.graph import Graph, Hears, graph_of
from gateway.page.history import History, Point, Sample
from gateway.records import Recorder
from gateway.telemetry.timing import LONG
from llmx.v1.cluster_pb2 import DrainState

SESSIONS_MAX = 8
SESSIONS_LOOKED_AT_MAX = 2_000
"""Of more sessions only so many are asked how much waits for them."""
REFUSALS_MAX = 10
ENDINGS_MAX = 8
FIGURES: Final = (
    "llmx_agents",
    "llmx_remote_agents",
    "llmx_mailbox_messages",
    "llmx_shard_queue",
    "llmx_store_available",
    "llmx_lease_seconds_left",
    "llmx_fenced",
    "llmx_awards_waiting",
    "llmx_awards_written_total",
    "llmx_awards_found_total",
    "llmx_awards_blind_total",
    "llmx_awards_doubled_total",
    "llmx_holds_expired_total",
)
"""Metrics that cost nothing to read, shown where the gateway has them."""
LABELLED: Final = ("llmx_jain", "llmx_credits_moved_total", "llmx_ledger_difference_credits")
"""Others, with labels; of each the first `LABELLED_MAX` are shown."""
LABELLED_MAX = 8
LABELLED_SECONDS = 15.0
"""How old those may be: Jain's index looks at every agent of a tenant."""


class OpenSession(Protocol):
    """What is shown of a session."""

    @property
    def member(self) -> Member:
        """Whose it is."""

    @property
    def opened_at(self) -> float:
        """When its stream began."""


class Seat(msgspec.Struct, frozen=True, gc=False):
    """A session that is shown: one of those for which most waits."""

    agent: str
    tenant: str
    since: float
    waiting: int
    """Messages that it has not acknowledged."""


class Refusals(msgspec.Struct, frozen=True, gc=False):
    """How often a code refused."""

    code: str
    lately: int
    """In the seconds that the history covers."""
    total: int


class Ledger(msgspec.Struct, frozen=True, gc=False):
    """What became of awards that hold something."""

    settled: int
    refused: int
    undone: int
    working: int
    """Negotiations that wait for the ledger now."""


class Digest(msgspec.Struct, frozen=True, gc=False):
    """What a viewer is told."""

    at: float
    started_at: float
    graph: Graph
    draining: bool
    floor: Floor
    sessions: int
    seats: list[Seat]
    endings: dict[str, int]
    """Streams by why they ended, since the start, the most frequent first."""
    refusals: list[Refusals]
    outcomes: dict[str, int]
    """Negotiations by outcome, since the start."""
    figures: dict[str, float]
    labelled: dict[str, dict[str, float]]
    """By metric, then by the values of its labels."""
    ledger: Ledger | None
    p50: float | None
    """Seconds from a call to its outcome, over the history."""
    p95: float | None
    point: Point | None
    """The newest of the history."""


class Beginning(msgspec.Struct, frozen=True, gc=False):
    """What a viewer is told first."""

    points: list[Point]
    digest: Digest


_encode = msgspec.json.Encoder().encode


class Reporter:
    """Reads one gateway for those who look."""

    def __init__(
        self,
        view: AdminView,
        members: Members,
        negotiations: Negotiations,
        metrics: Metrics,
        sessions: Collection[OpenSession],
        recorder: Recorder,
        now: Clock,
        hears: Callable[[], Hears | None] = lambda: None,
        ledger: Callable[[], Ledger | None] = lambda: None,
    ) -> None:
        """Report on these parts; `hears` returns the cluster once there is one."""
        self._view = view
        self._members = members
        self._negotiations = negotiations
        self._metrics = metrics
        self._sessions = sessions
        self._recorder = recorder
        self._now = now
        self._hears = hears
        self._ledger = ledger
        self._history = History(LONG)
        self._started_at = now()
        self._labels: dict[str, dict[str, float]] = {}
        self._labels_at = float("-inf")

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Reporter: {self._history!r}>"

    def look(self) -> None:
        """Take a sample; called once a second."""
        metrics = self._metrics
        self._history.add(
            Sample(
                at=self._now(),
                sessions=len(self._sessions),
                open=sum(shard.table.open_count for shard in self._negotiations.shards),
                admitted=metrics.admitted,
                finished=sum(metrics.finished.values()),
                refused=dict(metrics.refused),
                decisions=[count for _, count in metrics.decisions.buckets()],
            )
        )

    def begin(self) -> bytes:
        """Return, as JSON, what a viewer needs first: the history and a digest."""
        return _encode(Beginning(list(self._history.points), self.digest()))

    def next(self) -> bytes:
        """Return the digest of now as JSON."""
        return _encode(self.digest())

    def digest(self) -> Digest:
        """Return what is to be seen now."""
        metrics, points, now = self._metrics, self._history.points, self._now()
        drain = self._view.drained()
        return Digest(
            at=now,
            started_at=self._started_at,
            graph=graph_of(self._view, self._hears(), now),
            draining=drain is not None
            and drain.state in (DrainState.DRAIN_STATE_MOVING, DrainState.DRAIN_STATE_DRAINED),
            floor=floor_of(self._negotiations, self._members, self._recorder.recent),
            sessions=len(self._sessions),
            seats=_seats(self._sessions),
            endings=dict(metrics.streams_ended.most_common(ENDINGS_MAX)),
            refusals=[Refusals(*row) for row in self._history.refusals()[:REFUSALS_MAX]],
            outcomes=dict(metrics.finished),
            figures=self._figures(),
            labelled=self._labelled(),
            ledger=self._ledger(),
            p50=self._history.latency(0.5),
            p95=self._history.latency(0.95),
            point=points[-1] if points else None,
        )

    def _figures(self) -> dict[str, float]:
        known: Mapping[str, tuple[str, Callable[[], float]]] = {
            **self._metrics.gauges,
            **self._metrics.sums,
        }
        return {name: float(known[name][1]()) for name in FIGURES if name in known}

    def _labelled(self) -> dict[str, dict[str, float]]:
        if self._now() - self._labels_at >= LABELLED_SECONDS:
            self._labels, self._labels_at = self._read_labelled(), self._now()
        return self._labels

    def _read_labelled(self) -> dict[str, dict[str, float]]:
        known = {**self._metrics.labelled, **self._metrics.labelled_sums}
        return {
            name: {
                " · ".join(labels): float(value)
                for labels, value in islice(known[name][2](), LABELLED_MAX)
            }
            for name in LABELLED
            if name in known
        }


def _seats(sessions: Collection[OpenSession]) -> list[Seat]:
    """Return the sessions for which most waits; of equals the youngest."""
    looked_at = islice(sessions, SESSIONS_LOOKED_AT_MAX)
    most = nlargest(
        SESSIONS_MAX, looked_at, key=lambda one: (len(one.member.outbox), one.opened_at)
    )
    return [
        Seat(
            agent=one.member.agent_id,
            tenant=one.member.tenant.name,
            since=one.opened_at,
            waiting=len(one.member.outbox),
        )
        for one in most
    ]
