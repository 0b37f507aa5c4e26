"""What the books of a cluster's agents say about the promises."""

from __future__ import annotations

import pytest

from loadtest.chaos.ledger import Called, Fate, Handed, Judged, Sent
from loadtest.cluster_faults.books import GRACE, Books, Death, verdict

BOB, CAROL = "agent://bob", "agent://carol"
NOW = 100.0


def admitted(books: Books, label: str, *, durable: bool = False) -> Sent:
    """Let alice, who is at us, send to bob."""
    message = Sent(
        label,
        "agent://alice",
        (0, len(books.messages.sent)),
        "direct",
        frozenset((BOB,)),
        frozenset((BOB,)),
        once=True,
        durable=durable,
        ttl=5.0,
        sent_at=10.0,
    )
    books.messages.send(message)
    books.messages.settle(message, Fate.ADMITTED, 10.1, msg_id=f"id-{label}")
    books.admitted_by[label] = "us"
    return message


def awarded(books: Books, winners: frozenset[str], *judged: tuple[str, str, bool]) -> None:
    call = Called("call", "agent://alice", False, 10.0, Fate.ADMITTED, "committed", 11.0)
    call.winners = winners
    books.called["call"] = call
    books.judged += [Judged("call", where, who, 0, won, 11.0) for who, where, won in judged]


def promises(books: Books) -> list[str]:
    return [one.promise for one in verdict(books, NOW).broken]


def test_a_message_that_neither_arrived_nor_failed_is_lost() -> None:
    books = Books()
    admitted(books, "m1")
    assert verdict(books, NOW).lost == 1
    books.messages.hand(Handed("m1", BOB, 0, 10.2))
    assert verdict(books, NOW).lost == 0 and not promises(books)


def test_what_was_not_durable_may_be_lost_with_the_gateway_that_had_admitted_it() -> None:
    for gateway, at, durable, lost in (
        ("us", 10.5, False, 0),
        ("us", 10.5, True, 1),
        ("eu", 10.5, False, 1),
        ("us", 11.0 + GRACE, False, 1),
    ):
        books = Books()
        admitted(books, "m1", durable=durable)
        books.deaths.append(Death(gateway, at))
        found = verdict(books, NOW)
        assert found.lost == lost
        assert found.counts["lost with the gateway, not durable"] == 1 - lost
        assert books.unfinished(NOW) == ["m1"] * lost


def test_order_is_counted_and_not_demanded() -> None:
    books = Books()
    for label in ("m1", "m2"):
        admitted(books, label)
    for label in ("m2", "m1"):
        books.messages.hand(Handed(label, BOB, 0, 10.2))
    found = verdict(books, NOW)
    assert not found.broken and found.counts["out of order"] == 1


def test_a_call_that_is_awarded_in_two_negotiations_is_awarded_twice() -> None:
    books = Books()
    awarded(books, frozenset((BOB,)), (BOB, "eu.0.1", True), (CAROL, "us.0.1", True))
    found = verdict(books, NOW)
    assert found.double_awards == 1
    assert promises(books) == ["one award", "winners and initiator agree"]


def test_an_award_that_was_called_off_is_none() -> None:
    books = Books()
    awarded(
        books,
        frozenset((BOB,)),
        *((CAROL, "us.0.1", True), (BOB, "eu.0.1", True), (CAROL, "us.0.1", False)),
    )
    assert not promises(books)


def test_a_winner_that_never_heard_of_it_is_a_broken_promise() -> None:
    books = Books()
    awarded(books, frozenset((BOB,)), (BOB, "eu.0.1", False))
    assert promises(books) == ["winners and initiator agree"]


@pytest.mark.parametrize(("at", "lost"), [(9.0, 1), (10.5, 0), (15.9, 0), (16.1, 1)])
def test_a_verdict_may_be_lost_with_a_gateway_that_was_there_for_its_call(
    at: float, lost: int
) -> None:
    """It was called at 10 and settled at 11. Two awards are never excused."""
    books = Books()
    awarded(books, frozenset((BOB,)))
    books.freezes.append(Death("ap", at))
    assert promises(books) == ["winners and initiator agree"] * lost
    counted = verdict(books, NOW).counts["verdict lost with the gateway, not durable"]
    assert counted == 1 - lost
    awarded(books, frozenset((BOB,)), (BOB, "eu.0.1", True), (BOB, "us.0.1", True))
    assert "one award" in promises(books)


def test_a_winner_that_may_still_hear_of_it_is_waited_for() -> None:
    """Its verdict comes from the owner of the call, over a link that may have to be made again."""
    books = Books()
    awarded(books, frozenset({BOB}))
    assert books.unfinished(NOW) == ["call"]
    books.judged.append(Judged("call", "n1", BOB, 0, True, 10.5))
    assert not books.unfinished(NOW) and not promises(books)


def test_a_call_without_an_outcome_is_a_broken_promise_and_waited_for() -> None:
    books = Books()
    books.called["call"] = Called("call", "agent://alice", False, 10.0)
    assert promises(books) == ["every negotiation ends"]
    assert books.unfinished(NOW) == ["call"]
    books.called["call"].fate = Fate.REFUSED
    assert not promises(books) and not books.unfinished(NOW)


def test_delays_and_answers_count_from_the_beginning_to_the_last() -> None:
    books = Books()
    admitted(books, "m1")
    for at in (10.2, 10.7):
        books.messages.hand(Handed("m1", BOB, 0, at))
    awarded(books, frozenset())
    assert [round(one, 3) for one in books.delays()] == [0.7]
    assert list(books.answers()) == [1.0]
