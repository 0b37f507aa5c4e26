"""Whether the shards of this gateway may decide, as discovery sees it.

A gateway that others may have taken for gone stands still: its agents may be somewhere else by now
and have called again. It goes on when it is registered anew, or at once where nobody sees etcd,
because then nobody can have taken its place; `federation.fencing` says why that is safe. Going on
like that is called blind here, and awards are told unwritten then (`gateway.awards`).
"""

from __future__ import annotations

import structlog

from federation.discovery import Discovery
from gateway.clock import Clock

ASK_SECONDS = 0.02
"""How long an answer counts: shards ask before every slice, which may be one message."""

log = structlog.get_logger("llmx.cluster")


class ShardFence:
    """Stands before the shards of a gateway whose members come and go in etcd."""

    def __init__(self, discovery: Discovery, now: Clock) -> None:
        """Be shut until the gateway is registered."""
        self._discovery = discovery
        self._now = now
        self._asked_at = float("-inf")
        self.is_shut = True

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<ShardFence: {'shut' if self.is_shut else 'open'}>"

    def may_decide(self) -> bool:
        """Tell whether shards may decide now."""
        now = self._now()
        if now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            self._note(not self._discovery.may_decide())
        return not self.is_shut

    def is_blind(self) -> bool:
        """Tell whether they may only because nobody sees etcd."""
        return self._now() >= self._discovery.sure_until and self._discovery.may_decide()

    def _note(self, is_shut: bool) -> None:
        if is_shut == self.is_shut:
            return
        self.is_shut = is_shut
        if is_shut:
            log.warning("decisions stop: others may have taken this gateway for gone")
        else:
            log.info("decisions go on", epoch=self._discovery.own.epoch)
