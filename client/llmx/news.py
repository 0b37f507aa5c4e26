"""What the log says about an agent's connection: that it is lost, and that it is there again.

To lose a gateway is a warning, and so is the end of that; the tries in between are patience.
Before the first gateway has answered only an agent that waits for ever warns: any other is told
by an exception.
"""

from __future__ import annotations

import logging

from llmx.endings import Ending
from llmx.v1.exchange_service_pb2 import Welcome

log = logging.getLogger("llmx")


class News:
    """What one agent's author is told about its connection."""

    def __init__(self, agent_id: str) -> None:
        """Know no trouble."""
        self.agent_id = agent_id
        self.waits_for_ever = False
        """Does nobody else tell that no gateway has answered yet?"""
        self._was_welcome = False
        self._warned = False

    def lost(self, address: str, ending: Ending, goes_to: str, seconds: float) -> None:
        """Tell how a stream ended, and where the next one is tried and when."""
        is_news = not self._warned and (self._was_welcome or self.waits_for_ever)
        self._warned = self._warned or is_news
        level = logging.WARNING if is_news else logging.INFO
        what = _told(ending)
        if goes_to == address:
            log.log(level, "%s: %s %s; again in %.2f s", self.agent_id, address, what, seconds)
        else:
            text = "%s: %s %s; going to %s in %.2f s"
            log.log(level, text, self.agent_id, address, what, goes_to, seconds)

    def connected(self, welcome: Welcome) -> None:
        """Tell that a gateway said Welcome."""
        level = logging.WARNING if self._warned else logging.INFO
        self._was_welcome, self._warned = True, False
        how = "resumed" if welcome.resumed else "new session"
        log.log(level, "%s: connected to %s (%s)", welcome.agent_id, welcome.gateway_id, how)


def _told(ending: Ending) -> str:
    if ending.goodbye == "stopping":
        return "is stopping"
    if ending.goodbye:
        return f"ended the stream ({ending.goodbye})"
    verb = "is lost" if ending.welcomed else "does not answer"
    return f"{verb} ({ending.detail or ending.code.name})"
