"""What the exchange promises, judged by a ledger.

A promise that was broken is a value, with the label of the message concerned. What the exchange
does not promise is counted and not blamed:

- A message that is not durable and was admitted shortly before the gateway was killed may be
  lost with it. "Shortly" is until its time to live is over; the word that it was admitted may
  have been under way for up to `GRACE` when the gateway died.
- To whom a message to a topic or group goes is settled when it is admitted. When the gateway
  was killed between sending and that, nobody in particular is owed it.
- An agent that said good-bye is called by no topic or group until it is back.
- Order is that of admission. A message that was under way when the gateway was killed, and that
  the dead one had not on disk, or had refused, is admitted anew: after what is durable and was
  sent later.
- A message whose acknowledgement was lost may be told as failed though it was delivered.
- An application that was killed and started again may get a message that its last life had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.chaos.ledger import Called, Fate, Judged, Ledger, Sent

GRACE = 20.0
"""Seconds for which an answer may be under way; no fault holds one back for longer."""
LATE = 5.0
"""Seconds after the end of its time to live in which a message, or word of it, may still come."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept."""

    promise: str
    label: str
    detail: str
    other: str = ""
    """The message that it collided with, if there is one."""

    def __str__(self) -> str:
        return f"{self.promise}: {self.label} {self.detail}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a ledger comes to."""

    broken: tuple[Broken, ...]
    counts: Counter[str]


def judge(ledger: Ledger, now: float) -> Judgement:
    """Judge a ledger at the end, when nothing is under way any more."""
    counts: Counter[str] = Counter()
    broken: list[Broken] = []
    for message in ledger.sent.values():
        broken += _message(ledger, message, now, counts)
    broken += _order(ledger, counts)
    verdicts: dict[str, list[Judged]] = defaultdict(list)
    for judged in ledger.judged:
        verdicts[judged.label].append(judged)
    for call in ledger.called.values():
        broken += _call(ledger, call, verdicts.get(call.label, []), counts)
    broken += [Broken("a session lives on", "", words) for words in ledger.sessions_lost]
    return Judgement(tuple(broken), counts)


def may_be_lost(ledger: Ledger, message: Sent) -> bool:
    """Tell whether an admitted message may be gone, because the gateway was killed."""
    until = message.settled_at + message.ttl + GRACE
    if message.mode != "direct" and ledger.died_between(
        message.sent_at - GRACE, message.settled_at
    ):
        return True
    return not message.durable and ledger.died_between(message.settled_at - GRACE, until)


def unfinished(ledger: Ledger, now: float) -> list[str]:
    """Return the labels of what may still come to an end by itself."""
    waiting = [message.label for message in ledger.sent.values() if _may_come(ledger, message, now)]
    return waiting + [call.label for call in ledger.called.values() if call.fate is Fate.OPEN]


def _may_come(ledger: Ledger, message: Sent, now: float) -> bool:
    if message.fate is Fate.OPEN:
        return True
    if now > message.settled_at + message.ttl + LATE and may_be_lost(ledger, message):
        return False
    return any(not _may_have_left(ledger, message, one) for one in ledger.owed(message))


def _may_have_left(ledger: Ledger, message: Sent, recipient: str) -> bool:
    """Tell whether a recipient listened to nothing at some moment while a message was sent."""
    return message.mode != "direct" and ledger.was_away_between(
        recipient, message.sent_at - GRACE, message.settled_at
    )


def _message(ledger: Ledger, message: Sent, now: float, counts: Counter[str]) -> Iterator[Broken]:
    label = message.label
    counts[f"messages {message.fate.value}"] += 1
    if message.fate is Fate.REFUSED:
        counts[f"refused {message.code}"] += 1
    if message.fate is Fate.OPEN:
        yield Broken("every message gets an answer", label, f"is open at {now:.3f}")
    copies = Counter((one.recipient, one.life) for one in ledger.handed.get(label, ()))
    lives = Counter(recipient for recipient, _ in copies)
    counts["handed to applications"] += sum(copies.values())
    counts["handed again to a new life"] += sum(lives.values()) - len(lives)
    for (recipient, life), count in copies.items():
        if count > 1 and message.once:
            words = f"was handed {count} times to {recipient} (life {life})"
            yield Broken("no copy under once", label, words)
        elif count > 1:
            counts["copies under at least once"] += count - 1
        if recipient not in message.allowed:
            yield Broken("only who is addressed gets it", label, f"was handed to {recipient}")
    if message.fate is Fate.REFUSED and copies:
        if ledger.died_between(message.sent_at - GRACE, message.settled_at):
            counts["refused by one life of the gateway, delivered by another"] += 1
        else:
            yield Broken("what is refused has no effect", label, f"was delivered: {message.code}")
    for recipient in sorted(message.owed_to - set(lives)) if message.in_peace else ():
        words = f"did not reach {recipient}: {message.code or 'it waits, or has expired'}"
        yield Broken("in peace everything arrives", label, words)
    yield from _failures(ledger, message, set(lives), counts)
    yield from _receipts(ledger, message, set(lives), counts)
    for recipient in ledger.owed(message):
        if _may_have_left(ledger, message, recipient):
            counts["had left when the message was admitted"] += 1
        elif may_be_lost(ledger, message):
            counts["lost with the gateway, not durable"] += not message.durable
            counts["audience lost with the gateway"] += message.durable
        else:
            yield Broken("nothing is lost", label, f"never reached {recipient}")


