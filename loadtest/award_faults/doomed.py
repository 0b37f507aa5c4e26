"""A gateway that dies by SIGKILL when the award of a negotiation reaches a step; a file names both.

    python -m loadtest.award_faults.doomed FILE gateway --port 7600 …

It is the gateway of the product in every other respect: the same command line, the same code, with
a look at the file at each step. An empty file lets it live.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

WRITING_SECONDS_MAX = 0.004
"""A write takes about as long; the moment within it is drawn."""
SENT_SECONDS = 0.003
TOLD = 3
"""The winner, the loser and the initiator."""

KINDS = {
    "settle": ("asked", "writing", "written"),
    "paid": ("owed", "paying", "paid"),
    "back": ("failed", "returning", "returned"),
}
"""The commits of an award, and the steps before, during and after each."""

Commit = Callable[[Any, Any], Awaitable[Any]]


class Doom:
    """What makes an end of this process."""

    def __init__(self, file: Path) -> None:
        """Look into `file` for the step at which it ends."""
        self._file = file
        self._told = 0

    def reached(self, step: str, about: str) -> bool:
        """Tell whether this is the step, and `about` names the negotiation.

        What an earlier life owes to another negotiation comes to the same steps.
        """
        doomed, _, negotiation_id = self._file.read_text().partition(" ")
        return bool(step) and step == doomed and negotiation_id in about

    def at(self, step: str, about: str) -> None:
        """End here, if this is the step of the negotiation."""
        if self.reached(step, about):
            self.strike()

    def strike(self) -> None:
        """End as by a power cut."""
        os.kill(os.getpid(), signal.SIGKILL)

    def committing(self, commit: Commit) -> Commit:
        """Return what commits, and dies before, meanwhile or afterwards."""

        async def doomed(store: Any, asked: Any) -> Any:
            before, meanwhile, after = KINDS.get(asked.key.partition(":")[0], ("", "", ""))
            if not asked.changes:
                return await commit(store, asked)  # it is called off, not written
            self.at(before, asked.key)
            if self.reached(meanwhile, asked.key):
                loop = asyncio.get_running_loop()
                loop.call_later(random.uniform(0, WRITING_SECONDS_MAX), self.strike)
            answer = await commit(store, asked)
            self.at(after, asked.key)
            return answer

        return doomed

    def performing(self, perform: Callable[..., None]) -> Callable[..., None]:
        """Return what carries out steps, and dies when it should carry out an award."""

        def doomed(
            negotiations: Any, shard: Any, negotiation_id: str, event: Any, *rest: Any
        ) -> None:
            if type(event).__name__ == "Settled":
                self.at("heard", negotiation_id)
                self._told = 0
            perform(negotiations, shard, negotiation_id, event, *rest)

        return doomed

    def delivering(self, deliver: Callable[..., Any]) -> Callable[..., Any]:
        """Return what hands messages to agents, and dies when some are told of an award."""

        def doomed(router: Any, member: Any, parcel: Any) -> Any:
            answer = deliver(router, member, parcel)
            if parcel.negotiation_id and parcel.msg_id.startswith(f"{parcel.negotiation_id}:"):
                about = parcel.negotiation_id
                self._told += 1
                if self._told == 1:
                    self.at("half-told", about)
                if self._told == TOLD:
                    self.at("told", about)
                    if self.reached("sent", about):
                        asyncio.get_running_loop().call_later(SENT_SECONDS, self.strike)
            return answer

        return doomed


def main(arguments: Sequence[str]) -> None:
    """Run a doomed gateway."""
    from gateway import market
    from gateway.cli import app
    from gateway.negotiations import Negotiations
    from gateway.router import Router

    doom = Doom(Path(arguments[0]))
    market.LateStore.commit = doom.committing(market.LateStore.commit)  # type: ignore[method-assign, assignment]
    Negotiations.perform = doom.performing(Negotiations.perform)  # type: ignore[method-assign]
    Router.deliver = doom.delivering(Router.deliver)  # type: ignore[method-assign]
    sys.argv = ["llmx", *arguments[1:]]
    app()


if __name__ == "__main__":
    main(sys.argv[1:])
