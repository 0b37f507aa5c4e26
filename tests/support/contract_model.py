"""A contract net that is too simple to be wrong: lists, loops, and no care for speed.

It predicts what `policy.contract_net` says, in the words of `tests.support.plays` without the
reasons of rejections, and in any order. It never looks at the real one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.contract_rules import INFINITE, Bid, Rules


@dataclass
class Model:
    """One negotiation; each method answers with the words that are to be said."""

    rules: Rules
    phase: str = "open"
    due: float = field(init=False)
    said: dict[str, str] = field(default_factory=dict)
    heard: set[tuple[str, str]] = field(default_factory=set)
    bids: list[Bid] = field(default_factory=list)
    declined: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    met: bool = False
    settled: float = 0.0
    thinking: dict[str, float] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    out: set[str] = field(default_factory=set)
    lapsed: set[str] = field(default_factory=set)
    chosen: list[str] = field(default_factory=list)
    waiting: dict[str, float] = field(default_factory=dict)
    holding: list[str] = field(default_factory=list)
    owing: set[str] = field(default_factory=set)
    failed: bool = False
    frozen_at: float = 0.0
    """When offers were judged for the first time."""

    def __post_init__(self) -> None:
        self.due = self.rules.closes_at

    # ------------------------------------------------------------------ what can happen

    def offer(self, now: float, bid: Bid, msg_id: str) -> list[str]:
        agent = bid.agent
        known = self.said.get(agent) or self.late.get(agent)
        if known:
            return [] if known == msg_id else [f"refuse {agent} ALREADY_ANSWERED"]
        if self.phase == "open":
            if bid.until < now:
                return [f"refuse {agent} OFFER_EXPIRED"]
            self.said[agent] = msg_id
            self.bids.append(bid)
            return self._relay() + self._look(now)
        self.late[agent] = msg_id
        words = ["relay to alice"] if self.rules.record_late else []
        if not self.rules.record_late or self.rules.final:
            words.append(f"reject {agent}")
        return words

    def refuse(self, now: float, agent: str, msg_id: str) -> list[str]:
        if self._known(agent, msg_id):
            return []
        if self.phase == "confirming" and agent in self.waiting:
            self.heard.add((agent, msg_id))
            return ["relay to alice", *self._let_go([agent], now, now)]
        if self.said.get(agent):
            return [f"refuse {agent} ALREADY_ANSWERED"]
        if self.phase != "open":
            return [f"refuse {agent} LATE"]
        self.said[agent] = msg_id
        self.declined.add(agent)
        return self._relay() + self._look(now)

    def think(self, now: float, agent: str, seconds: float, msg_id: str) -> list[str]:
        if self._known(agent, msg_id):
            return []
        until = now + seconds
        asked = self.asked.get(agent, 0)
        if self.phase == "open" and agent != "alice" and not self.said.get(agent):
            self.said.pop(agent, None)
            self.thinking[agent] = until
            self.due = self._wait_until()
        elif self.phase == "closed" and agent == "alice":
            self.due = max(asked + 30, min(until, asked + 60))
        elif self.phase == "confirming" and agent in self.waiting:
            self.waiting[agent] = max(asked + 10, min(until, asked + 20))
            self.due = min(self.waiting.values())
        elif agent == "alice":
            return ["refuse alice WRONG_STATE"]
        elif agent in self.lapsed or not self.said.get(agent):
            return [f"refuse {agent} LATE"]
        else:
            return [f"refuse {agent} ALREADY_ANSWERED"]
        self.heard.add((agent, msg_id))
        return [] if agent == "alice" else ["relay to alice"]

    def gone(self, now: float, agent: str) -> list[str]:
        if self.phase == "open" and agent not in self.said:
            self.said[agent] = ""
            return self._look(now)
        if self.phase == "confirming" and agent in self.waiting:
            return self._let_go([agent], now, now)
        if self.phase == "committed" and agent in self.owing:
            return [f"failure to alice: unreachable {agent}", *self._reported(agent, False)]
        return []

    def accept(self, now: float, agent: str, msg_id: str) -> list[str]:
        if ("alice", msg_id) in self.heard:
            return []
        if self.phase != "closed":
            return ["refuse alice WRONG_STATE"]
        bid = self._bid(agent)
        if bid is None:
            return ["refuse alice UNKNOWN_OFFER"]
        if agent in self.out:
            return ["refuse alice WRONG_STATE"]
        if agent in self.chosen:
            return ["refuse alice ALREADY_ANSWERED"]
        if bid.until < now:
            return ["refuse alice OFFER_EXPIRED"]
        self.heard.add(("alice", msg_id))
        self.chosen.append(agent)
        return self._chosen_enough(now)

    def reject_all(self, now: float, msg_id: str) -> list[str]:
        if ("alice", msg_id) in self.heard:
            return []
        if self.phase != "closed":
            return ["refuse alice WRONG_STATE"]
        self.heard.add(("alice", msg_id))
        return self._decided(now)

    def confirm(self, now: float, agent: str, msg_id: str) -> list[str]:
        if self._known(agent, msg_id):
            return []
        if self.phase == "confirming" and agent in self.waiting:
            self.heard.add((agent, msg_id))
            del self.waiting[agent]
            self.holding.append(agent)
            return ["relay to alice", *self._go_on(now)]
        if agent in self.holding:
            return [f"refuse {agent} ALREADY_ANSWERED"]
        if agent in self.lapsed:
            return [f"refuse {agent} LATE"]
        return [f"refuse {agent} WRONG_STATE"]

    def withdraw(self, now: float, agent: str, msg_id: str) -> list[str]:
        if self._known(agent, msg_id):
            return []
        if self.phase not in ("open", "closed", "confirming"):
            return [f"refuse {agent} WRONG_STATE"]
        bid = self._bid(agent)
        if bid is None or agent in self.out:
            return [f"refuse {agent} UNKNOWN_OFFER"]
        taken = agent in self.chosen or agent in self.waiting or agent in self.holding
        if taken or not (bid.revocable or bid.until < now):
            return [f"refuse {agent} OFFER_BINDING"]
        self.heard.add((agent, msg_id))
        self.withdrawn.add(agent)
        self.bids.remove(bid)
        if self.phase == "closed":
            return ["relay to alice", *self._chosen_enough(now)]
        return self._relay()

    def cancel(self, now: float, msg_id: str) -> list[str]:
        if ("alice", msg_id) in self.heard:
            return []
        if self.phase in ("done", "failed", "cancelled", "no_award"):
            return ["refuse alice WRONG_STATE"]
        self.heard.add(("alice", msg_id))
        if self.phase == "open":
            idle = self.declined | self.withdrawn
            live = [a for a in self.rules.agents if a not in idle and self.said.get(a) != ""]
        elif self.phase == "committed":
            live = [agent for agent in self.holding if agent in self.owing]
        else:
            live = [bid.agent for bid in self.bids if bid.agent not in self.out]
        self.owing = set(live)
        if self.phase != "committed":
            self.holding = []
        self.phase = "cancelled"
        return [f"cancel {agent}" for agent in live] + ["outcome cancelled"]

    def report(self, agent: str, msg_id: str, succeeded: bool) -> list[str]:
        if self._known(agent, msg_id):
            return []
        if self.phase in ("committed", "cancelled") and agent in self.owing:
            self.heard.add((agent, msg_id))
            return ["relay to alice", *self._reported(agent, succeeded)]
        if self.phase in ("open", "closed", "confirming"):
            return [f"refuse {agent} WRONG_STATE"]
        if agent in self.owing:
            return [f"refuse {agent} LATE"]
        if agent in self.holding:
            return [f"refuse {agent} ALREADY_ANSWERED"]
        return [f"refuse {agent} WRONG_STATE"]

    def time(self, now: float) -> list[str]:
        """Let the timer ring at `now`, which is not before it is due."""
        due = self.due
        match self.phase:
            case "open":
                return self._close(now, due, expired=not self.met)
            case "closed":
                return self._decided(now)
            case "confirming":
                lapsed = [agent for agent, until in self.waiting.items() if until <= now]
                self.lapsed.update(lapsed)
                return [f"cancel {a}" for a in lapsed] + self._let_go(lapsed, now, due)
            case "committed" if self.rules.report_within is not None:
                self.phase = "failed"
                names = ", agent://".join(agent for agent in self.holding if agent in self.owing)
                return [f"failure to alice: not_reported {names}"]
        return []

    @property
    def is_over(self) -> bool:
        return self.phase in ("done", "failed", "cancelled", "no_award") or (
            self.phase == "committed" and self.rules.report_within is None
        )

    # ------------------------------------------------------------------ what follows

    def _known(self, agent: str, msg_id: str) -> bool:
        return (
            (agent, msg_id) in self.heard
            or self.said.get(agent) == msg_id
            or self.late.get(agent) == msg_id
        )

    def _relay(self) -> list[str]:
        return [] if self.rules.sealed and self.phase == "open" else ["relay to alice"]

    def _bid(self, agent: str) -> Bid | None:
        return next((bid for bid in self.bids if bid.agent == agent), None)

    def _look(self, now: float) -> list[str]:
        quorum = self.rules.quorum
        for agent in self.said:
            self.thinking.pop(agent, None)
        if not self.met and quorum is not None and len(self.bids) >= quorum:
            self.met = True
            self.settled = min(self.rules.closes_at, now + self.rules.settle)
        self.due = self._wait_until()
        if len(self.said) == len(self.rules.agents) or (self.met and self.due <= now):
            return self._close(now, now, expired=False)
        if self.due < now:
            return self._close(now, now, expired=True)
        return []

    def _wait_until(self) -> float:
        if self.met:
            return self.settled
        asked_for = [min(until, self.rules.deadline) for until in self.thinking.values()]
        return max([self.rules.closes_at, *asked_for])

    def _ranked(self, at: float) -> list[Bid]:
        """Who can be awarded by the engine, the best first."""
        reserve = INFINITE if self.rules.reserve is None else self.rules.reserve
        able = [
            bid
            for bid in self.bids
            if self.frozen_at <= bid.until
            and at <= bid.until
            and bid.value <= reserve
            and bid.agent not in self.out
        ]
        return able if self.rules.select == "first" else sorted(able, key=lambda bid: bid.value)

    def _close(self, now: float, at: float, *, expired: bool) -> list[str]:
        self.phase, self.frozen_at = "closed", at
        if not self.bids:
            return self._nobody(now)
        if expired and (
            self.rules.on_expiry == "no_award"
            or (self.rules.on_expiry == "decide_if" and len(self.bids) < 2)
        ):
            return self._nobody(now)
        if self.rules.initiator_decides:
            return self._show(now, at)
        return self._award_best(now, at)

    def _open_to_choice(self, at: float) -> list[Bid]:
        return [
            bid
            for bid in self.bids
            if bid.agent not in self.out and bid.until >= max(at, self.frozen_at)
        ]

    def _show(self, now: float, at: float) -> list[str]:
        if not self._open_to_choice(at):
            return self._nobody(now)
        self.phase, self.due, self.asked["alice"] = "closed", now + 30, now
        return ["show alice"]

    def _chosen_enough(self, now: float) -> list[str]:
        left = [bid for bid in self._open_to_choice(now) if bid.agent not in self.chosen]
        if left and len(self.chosen) < self.rules.units:
            return []
        return self._decided(now)

    def _decided(self, now: float) -> list[str]:
        if not self.chosen:
            return self._nobody(now)
        winners = [(agent, self._value(agent)) for agent in self.chosen]
        self.chosen = []
        return self._awarded(winners, now)

    def _value(self, agent: str) -> float:
        bid = self._bid(agent)
        assert bid is not None
        return bid.value

    def _award_best(self, now: float, at: float) -> list[str]:
        taken = {*self.waiting, *self.holding}
        free = [bid for bid in self._ranked(at) if bid.agent not in taken]
        units = self.rules.units - len(taken)
        won, lost = free[:units], free[units:]
        if not won and not taken:
            return self._nobody(now)
        price: float | None = None
        if self.rules.sealed:
            price = lost[0].value if lost else self.rules.reserve
        return self._awarded(
            [(bid.agent, bid.value if price is None else price) for bid in won], now
        )

    def _awarded(self, winners: list[tuple[str, float]], now: float) -> list[str]:
        words = [f"accept {agent} at {price:g}" for agent, price in winners]
        for agent, _ in winners:
            if self.rules.confirm:
                self.asked[agent], self.waiting[agent] = now, now + 10
            else:
                self.holding.append(agent)
        return words + self._go_on(now)

    def _go_on(self, now: float) -> list[str]:
        if self.waiting:
            self.phase, self.due = "confirming", min(self.waiting.values())
            return []
        if not self.holding:
            if self.rules.initiator_decides:
                return self._show(now, now)
            return self._nobody(now)
        within = self.rules.report_within
        self.phase, self.due = "committed", now + (30 if within is None else within)
        self.owing = set(self.holding)
        return [*self._verdicts(), "outcome committed"]

    def _let_go(self, agents: list[str], now: float, at: float) -> list[str]:
        for agent in agents:
            del self.waiting[agent]
            self.out.add(agent)
        if self.rules.initiator_decides:
            return self._go_on(now)
        return self._award_best(now, at)

    def _nobody(self, now: float) -> list[str]:
        self.phase, self.due = "no_award", now + 30
        return [*self._verdicts(), "outcome no_award"]

    def _verdicts(self) -> list[str]:
        if not self.rules.final:
            return []
        told = self.out | set(self.holding)
        return [f"reject {bid.agent}" for bid in self.bids if bid.agent not in told]

    def _reported(self, agent: str, succeeded: bool) -> list[str]:
        self.owing.discard(agent)
        self.failed = self.failed or not succeeded
        if self.phase == "committed" and not self.owing:
            self.phase = "failed" if self.failed else "done"
        return []
