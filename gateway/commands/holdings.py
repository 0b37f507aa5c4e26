"""What an outcome says of the ledger: what awards hold, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator

import llmx
from gateway.commands.lines import clean, figure, moment
from policy.ledger import credits_of


def refusal_words(outcome: llmx.Outcome) -> list[str]:
    """Return what exactly the ledger has refused, and when that may be different."""
    detail, retry_at = outcome.body.get("detail"), outcome.body.get("retry_at")
    words = [clean(detail)] if isinstance(detail, str) else []
    if isinstance(retry_at, int | float):
        words.append(f"again from {moment(retry_at)}")
    return words


def held(outcome: llmx.Outcome) -> Iterator[tuple[str, str]]:
    """Return a word and a text for each lock and each payment of the awards."""
    for winner in outcome.winners:
        agent = clean(winner.agent)
        for lock in winner.locks:
            span = f"for {figure(lock.ends_at - lock.starts_at)} s until {moment(lock.ends_at)}"
            units = f"{lock.units} {clean(lock.resource)} {span}"
            yield "holds", f"{agent}  {units}, fence {lock.fence}, for {clean(lock.holder)}"
        paid = winner.payment
        if paid is not None:
            project = f" of project {clean(paid.project)}" if paid.project else ""
            yield "pays", f"{agent}  {clean(paid.payer)} {credits_of(paid.micros)}{project}"
