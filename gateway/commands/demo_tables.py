"""The tables and sentences of the demo: a round as it stands, and all rounds side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from gateway.commands.lines import clean, compact, figure
from gateway.commands.rounds import Bid, Round

BESIDE_LENGTH_MAX = 30
WHY_LENGTH_MAX = 22


def round_table(round_: Round, title: str) -> Table:
    """Return a round as it stands, a row for every contractor."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("contractor", no_wrap=True, width=20)
    table.add_column("offer", justify="right", no_wrap=True, width=9)
    table.add_column("with", no_wrap=True, width=BESIDE_LENGTH_MAX)
    table.add_column("after ms", justify="right", no_wrap=True, width=8)
    table.add_column("way ms", justify="right", no_wrap=True, width=6)
    table.add_column("verdict", no_wrap=True, width=WHY_LENGTH_MAX - 5)
    for bid in sorted(round_.bids.values(), key=_order):
        table.add_row(*(Text(cell, style=style_of(bid)) for cell in _cells(bid)))
    return table


def summary_table(rounds: Sequence[Round]) -> Table:
    """Return all rounds, a row for each."""
    table = Table(title="all rounds", title_justify="left", title_style="bold", box=None)
    table.pad_edge = False
    table.add_column("policy", no_wrap=True)
    for name in ("offers", "late", "refused"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("closed by", no_wrap=True)
    table.add_column("winner", no_wrap=True)
    for name in ("price", "first ms", "end ms", "decided ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for round_ in rounds:
        facts = round_.summary()
        winner = clean(str(facts["winner"] or ""), 22)
        if len(facts["winners"]) > 1:
            winner += f" +{len(facts['winners']) - 1}"
        table.add_row(
            Text(clean(facts["policy"], 24)),
            f"{facts['offers']} of {facts['eligible']}",
            str(facts["late"]),
            str(facts["refused"]),
            Text(clean(facts["closed_by"] or "–")),
            Text(winner or clean(facts["reason"] or facts["state"], 24)),
            figure(facts["price"]),
            _ms(facts["first_offer_ms"], 0),
            _ms(facts["outcome_ms"], 0),
            _ms(facts["decision_ms"], 1),
        )
    return table


def note_lines(round_: Round) -> list[str]:
    """Return what the gateway refused in a round, a sentence for each."""
    lines = []
    if round_.refused is not None:
        lines.append(
            f"the call was refused, {round_.refused.get('code')} at "
            f"{round_.refused.get('pointer')}: {round_.refused.get('reason')}"
        )
    for bid in round_.bids.values():
        for refused in bid.refusals:
            then = f"; offered {value_text(bid)} then" if refused.get("mended") else ""
            at = f" at {refused['pointer']}" if refused.get("pointer") else ""
            words = f"{refused.get('reason', '')} {refused.get('remedy', '')}".strip().rstrip(".")
            lines.append(f"{bid.agent}: {refused.get('code')}{at}: {words}{then}")
    return [clean(line, 300) for line in lines]


def ending(round_: Round) -> str:
    """Return how a round ended, in a sentence."""
    if round_.refused is not None:
        return f"no negotiation: {round_.refused.get('code')}"
    outcome = round_.outcome
    if outcome is None:
        return "no outcome was heard"
    facts = round_.summary()
    won = [
        f"{clean(str(winner['agent']))} wins at {figure(winner['price'])}"
        for winner in round_.winners
    ]
    what = ", ".join(won) or f"{facts['state']}, {clean(str(facts['reason']))}"
    heard = f"{facts['offers']} of {facts['eligible']} offers in time"
    return (
        f"{what}; {heard}, closed by {facts['closed_by']}; "
        f"known {_ms(facts['outcome_ms'], 0)} ms after the call, "
        f"{_ms(facts['decision_ms'], 1)} ms after the last offer"
    )


def _order(bid: Bid) -> tuple[float, str]:
    """Sort by when the offers came; whoever has not offered comes last."""
    return (bid.offered_at if bid.offered_at is not None else float("inf"), bid.agent)


def _cells(bid: Bid) -> list[str]:
    return [
        clean(bid.agent, 20),
        value_text(bid),
        compact(bid.beside, BESIDE_LENGTH_MAX),
        _ms(bid.heard_ms, 0),
        _ms(bid.exchange_ms, 1),
        clean(verdict_text(bid), WHY_LENGTH_MAX),
    ]


def value_text(bid: Bid) -> str:
    """Return what a contractor offered last."""
    if bid.declined is not None:
        return "–"
    if isinstance(bid.value, int | float):
        return figure(bid.value)
    return compact(bid.value, 12)


def verdict_text(bid: Bid) -> str:
    """Return what a contractor heard, in a word or two."""
    if bid.declined is not None:
        return f"declined {bid.declined}"
    if bid.gave_up:
        return "gave up"
    if not bid.verdicts:
        return "" if bid.offered_at is None else "…"
    last = bid.verdicts[-1]
    if last.get("won"):
        return f"won at {figure(last.get('price'))}"
    return f"lost: {last.get('reason')}"


def style_of(bid: Bid) -> str:
    """Return how a contractor's cells look."""
    if bid.won:
        return "bold green"
    return "dim" if bid.late or bid.declined is not None else ""


def _ms(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
