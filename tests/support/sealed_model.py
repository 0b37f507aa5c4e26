"""Sealed bids, too simple to be wrong: what each bidder has committed is a number in a drawer."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.contract_model import Model
from tests.support.contract_rules import INFINITE, Bid

REVEAL_WITHIN = 5


@dataclass
class SealedModel(Model):
    """One auction; `rules.select` is "vickrey" for the second price, "best" for the first."""

    commit: bool = False
    secret: dict[str, float] = field(default_factory=dict)
    revealing: bool = False
    revealed: dict[str, str] = field(default_factory=dict)
    waived: dict[str, str] = field(default_factory=dict)
    known: set[tuple[str, str]] = field(default_factory=set)
    ran_out: bool = False

    def committed(self, now: float, agent: str, value: float, msg_id: str) -> list[str]:
        if self._known(agent, msg_id):
            return []
        if not self.commit:
            return [f"refuse {agent} WRONG_STATE"]
        counts = self.phase == "open" and not self.said.get(agent)
        if counts:
            self.secret[agent] = value
            self.known.add((agent, msg_id))
        return super().offer(now, Bid(agent, value, INFINITE, False), msg_id)

    def shown(self, now: float, bid: Bid, msg_id: str, opens: bool) -> list[str]:
        """Predict what is said to a bid, with the nonce that it was committed with or without."""
        agent = bid.agent
        if not self.commit:
            return super().offer(now, bid, msg_id)
        if (agent, msg_id) in self.known | self.heard:
            return []
        if self.phase == "open":
            return [f"refuse {agent} WRONG_STATE"]
        if agent not in self.secret:
            return super().offer(now, bid, msg_id)
        if not self.revealing:
            return [f"refuse {agent} LATE"]
        if agent in self.revealed or self.waived.get(agent):
            return [f"refuse {agent} ALREADY_ANSWERED"]
        if not opens or bid.value != self.secret[agent]:
            return [f"refuse {agent} OFFER_BINDING"]
        self.revealed[agent] = msg_id
        self.known.add((agent, msg_id))
        self.waived.pop(agent, None)
        return self._all_open(now)

    def refuse(self, now: float, agent: str, msg_id: str) -> list[str]:
        if not self._owes_a_bid(agent) or self._known(agent, msg_id) or self.waived.get(agent):
            return super().refuse(now, agent, msg_id)
        self.waived[agent] = msg_id
        self.known.add((agent, msg_id))
        return self._all_open(now)

    def gone(self, now: float, agent: str) -> list[str]:
        if not self.revealing:
            return super().gone(now, agent)
        if not self._owes_a_bid(agent) or agent in self.waived:
            return []
        self.waived[agent] = ""
        return self._all_open(now)

    def think(self, now: float, agent: str, seconds: float, msg_id: str) -> list[str]:
        if self.revealing and not self._known(agent, msg_id):
            return [f"refuse {agent} WRONG_STATE"]
        return super().think(now, agent, seconds, msg_id)

    def accept(self, now: float, agent: str, msg_id: str) -> list[str]:
        return ["refuse alice WRONG_STATE"]

    def reject_all(self, now: float, msg_id: str) -> list[str]:
        return ["refuse alice WRONG_STATE"]

    def time(self, now: float) -> list[str]:
        return self._open(now) if self.revealing else super().time(now)

    def cancel(self, now: float, msg_id: str) -> list[str]:
        said = super().cancel(now, msg_id)
        self.revealing = self.revealing and self.phase != "cancelled"
        return said

    def _owes_a_bid(self, agent: str) -> bool:
        return self.revealing and agent in self.secret and agent not in self.revealed

    def _known(self, agent: str, msg_id: str) -> bool:
        return (agent, msg_id) in self.known or super()._known(agent, msg_id)

    def _relay(self) -> list[str]:
        return [] if self.phase == "open" else ["relay to alice"]

    def _close(self, now: float, at: float, *, expired: bool) -> list[str]:
        if not self.commit:
            return super()._close(now, at, expired=expired)
        self.ran_out = expired
        short = expired and (
            self.rules.on_expiry == "no_award"
            or (self.rules.on_expiry == "decide_if" and len(self.bids) < 2)
        )
        if short or not self.bids:
            return self._nobody(now)
        self.phase, self.revealing, self.due = "closed", True, now + REVEAL_WITHIN
        return [f"ask {bid.agent} to reveal until {self.due:g}" for bid in self.bids]

    def _all_open(self, now: float) -> list[str]:
        waits = [agent for agent in self.secret if agent not in {*self.revealed, *self.waived}]
        return [] if waits else self._open(now)

    def _open(self, now: float) -> list[str]:
        self.revealing = False
        self.bids = [bid for bid in self.bids if bid.agent in self.revealed]
        for agent in self.secret:
            if agent in self.revealed:
                self.said[agent] = self.revealed[agent]
            elif self.waived.get(agent) == "":
                self.said[agent] = ""
            else:
                self.declined.add(agent)
        return super()._close(now, now, expired=self.ran_out)
