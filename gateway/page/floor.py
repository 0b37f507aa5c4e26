"""Which negotiations the page shows, and what of each: where it stands, never what was said.

Open ones come first, then those that ended last. A value is shown once the protocol shows it to
operators, and of a negotiation that is over, as its record has it; sealed offers stay sealed. The
reason of a negotiation that an agent ended is left out: it may be in that agent's own words.

Bounds: `SCANNED_MAX` of the newest negotiations are looked at, `SHOWN_MAX` are shown, with
`PARTIES_MAX` parties each; once `PARTIES_LOOKED_AT_MAX` parties were looked at in one digest,
further negotiations come without theirs. What is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Reversible
from heapq import nlargest
from itertools import chain, islice

import msgspec

from gateway.members import TAG_LENGTH, Members
from gateway.negotiations import Negotiations
from policy.events import OfferReceived
from policy.states import Negotiation, Phase, View, net_of
from policy.table import Record

SHOWN_MAX = 24
FINISHED_MAX = 12
"""Places that open negotiations leave to finished ones, if there are any."""
SCANNED_MAX = 2_000
RECORDS_MAX = 500
"""Records of finished negotiations that are looked through for what was offered."""
PARTIES_MAX = 8
PARTIES_LOOKED_AT_MAX = 4_000

FIRST = ("won", "confirming", "offered", "to_move", "revealed", "committed", "lost")
"""Parties that are shown before others."""


class Party(msgspec.Struct, frozen=True, gc=False):
    """One agent that may answer."""

    agent: str
    word: str
    """Where it stands: "called", "offered", "won"."""
    value: float | None
    """What it offers; None while that is nobody's business, or there is nothing."""


class Talk(msgspec.Struct, frozen=True, gc=False):
    """One negotiation."""

    id: str
    tenant: str
    initiator: str
    protocol: str
    policy: str
    state: str
    """ "open", "closed", "committed", "no_award" and so on, the words of the protocol."""
    is_over: bool
    opened_at: float
    due_at: float | None
    """When time itself moves it on; None once it is over."""
    ended_at: float | None
    """When its outcome was known; None before, and where nobody noted it."""
    eligible: int
    answered: int
    offers: int
    round: int
    closed_by: str
    reason: str
    parties: list[Party]
    parties_more: int
    """Parties that are not in the list."""


class Floor(msgspec.Struct, frozen=True, gc=False):
    """What is negotiated at one gateway."""

    open: int
    """Negotiations that are not over, all of them."""
    known: int
    """Those and the ones that ended a short while ago."""
    talks: list[Talk]


def floor_of(
    negotiations: Negotiations, members: Members, records: Reversible[Record] = ()
) -> Floor:
    """Return what is shown of the negotiations that this gateway decides.

    `records` are of those that ended, the latest last.
    """
    tables = [shard.table for shard in negotiations.shards]
    scanned = max(1, SCANNED_MAX // len(tables))
    newest = chain.from_iterable(
        (table.state(negotiation_id) for negotiation_id in islice(reversed(table.ids()), scanned))
        for table in tables
    )
    going: list[Negotiation] = []
    over: list[Negotiation] = []
    for state in newest:
        if state is not None:
            (over if state.is_final else going).append(state)
    over = nlargest(max(FINISHED_MAX, SHOWN_MAX - len(going)), over, key=_opened_at)
    going = nlargest(SHOWN_MAX - min(len(over), FINISHED_MAX), going, key=_opened_at)
    return Floor(
        open=sum(table.open_count for table in tables),
        known=sum(map(len, tables)),
        talks=list(_talks([*going, *over][:SHOWN_MAX], members, records)),
    )


def _opened_at(state: Negotiation) -> float:
    return state.terms.call.opened_at


def _talks(
    states: Iterable[Negotiation], members: Members, records: Reversible[Record]
) -> Iterable[Talk]:
    left = PARTIES_LOOKED_AT_MAX
    latest = islice(reversed(records), RECORDS_MAX)
    ended = {record.call.negotiation_id: record for record in latest}
    for state in states:
        left -= state.terms.size
        record = ended.get(state.terms.call.negotiation_id)
        yield _talk(state, state.view() if left >= 0 else None, members, record)


def _talk(state: Negotiation, view: View | None, members: Members, record: Record | None) -> Talk:
    call, net = state.terms.call, net_of(state)
    tenant = members.tenant_by_tag.get(call.negotiation_id[-TAG_LENGTH:])
    outcome = None if net is None or net.course is None else net.course.outcome
    offered = {} if net is None or record is None or net.terms.sealed else _offered(record)
    parties = [] if view is None else _parties(view, offered)
    # Of a contract net the engine itself says why, unless the initiator has cancelled.
    says_why = view is not None and net is not None and state.phase is not Phase.CANCELLED
    return Talk(
        id=call.negotiation_id,
        tenant="" if tenant is None else tenant.name,
        initiator=call.initiator,
        protocol=call.protocol,
        policy=call.acceptance.label,
        state=state.phase.value,
        is_over=state.is_final,
        opened_at=call.opened_at,
        due_at=None if state.is_final else state.due,
        ended_at=_seconds(outcome, "decided_at"),
        eligible=state.terms.size,
        answered=0 if view is None else view.answered,
        offers=0 if view is None else view.offers,
        round=1 if view is None else view.round,
        closed_by="" if view is None else view.closed_by,
        reason=view.reason if view is not None and says_why else "",
        parties=parties,
        parties_more=state.terms.size - len(parties),
    )


def _offered(record: Record) -> dict[str, float]:
    """Return what each agent offered last, without the offers that only probed."""
    return {
        event.sender: event.value
        for _, event in record.events
        if isinstance(event, OfferReceived) and not event.probe
    }


def _parties(view: View, offered: Mapping[str, float]) -> list[Party]:
    ranks = {word: rank for rank, word in enumerate(FIRST)}
    first = sorted(view.parties.items(), key=lambda one: (ranks.get(one[1], len(ranks)), one[0]))
    values = {**offered, **view.values}
    return [Party(agent, word, values.get(agent)) for agent, word in first[:PARTIES_MAX]]


def _seconds(outcome: Mapping[str, object] | None, name: str) -> float | None:
    value = None if outcome is None else outcome.get(name)
    return float(value) if isinstance(value, int | float) else None
