"""The trace of one message or call: what is known of it, moment by moment, in words."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.chaos.ledger import Called, Fate, Ledger, Sent

Moment = tuple[float, str]

AROUND_SECONDS = 3.0
LINES_MAX = 60


def story(ledger: Ledger, label: str) -> list[str]:
    """Return what is known of a message or call, and the faults that hit its parties."""
    told = [*_of_message(ledger, ledger.sent.get(label)), *_of_call(ledger.called.get(label))]
    told += [
        (one.at, f"{one.recipient} (life {one.life}) is handed {label}")
        for one in ledger.handed.get(label, ())
    ]
    for judged in (one for one in ledger.judged if one.label == label):
        word = "won" if judged.won else "lost"
        where = f"{judged.contractor} (life {judged.life})"
        told.append((judged.at, f"{where} hears it {word} {judged.negotiation_id}"))
    told += _of_faults(ledger, label, told)
    return [f"{at:10.3f}  {words}" for at, words in sorted(told)[:LINES_MAX]]


def _of_message(ledger: Ledger, message: Sent | None) -> Iterator[Moment]:
    if message is None:
        return
    durable = "durable " if message.durable else ""
    quality = "once" if message.once else "at least once"
    terms = f"{durable}{quality}, {message.mode}, for {message.ttl:g} s"
    owed = ", ".join(sorted(message.owed_to)) or "nobody"
    yield message.sent_at, f"{message.sender} sends {message.label} ({terms}), owed to {owed}"
    if message.fate is not Fate.OPEN:
        words = f"{message.fate.value} {message.code} {message.msg_id}"
        yield message.settled_at, f"{message.sender} hears {words}"
    for failed in ledger.failed.get(message.msg_id, ()):
        yield failed.at, f"{message.sender} hears failure: {failed.recipient}, {failed.reason}"


def _of_call(call: Called | None) -> Iterator[Moment]:
    if call is None:
        return
    yield call.called_at, f"{call.initiator} calls {'durably ' * call.durable}{call.label}"
    if call.fate is not Fate.OPEN:
        winners = ", ".join(sorted(call.winners)) or "nobody"
        words = f"{call.fate.value} {call.code} of {call.negotiation_id}, won by {winners}"
        yield call.settled_at, f"{call.initiator} hears {words}"


def _of_faults(ledger: Ledger, label: str, told: list[Moment]) -> Iterator[Moment]:
    if not told:
        return
    parties = {one.contractor for one in ledger.judged if one.label == label}
    message, call = ledger.sent.get(label), ledger.called.get(label)
    if message is not None:
        parties |= {message.sender, *message.owed_to}
    if call is not None:
        parties |= {call.initiator, *call.winners}
    first, last = min(told)[0] - AROUND_SECONDS, max(told)[0] + AROUND_SECONDS
    for one in ledger.faults:
        if first <= one.at <= last and (not one.agents or parties & set(one.agents)):
            yield one.at, f"-- {one.name}: {', '.join(one.agents) or 'the gateway'}"
