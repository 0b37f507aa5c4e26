"""Accounts of the agents, by the real ledger: hold, capture, and a budget that is new each hour.

Every entry is checked when it is written: its postings sum to nothing, so do all accounts, and no
account of an agent is ever below zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from policy.ledger import Hold, Posting, Purse, burned, captured, held, minted, released

MICROS = 1_000_000
HOUR = 3600.0


class Books:
    """The credit of everybody, in a simulation."""

    def __init__(self, grant: float, window: float = HOUR) -> None:
        """Give each agent `grant` credits in every window; what is left of the last one is lost."""
        self._grant = round(grant * MICROS)
        self._window = window
        self._purses: dict[str, Purse] = {}
        self._windows: dict[str, int] = {}
        self._accounts: Counter[tuple[str, str]] = Counter()
        self.paid: Counter[str] = Counter()
        """Micro-credits that each agent has paid."""
        self.entries = 0
        self.refused = 0
        """Holds that were not to be had."""

    def available(self, agent: str, now: float) -> float:
        """Return what an agent may promise, in credits."""
        return self._purse(agent, now).available / MICROS

    def hold(self, agent: str, credits_: float, hold_id: str, now: float) -> Hold | None:
        """Promise credit of an agent, or return None when it has not so much."""
        micros = round(credits_ * MICROS)
        purse = self._purse(agent, now)
        if micros > purse.available:
            self.refused += 1
            return None
        self._write(*held(purse, micros))
        return Hold(hold_id, agent, micros, "", now + self._window)

    def capture(self, hold: Hold, credits_: float) -> None:
        """Pay what a held award costs, and give back the rest."""
        micros = min(hold.micros, round(credits_ * MICROS))
        self._write(*captured(self._purses[hold.agent], hold, micros))
        self.paid[hold.agent] += micros

    def release(self, hold: Hold) -> None:
        """Give back what was promised."""
        self._write(*released(self._purses[hold.agent], hold))

    def _purse(self, agent: str, now: float) -> Purse:
        """Return the purse of an agent, with the grant of this window in it."""
        window = int(now // self._window)
        purse = self._purses.get(agent) or Purse(agent)
        if self._windows.get(agent) != window:
            self._windows[agent] = window
            if purse.available:
                purse = self._write(*burned(purse, purse.available))
            if self._grant:
                purse = self._write(*minted(purse, self._grant))
        return purse

    def _write(self, purse: Purse, postings: Sequence[Posting]) -> Purse:
        self._purses[purse.agent] = purse
        self.entries += 1
        assert sum(posting.micros for posting in postings) == 0, "credit is moved, never made up"
        for posting in postings:
            self._accounts[posting.kind, posting.owner] += posting.micros
        assert self._accounts["available", purse.agent] == purse.available >= 0
        assert self._accounts["held", purse.agent] == purse.held >= 0
        return purse

    def check(self) -> None:
        """Check that nothing is held, and that all accounts together are nothing."""
        assert sum(self._accounts.values()) == 0, "the sum of all accounts is zero"
        assert not any(purse.held for purse in self._purses.values()), "every hold has ended"
        assert self._accounts["market", ""] == sum(self.paid.values())
