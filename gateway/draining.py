"""Emptying a gateway: its agents are asked to go on elsewhere, a few a second.

Nobody new is let in meanwhile, and the gateway is not ready. An agent that moves takes its session
along, so it notices a new connection and nothing else. Negotiations that are decided here
go to their heirs. When neither is left, the process can be
stopped and nobody will notice.

    (none) → moving → drained, or aborted, or expired
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from gateway.clock import Clock
from gateway.session import Session
from llmx.v1.cluster_pb2 import Drain, DrainState

LOOK_SECONDS = 0.05
MOVING = DrainState.DRAIN_STATE_MOVING

log = structlog.get_logger("llmx.drain")


class Draining:
    """The drain of one gateway, if there is one."""

    def __init__(
        self,
        gateway_id: str,
        sessions: Collection[Session],
        open_negotiations: Callable[[], int],
        now: Clock,
    ) -> None:
        """Move `sessions` elsewhere."""
        self._gateway_id = gateway_id
        self._sessions = sessions
        self._open_negotiations = open_negotiations
        self._now = now
        self.addresses: Callable[[], tuple[str, ...]] = tuple
        """Where agents can go: other gateways, the preferred one first."""
        self._wake = asyncio.Event()
        self._drain: Drain | None = None
        self._began_at = self._ends_at = self._rate_since = 0.0
        self._asked = 0
        self._moved = 0
        self._leaving: set[Session] = set()
        self.hand_over: Callable[[], object] = lambda: None
        """Gives open negotiations to other gateways."""
        self.on_change: Callable[[bool], None] = lambda is_moving: None
        """Hears whether agents may come in."""

    @property
    def is_moving(self) -> bool:
        """Tell whether nobody may come in."""
        return self._drain is not None and self._drain.state in (
            MOVING,
            DrainState.DRAIN_STATE_DRAINED,
        )

    def begin(self, rate: float, deadline: float) -> None:
        """Ask `rate` agents a second to move, for `deadline` seconds at most."""
        now = self._now()
        if self._drain is None or self._drain.state != MOVING:
            self._began_at, self._moved = now, 0
        self._ends_at = now + deadline
        self._asked = 0
        self._rate_since = now
        drain = Drain(gateway_id=self._gateway_id, state=MOVING, agents_per_second=rate)
        drain.began_at.FromNanoseconds(int(self._began_at * 1e9))
        drain.ends_at.FromNanoseconds(int(self._ends_at * 1e9))
        self._drain = drain
        log.info("drain begun", agents=len(self._sessions), rate=rate, deadline=deadline)
        self.on_change(False)
        self._wake.set()

    def abort(self) -> bool:
        """Let agents in again; False when nothing is being drained."""
        if not self.is_moving or self._drain is None:
            return False
        self._drain.state = DrainState.DRAIN_STATE_ABORTED
        log.info("drain aborted", moved=self._moved)
        self.on_change(True)
        return True

    def state(self) -> Drain | None:
        """Return how far the last drain is, None when there was none."""
        if self._drain is None:
            return None
        told = Drain()
        told.CopyFrom(self._drain)
        told.agents_moved = self._moved
        told.agents_left = len(self._sessions)
        told.negotiations_left = self._open_negotiations()
        return told

    async def run(self) -> None:
        """Do what is to be done, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._drain is not None and self._drain.state == MOVING:
                self.look(self._now())
                await asyncio.sleep(LOOK_SECONDS)

    def look(self, now: float) -> None:
        """Ask as many agents as are due, and see whether it is over."""
        drain = self._drain
        assert drain is not None, "it is looked at while it goes on"
        gone = {session for session in self._leaving if session not in self._sessions}
        self._moved += len(gone)
        self._leaving -= gone
        due = int((now - self._rate_since) * drain.agents_per_second) + 1 - self._asked
        addresses = self.addresses()
        for session in [one for one in self._sessions if one not in self._leaving][:due]:
            session.close("stopping", "the gateway is drained", move_to=addresses)
            self._leaving.add(session)
            self._asked += 1
        self.hand_over()
        if not self._sessions and not self._open_negotiations():
            drain.state = DrainState.DRAIN_STATE_DRAINED
            log.info("drained", moved=self._moved, seconds=round(now - self._began_at, 3))
        elif now >= self._ends_at:
            drain.state = DrainState.DRAIN_STATE_EXPIRED
            log.warning("drain expired", left=len(self._sessions))
            self.on_change(True)
