"""`llmx call` with a call for a bargain: it gives way from one price to another, and shows how.

What is proposed goes evenly from `start` to `limit` over the rounds of the call; whatever is as
good as the next own proposal is accepted. For anything cleverer a program is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import llmx
from gateway.commands.holdings import held, refusal_words
from gateway.commands.lines import clean, compact, figure, say, tell
from gateway.commands.trouble import NO_AWARD, OK, CommandError
from llmx.bargain import PROTOCOLS, Bargain, Move, Proposal
from llmx.concession import Concede


@dataclass(frozen=True, slots=True)
class Prices:
    """How far a bargain goes."""

    start: float
    """What is proposed first."""
    limit: float
    """The worst that is agreed to."""


def is_bargain(body: Mapping[str, Any]) -> bool:
    """Tell whether a call is for a bargain between two."""
    return body.get("protocol") in PROTOCOLS


def prices_of(body: Mapping[str, Any], start: float | None, limit: float | None) -> Prices | None:
    """Return how far a call goes; None when it is for no bargain. Raises CommandError."""
    if not is_bargain(body):
        return None
    if start is None or limit is None:
        raise CommandError(
            "a bargain has to know its prices", "say the first and the worst: --start 30 --limit 45"
        )
    return Prices(start, limit)


async def bargain(
    agent: llmx.Agent,
    body: Mapping[str, Any],
    to: str,
    prices: Prices,
    *,
    consent: str = "",
    durable: bool = False,
    as_json: bool,
) -> int:
    """Bargain with one agent to the end; returns the exit code. Raises LlmxError."""
    show = _Course(as_json=as_json)
    strategy = Concede(start=prices.start, limit=prices.limit)

    def move(bargain: Bargain) -> Move:
        show.proposals(bargain)
        return strategy(bargain)

    called = agent.bargain(
        body, to=to, protocol=str(body["protocol"]), consent=consent, durable=durable
    )
    async with called as course:
        show.opened(course)
        outcome = await course.play(move)
    show.proposals(course)
    show.outcome(outcome)
    return OK if outcome.agreement is not None else NO_AWARD


class _Course:
    """Shows a bargain as it goes on."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._began = time.monotonic()
        self._shown = 0

    @property
    def _ms(self) -> float:
        return (time.monotonic() - self._began) * 1000

    def opened(self, bargain: Bargain) -> None:
        """Say that it is open."""
        if self._as_json:
            tell("opened", ms=round(self._ms, 3), negotiation=bargain.negotiation_id)
        else:
            with_whom = f"{bargain.agent_id} with {clean(bargain.other)}"
            say(f"{'bargain':<8} {bargain.negotiation_id}  {with_whom}")

    def proposals(self, bargain: Bargain) -> None:
        """Show what was proposed since the last look."""
        for proposal in bargain.proposals[self._shown :]:
            self._proposal(proposal)
        self._shown = len(bargain.proposals)

    def _proposal(self, proposal: Proposal) -> None:
        if self._as_json:
            told = {"agent": proposal.by, "offer_id": proposal.offer_id, "value": proposal.value}
            tell("proposal", ms=round(self._ms, 3), **told, terms=proposal.terms)
            return
        words = (figure(proposal.value), compact(proposal.terms), clean(proposal.text))
        said = " ".join(filter(None, words))
        say(f"{'propose':<8} {clean(proposal.by)}  {said}  +{self._ms:.1f} ms")

    def outcome(self, outcome: llmx.Outcome) -> None:
        """Show how it ended."""
        if self._as_json:
            facts = {"negotiation": outcome.negotiation_id, "outcome": outcome.body}
            tell("outcome", ms=round(self._ms, 3), **facts)
            return
        agreement = outcome.agreement
        words = clean(outcome.reason)
        if agreement is not None:
            words = f"agreed at {figure(agreement.value)}, proposed by {clean(agreement.by)}"
        beside = ", ".join((f"ended by {outcome.ended_by}", *refusal_words(outcome)))
        say(f"{'outcome':<8} {outcome.state}: {words} ({beside})  +{self._ms:.1f} ms")
        for word, text in held(outcome):
            say(f"{word:<8} {text}")
