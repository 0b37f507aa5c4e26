"""Who was served when: what fairness rules and figures need to know of the past.

A `ServiceBook` is kept by the shell, one for each tenant: it hears of every outcome, forgets what
is older than its window, and gives a `Standing` of some agents. The standing is a value; a call
carries it, so that a decision stays a function of what is recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from policy.jain import Evenness, evenness

AGENTS_MAX = 10_000
SERVICES_MAX = 10_000
"""What one book remembers at most; of more the oldest is forgotten before its time. Ten times as
many leave the cache, and cost a gateway 5 % of its rounds."""


class Served(msgspec.Struct, frozen=True, gc=False):
    """What an agent had of late."""

    awards: int = 0
    """Units that it won in the window."""
    utility: float = 0.0
    """The sum of what those were worth, in units of value."""
    last_at: float | None = None
    """When it won last, in seconds on the gateway's clock, however long ago; None: never."""


NOTHING = Served()


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What some agents had of late, and how evenly a tenant is served."""

    served: Mapping[str, Served] = msgspec.field(default_factory=dict)
    """Agents that are not in it had nothing."""
    total: int = 0
    """Units that all agents of the tenant have won in the window."""
    latency: Evenness = evenness(())
    """How evenly the agents that called were decided, by their mean seconds of waiting."""

    def of(self, agent: str) -> Served:
        """Return what an agent had."""
        return self.served.get(agent, NOTHING)


class ServiceBook:
    """What the agents of one tenant were awarded, and how long they waited, in a window of time."""

    __slots__ = ("_awards", "_last", "_sums", "_wait_sums", "_waits", "window")

    def __init__(self, window: float) -> None:
        """Remember `window` seconds, above 0."""
        assert window > 0, "settings check this"
        self.window = window
        self._awards: deque[tuple[float, str, float]] = deque()
        self._sums: dict[str, tuple[int, float]] = {}
        self._last: dict[str, float] = {}  # who won longest ago is first
        self._waits: deque[tuple[float, str, float]] = deque()
        self._wait_sums: dict[str, tuple[int, float]] = {}

    def note_award(self, agent: str, utility: float, now: float) -> None:
        """Remember that an agent has won a unit, and what it was worth.

        What comes late, because another gateway told it, is kept as long as what came before it.
        """
        self._forget(now)
        _push(self._awards, self._sums, (now, agent, utility))
        before = self._last.pop(agent, now)
        self._last[agent] = max(before, now)
        if len(self._last) > AGENTS_MAX:
            del self._last[next(iter(self._last))]

    def note_wait(self, agent: str, seconds: float, now: float) -> None:
        """Remember how long an agent waited for the decision of its call."""
        self._forget(now)
        _push(self._waits, self._wait_sums, (now, agent, seconds))

    def standing(self, agents: Iterable[str], now: float) -> Standing:
        """Return what these agents had."""
        self._forget(now)
        return Standing(
            {agent: self._of(agent) for agent in agents if agent in self._last},
            len(self._awards),
            self.latency(now),
        )

    def winners(self, now: float) -> set[str]:
        """Return who has won something within the window."""
        self._forget(now)
        return set(self._sums)

    def awards(self, agents: Iterable[str], now: float) -> Evenness:
        """Return how evenly these agents and all that won in the window were awarded."""
        self._forget(now)
        everybody = dict.fromkeys((*agents, *self._sums))
        return evenness(self._sums.get(agent, (0, 0.0))[0] for agent in everybody)

    def utility(self, agents: Iterable[str], now: float) -> Evenness:
        """Return the same by what the awards were worth; what is below 0 counts as nothing."""
        self._forget(now)
        everybody = dict.fromkeys((*agents, *self._sums))
        return evenness(max(0.0, self._sums.get(agent, (0, 0.0))[1]) for agent in everybody)

    def latency(self, now: float) -> Evenness:
        """Return how evenly those that called had to wait, by their means."""
        self._forget(now)
        return evenness(max(0.0, total) / count for count, total in self._wait_sums.values())

    def _of(self, agent: str) -> Served:
        count, utility = self._sums.get(agent, (0, 0.0))
        return Served(count, utility, self._last.get(agent))

    def _forget(self, now: float) -> None:
        since, awards, waits = now - self.window, self._awards, self._waits
        while awards and awards[0][0] <= since:
            _pop(awards, self._sums)
        while waits and waits[0][0] <= since:
            _pop(waits, self._wait_sums)


_Entries = deque[tuple[float, str, float]]
_SumsByAgent = dict[str, tuple[int, float]]


def _push(kept: _Entries, sums: _SumsByAgent, entry: tuple[float, str, float]) -> None:
    kept.append(entry)
    _, agent, amount = entry
    count, total = sums.get(agent, (0, 0.0))
    sums[agent] = count + 1, total + amount
    if len(kept) > SERVICES_MAX:
        _pop(kept, sums)


def _pop(kept: _Entries, sums: _SumsByAgent) -> None:
    _, agent, amount = kept.popleft()
    count, total = sums[agent]
    if count == 1:
        del sums[agent]  # so that no rounding is left
    else:
        sums[agent] = count - 1, total - amount