def _failures(
    ledger: Ledger, message: Sent, got_it: set[str], counts: Counter[str]
) -> Iterator[Broken]:
    told = Counter(one.recipient for one in ledger.failed.get(message.msg_id, ()))
    for failed in ledger.failed.get(message.msg_id, ()):
        counts[f"failure {failed.reason}"] += 1
    counts["failed though delivered"] += len(got_it & set(told))
    if message.fate is not Fate.ADMITTED:
        return
    for recipient, count in told.items():
        until = message.settled_at + message.ttl + GRACE
        if count < 2:
            continue
        if ledger.died_between(message.sent_at, until) or ledger.agent_died_between(
            message.sender, message.sent_at, until + GRACE
        ):
            counts["failure told again to a new life"] += count - 1
        else:
            words = f"was told {count} times as failed for {recipient}"
            yield Broken("a failure is told once", message.label, words)


def _receipts(
    ledger: Ledger, message: Sent, got_it: set[str], counts: Counter[str]
) -> Iterator[Broken]:
    told = ledger.receipted.get(message.label)
    if told is None:
        return
    counts["receipts told"] += len(told)
    counts["receipts that did not come"] += len((got_it & message.owed_to) - told)
    for recipient in sorted(told - got_it):
        words = f"was told as delivered to {recipient}, which never had it"
        yield Broken("a receipt is true", message.label, words)


def _order(ledger: Ledger, counts: Counter[str]) -> Iterator[Broken]:
    """Yield what came after something that was sent later, to the same life of a recipient."""
    latest: dict[tuple[str, str, int], tuple[tuple[int, int], str]] = {}
    came: set[tuple[str, str, int]] = set()
    for handed in ledger.handings:
        message = ledger.sent.get(handed.label)
        if message is None:
            yield Broken("only what was sent arrives", handed.label, f"at {handed.recipient}")
            continue
        again = (handed.label, handed.recipient, handed.life)
        if again in came:
            continue
        came.add(again)
        pair = (message.sender, handed.recipient, handed.life)
        order, label = latest.get(pair, ((-1, -1), ""))
        if message.order > order:
            latest[pair] = (message.order, message.label)
            continue
        # What the last life had and did not acknowledge comes again, and may be old.
        if handed.life and _was_handed_before(ledger, handed.label, handed.recipient, handed.life):
            continue
        if _was_admitted_anew(ledger, message, ledger.sent[label], handed.recipient):
            counts["admitted anew after the gateway was killed"] += 1
            continue
        if _was_judged_anew(ledger, message):
            counts["admitted anew after a break cut its batch short"] += 1
            continue
        words = f"came to {handed.recipient} (life {handed.life}) after {label}"
        yield Broken("order is kept", handed.label, words, label)


def _was_admitted_anew(ledger: Ledger, late: Sent, early: Sent, recipient: str) -> bool:
    """Tell whether a later life of the gateway admitted `late`, and an earlier one `early`.

    The earlier life lost `late`, or had refused it and could not say so any more.
    """
    for death in ledger.deaths:
        if late.sent_at <= death <= late.settled_at:
            got = [one.at for one in ledger.handed[early.label] if one.recipient == recipient]
            return early.durable or min(got, default=death) < death
    return False


def _was_judged_anew(ledger: Ledger, late: Sent) -> bool:
    """Tell whether a message may have been refused first, for want of an audience, and unheard.

    What of a batch was admitted stays so when a break cuts the batch short, durable messages
    among it; what was refused comes again, and by then its group may be there.
    """
    return not late.owed_to and any(
        late.sender in fault.agents and late.sent_at <= fault.at <= late.settled_at
        for fault in ledger.faults
    )


def _was_handed_before(ledger: Ledger, label: str, recipient: str, life: int) -> bool:
    return any(
        one.recipient == recipient and one.life < life for one in ledger.handed.get(label, ())
    )


def _call(
    ledger: Ledger, call: Called, verdicts: list[Judged], counts: Counter[str]
) -> Iterator[Broken]:
    label = call.label
    told = call.code if call.fate in (Fate.ADMITTED, Fate.REFUSED) else call.fate.value
    counts[f"calls: {told}"] += 1
    crashed = ledger.died_between(call.called_at - GRACE, call.settled_at + GRACE)
    if call.fate is Fate.OPEN:
        yield Broken("every negotiation has an outcome", label, "has none")
        return
    if call.fate is Fate.LOST:
        if call.durable or not crashed:
            yield Broken("every negotiation has an outcome", label, f"is lost: {call.code}")
        else:
            counts["calls lost with the gateway, not durable"] += 1
        return
    heard = Counter((one.contractor, one.life, one.negotiation_id) for one in verdicts)
    for (contractor, life, negotiation_id), count in heard.items():
        if count > 1:
            words = f"was judged {count} times for {contractor} (life {life}) in {negotiation_id}"
            yield Broken("a verdict is told once", label, words)
    won = {(one.contractor, one.negotiation_id) for one in verdicts if one.won}
    awarded_in = {negotiation_id for _, negotiation_id in won}
    if call.durable and len(awarded_in) > 1:
        yield Broken("one outcome", label, f"was awarded in {', '.join(sorted(awarded_in))}")
    if call.fate is not Fate.ADMITTED or (crashed and not call.durable):
        return
    for contractor, negotiation_id in sorted(won):
        if negotiation_id == call.negotiation_id and contractor not in call.winners:
            words = f"was won by {contractor}, and its initiator heard of {sorted(call.winners)}"
            yield Broken("verdicts agree", label, words)
    for winner in call.winners - {contractor for contractor, _ in won}:
        if ledger.agent_died_between(winner, call.called_at - GRACE, call.settled_at + GRACE):
            counts["winners that died before they heard"] += 1
        else:
            yield Broken("a winner hears of it", label, f"was won by {winner}, who never heard")
