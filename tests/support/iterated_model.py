"""An iterated contract net that is too simple to be wrong: a model for each round.

What was heard in earlier rounds is a set; who is not in the round any more hears that it is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.support.contract_model import Model
from tests.support.contract_rules import Bid


@dataclass
class IteratedModel(Model):
    """One negotiation of several rounds; the fields are those of the round that is open."""

    rounds_max: int = 1
    number: int = 1
    earlier: set[tuple[str, str]] = field(default_factory=set)

    def revise(
        self, now: float, invited: Sequence[str], number: int, until: float, msg_id: str
    ) -> list[str]:
        if ("alice", msg_id) in self.earlier:
            return []
        if self.phase != "closed" or self.chosen or self.number == self.rounds_max:
            return ["refuse alice WRONG_STATE"]
        if number not in (0, self.number + 1):
            return ["refuse alice WRONG_STATE"]
        stand = [bid.agent for bid in self.bids if bid.agent not in self.out]
        if not invited or not set(invited) <= set(stand):
            return ["refuse alice INVALID_ADDRESS"]
        if until <= now:
            return ["refuse alice DEADLINE_INVALID"]
        said = self.heard | set(self.said.items()) | set(self.late.items())
        earlier = self.earlier | {act for act in said if act[1]} | {("alice", msg_id)}
        rules = replace(self.rules, agents=tuple(invited), closes_at=until, deadline=until)
        fresh = IteratedModel(
            rules, rounds_max=self.rounds_max, number=self.number + 1, earlier=earlier
        )
        self.__dict__.update(fresh.__dict__)
        left = [f"reject {agent}" for agent in stand if agent not in invited]
        return left + [f"relay to {agent}" for agent in invited]

    def _out(self, agent: str, msg_id: str) -> list[str] | None:
        """Return what is said to an act of an earlier round or of who is not in this one."""
        if (agent, msg_id) in self.earlier:
            return []
        if agent != "alice" and agent not in self.rules.agents:
            return [f"refuse {agent} LATE"]
        return None

    def offer(self, now: float, bid: Bid, msg_id: str) -> list[str]:
        out = self._out(bid.agent, msg_id)
        return super().offer(now, bid, msg_id) if out is None else out

    def refuse(self, now: float, agent: str, msg_id: str) -> list[str]:
        out = self._out(agent, msg_id)
        return super().refuse(now, agent, msg_id) if out is None else out

    def think(self, now: float, agent: str, seconds: float, msg_id: str) -> list[str]:
        out = self._out(agent, msg_id)
        return super().think(now, agent, seconds, msg_id) if out is None else out

    def gone(self, now: float, agent: str) -> list[str]:
        return super().gone(now, agent) if agent in self.rules.agents else []

    def accept(self, now: float, agent: str, msg_id: str) -> list[str]:
        out = self._out("alice", msg_id)
        return super().accept(now, agent, msg_id) if out is None else out

    def reject_all(self, now: float, msg_id: str) -> list[str]:
        out = self._out("alice", msg_id)
        return super().reject_all(now, msg_id) if out is None else out

    def confirm(self, now: float, agent: str, msg_id: str) -> list[str]:
        out = self._out(agent, msg_id)
        return super().confirm(now, agent, msg_id) if out is None else out

    def withdraw(self, now: float, agent: str, msg_id: str) -> list[str]:
        out = self._out(agent, msg_id)
        return super().withdraw(now, agent, msg_id) if out is None else out

    def cancel(self, now: float, msg_id: str) -> list[str]:
        out = self._out("alice", msg_id)
        return super().cancel(now, msg_id) if out is None else out

    def report(self, agent: str, msg_id: str, succeeded: bool) -> list[str]:
        out = self._out(agent, msg_id)
        return super().report(agent, msg_id, succeeded) if out is None else out
