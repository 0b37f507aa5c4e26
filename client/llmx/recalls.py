"""Calls again what was open when a gateway was lost, or what came when none could decide it.

Everybody who lost the same gateway comes back at about the same time. A call that is repeated at
once finds only the quickest of them, or nobody: so it waits until the others had time to come,
and a gateway that finds nobody is asked again while the call's time to reply lasts. A gateway
that still knows the call says so; the wait cost nothing, for what it told meanwhile was heard.

An agent whose own gateway lives hears from it that the one that decided its call is gone. And a
gateway that must not decide says when to ask again, which is done as long as there is sense in it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from llmx.backoff import Backoff
from llmx.calls import Call
from llmx.errors import Refused, SessionError
from llmx.initiating import Initiated
from llmx.session import Session
from llmx.v1.envelope_pb2 import Envelope

log = logging.getLogger("llmx")

SETTLE_SECONDS_MAX = 2.0
"""Others wait up to half a second before their first try, and up to 1.3 s in all before their
second; longer would only keep those waiting who lost nothing."""
SETTLE_SHARE = 0.25
"""Of the time to reply: the contractors need the rest."""
LOST = "NEGOTIATION_LOST"
NOT_NOW = "FENCED"
NOT_NOW_SECONDS_MAX = 30.0
"""How long a call without a deadline of its own is repeated to a gateway that must not decide."""
NOBODY_THERE = frozenset(("NO_RECIPIENTS", "AGENT_ABSENT"))
BETWEEN_TRIES = Backoff(first=0.5, factor=1.6, longest=2.0)


@dataclass(slots=True)
class Recall:
    """A call that is repeated."""

    until: float
    """When its time to reply is over, by the clock of the loop."""
    timer: asyncio.TimerHandle
    may_be_open: bool = True
    """May a gateway have opened it that was lost, and awarded it?"""
    refusals: int = 0
    fenced_until: float = 0.0
    """Until when gateways are asked that must not decide; 0 while none has said so."""


class Recalls:
    """The calls of one agent that a new session has to be told again."""

    def __init__(self, session: Session, draw: Callable[[], float] = random.random) -> None:
        """Repeat nothing yet."""
        self._session = session
        self._draw = draw
        self._known: dict[str, Recall] = {}

    def begin(self, negotiation: Initiated) -> None:
        """Call again on a new session, after a settling time.

        A call that no gateway was asked yet is left where it is: in the queue, to be sent now.
        """
        call = negotiation.call
        if negotiation.outcome is not None or not self._session.hold_back(call.msg_id):
            return
        self.forget(negotiation)
        left = max(Call(call).reply_within, 0.0)
        loop = asyncio.get_running_loop()
        wait = min(SETTLE_SECONDS_MAX, SETTLE_SHARE * left)
        timer = loop.call_later(wait, self._repeat, negotiation)
        self._known[call.msg_id] = Recall(loop.time() + left, timer)

    def again(self, negotiation: Initiated, error: Refused) -> bool:
        """Hear that a call was refused; True when there is no need to tell its author."""
        if error.code == LOST:
            self._lost(negotiation, error)
            return True
        if error.code == NOT_NOW:
            return self._later(negotiation, error.retry_after or BETWEEN_TRIES.first)
        recall = self._known.get(negotiation.call.msg_id)
        loop = asyncio.get_running_loop()
        if recall is None or error.code not in NOBODY_THERE or loop.time() >= recall.until:
            self.forget(negotiation)
            return False
        recall.refusals += 1
        at = loop.time() + BETWEEN_TRIES.wait(recall.refusals, self._draw)
        recall.timer = loop.call_at(min(at, recall.until), self._repeat, negotiation)
        return True

    def _lost(self, negotiation: Initiated, error: Refused) -> None:
        """Call again, unless that has happened: the word is about an earlier negotiation then."""
        if error.negotiation_id == negotiation.negotiation_id:
            self.begin(negotiation)

    def _later(self, negotiation: Initiated, wait: float) -> bool:
        """Call again when a gateway may decide; False when that took too long."""
        call, loop = Call(negotiation.call), asyncio.get_running_loop()
        at = loop.time() + wait * (1 + self._draw())  # not all in one moment
        known = self._known.get(call.msg_id)
        timer = loop.call_at(at, self._repeat, negotiation)
        # A first call is known to nobody, and is not to find somebody later.
        recall = known or Recall(loop.time(), timer, may_be_open=False)
        recall.timer = timer
        if not recall.fenced_until:
            patience = call.reply_within if "deadline" in call.body else NOT_NOW_SECONDS_MAX
            recall.fenced_until = loop.time() + patience
        self._known[call.msg_id] = recall
        if at >= recall.fenced_until:
            self.forget(negotiation)
            return False
        return True

    def forget(self, negotiation: Initiated) -> None:
        """Repeat a call no more: it is open, over or left."""
        recall = self._known.pop(negotiation.call.msg_id, None)
        if recall is not None:
            recall.timer.cancel()

    def _repeat(self, negotiation: Initiated) -> None:
        if negotiation.outcome is not None:
            self.forget(negotiation)
            return
        call = Envelope()
        call.CopyFrom(negotiation.call)
        call.sent_before = self._known[call.msg_id].may_be_open
        try:
            self._session.post(call, repeated=True)
        except SessionError as over:
            log.debug("%r is not called again: %s", negotiation, over)
