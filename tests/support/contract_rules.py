"""What the model of a contract net knows from the start, and what an offer is to it."""

from __future__ import annotations

from dataclasses import dataclass

INFINITE = float("inf")


@dataclass
class Rules:
    """What is fixed when the call goes out."""

    agents: tuple[str, ...]
    quorum: int | None
    settle: float
    select: str
    on_expiry: str
    final: bool
    confirm: bool
    record_late: bool
    initiator_decides: bool
    units: int
    report_within: float | None
    reserve: float | None
    closes_at: float = 10.0
    deadline: float = 10.0

    @property
    def sealed(self) -> bool:
        return self.select == "vickrey"


@dataclass
class Bid:
    agent: str
    value: float
    until: float
    revocable: bool
