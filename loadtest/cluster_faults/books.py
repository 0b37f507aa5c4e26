"""What agents of a cluster sent and were told, and what that says about the promises.

Messages are written into the ledger of `loadtest.chaos` and judged as there. Calls are judged
here, for one promise is stricter in a cluster: a call is awarded once, durable or not, whichever
gateways took it for theirs.

A gateway that is killed for good may take with it what it had admitted and not had on disk; such
messages are counted by themselves. Order is not promised to an agent that moves between gateways
without a word, because the last one is gone or does not answer: what it lacks then comes from
several origins anew. What came out of order is counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from loadtest.chaos.ledger import Called, Fate, Judged, Ledger
from loadtest.chaos.promises import Broken, judge, unfinished

ORDER = "order is kept"
LOST = "nothing is lost"
GRACE = 5.0
"""Seconds before its death in which what a gateway admitted may not have left it yet."""


@dataclass(frozen=True, slots=True)
class Death:
    """A gateway that was killed."""

    gateway_id: str
    at: float


@dataclass(slots=True)
class Books:
    """Everything that was said and done by the agents of a cluster."""

    messages: Ledger = field(default_factory=Ledger)
    """Only messages; calls are kept here."""
    admitted_by: dict[str, str] = field(default_factory=dict)
    """Which gateway the sender was connected with when it heard of it, by label."""
    called: dict[str, Called] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    """Verdicts that contractors heard; one that was called off comes as a lost one later."""
    deaths: list[Death] = field(default_factory=list)
    freezes: list[Death] = field(default_factory=list)
    """Gateways that stood still for longer than their lease: dead to the others."""

    def unfinished(self, now: float) -> list[str]:
        """Return what may still come to an end by itself."""
        lost = {label for label in self.messages.sent if self.may_be_lost(label)}
        open_messages = [one for one in unfinished(self.messages, now) if one not in lost]
        heard = self.heard()
        return open_messages + [
            call.label
            for call in self.called.values()
            if call.fate is Fate.OPEN or call.winners - _won(heard[call.label])
        ]

    def heard(self) -> dict[str, list[Judged]]:
        """Return the verdicts on each call, by its label."""
        heard: dict[str, list[Judged]] = defaultdict(list)
        for judged in self.judged:
            heard[judged.label].append(judged)
        return heard

    def may_be_lost(self, label: str) -> bool:
        """Tell whether a message may be gone with the gateway that had admitted it."""
        message = self.messages.sent[label]
        return (
            message.fate is Fate.ADMITTED
            and not message.durable
            and any(
                death.gateway_id == self.admitted_by.get(label)
                and death.at - GRACE <= message.settled_at <= death.at + GRACE
                for death in self.deaths
            )
        )

    def verdict_may_be_lost(self, call: Called) -> bool:
        """Tell whether a verdict may be gone with a gateway: the call was open, or just decided.

        What is not durable can be told to its initiator, and be lost on its way to the winner.
        """
        return any(
            call.called_at <= one.at <= call.settled_at + GRACE
            for one in (*self.deaths, *self.freezes)
        )

    def delays(self) -> Iterator[float]:
        """Yield how long each message that arrived took, from being sent to being handed over."""
        for label, handed in self.messages.handed.items():
            message = self.messages.sent.get(label)
            if message is not None:
                yield max(one.at for one in handed) - message.sent_at

    def answers(self) -> Iterator[float]:
        """Yield how long each call took that has an outcome."""
        for call in self.called.values():
            if call.fate is Fate.ADMITTED:
                yield call.settled_at - call.called_at


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the books come to."""

    broken: tuple[Broken, ...]
    counts: Counter[str]

    @property
    def lost(self) -> int:
        """Return how many messages neither arrived nor were told as failed."""
        return sum(one.promise == LOST for one in self.broken)

    @property
    def double_awards(self) -> int:
        return sum(one.promise == ONE_AWARD for one in self.broken)


ONE_AWARD = "one award"
AGREE = "winners and initiator agree"


def verdict(books: Books, now: float) -> Verdict:
    """Judge the books when nothing is under way any more."""
    judgement = judge(books.messages, now)
    counts = judgement.counts
    broken: list[Broken] = []
    for one in judgement.broken:
        if one.promise == ORDER:
            counts["out of order"] += 1
        elif one.promise == LOST and books.may_be_lost(one.label):
            counts["lost with the gateway, not durable"] += 1
        else:
            broken.append(one)
    heard = books.heard()
    for call in books.called.values():
        winners = _winners(heard[call.label])
        for one in _of_call(call, winners, counts):
            is_unheard = one.promise == AGREE and {who for who, _ in winners} < call.winners
            if is_unheard and books.verdict_may_be_lost(call):
                counts["verdict lost with the gateway, not durable"] += 1
            else:
                broken.append(one)
    return Verdict(tuple(broken), counts)


def _winners(heard: Collection[Judged]) -> set[tuple[str, str]]:
    """Return who won in which negotiation, and was not told otherwise afterwards."""
    last = {(one.contractor, one.negotiation_id): one.won for one in heard}
    return {whom for whom, won in last.items() if won}


def _won(heard: Collection[Judged]) -> set[str]:
    return {contractor for contractor, _ in _winners(heard)}


def _of_call(call: Called, winners: set[tuple[str, str]], counts: Counter[str]) -> Iterator[Broken]:
    told = call.code if call.fate in (Fate.ADMITTED, Fate.REFUSED) else call.fate.value
    counts[f"calls: {told}"] += 1
    awarded_in = {negotiation_id for _, negotiation_id in winners}
    if len(awarded_in) > 1:
        yield Broken(ONE_AWARD, call.label, f"was awarded in {', '.join(sorted(awarded_in))}")
    if call.fate in (Fate.OPEN, Fate.LOST):
        why = f"{call.fate.value} {call.code}"
        yield Broken("every negotiation ends", call.label, f"has no outcome: {why}")
        return
    won = {contractor for contractor, _ in winners}
    if won != call.winners:
        words = f"was won by {sorted(won)}, and its initiator heard of {sorted(call.winners)}"
        yield Broken(AGREE, call.label, f"{words} ({told})")
