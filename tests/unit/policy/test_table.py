"""Many negotiations: timers, bounds, records and snapshots."""

from __future__ import annotations

import pickle
from typing import Any

from msgspec.structs import replace

from policy.call import Call
from policy.contract_net import Phase
from policy.effects import Finish, Refuse
from policy.events import CounterReceived, DeadlinePassed, Event, RevisedCallReceived
from policy.protocols import PROTOCOLS, Protocol
from policy.table import DUE_MAX, IDLE_EVENTS_MAX, WHOLE_EVENTS_MAX, Table, replay
from tests.support.plays import cancellation, counter, make_call, offer, refusal, words


def _call(number: int, **fields: Any) -> Call:
    return make_call(negotiation_id=f"g.0.{number}", agents="bob carol", **fields)


def _finish(table: Table, number: int, now: float = 1) -> None:
    table.apply(f"g.0.{number}", refusal("bob"), now)
    table.apply(f"g.0.{number}", refusal("carol"), now)


def test_an_unknown_negotiation_is_none() -> None:
    table = Table()
    assert table.apply("g.0.1", DeadlinePassed(), 1) is None
    assert not table.knows("g.0.1")
    assert table.state("g.0.1") is None
    assert table.next_deadline() is None
    assert table.due(99) == []


def test_a_call_opens_once() -> None:
    """Sent again it changes nothing; another call cannot take its id."""
    table = Table()
    assert table.open(_call(1), 0) == []
    assert table.apply("g.0.1", offer("bob", 3), 1) is not None
    assert table.open(_call(1), 2) == []
    state = table.state("g.0.1")
    assert state is not None and len(state.offers) == 1
    [refuse] = table.open(_call(1, msg_id="other"), 2)
    assert words(refuse) == "refuse alice DUPLICATE"
    assert len(table) == 1


def test_a_call_that_contradicts_itself_is_not_opened() -> None:
    table = Table()
    [refuse] = table.open(_call(1, utility="**"), 0)
    assert words(refuse) == "refuse alice UTILITY_INVALID"
    assert len(table) == 0


def test_a_full_table_refuses_until_a_negotiation_is_over() -> None:
    table = Table(limit_open=2)
    assert table.open(_call(1), 0) == table.open(_call(2), 0) == []
    [refuse] = table.open(_call(3), 0)
    assert isinstance(refuse, Refuse) and refuse.code == "OVERLOADED"
    _finish(table, 1)
    assert (len(table), table.open_count) == (2, 1)
    assert table.open(_call(3), 0) == []
    assert repr(table) == "<Table: 2 open, 1 finished>"


def test_the_next_deadline_is_that_of_the_earliest_timer() -> None:
    """Timers that an answer has overtaken do not count any more."""
    table = Table()
    table.open(_call(1), 0)
    table.open(_call(2, closes_at=5.0), 0)
    table.open(_call(3, closes_at=5.0, linger=1.0), 0)
    assert table.next_deadline() == 5
    assert table.due(4.9) == []
    assert table.due(5) == table.due(5) == ["g.0.2", "g.0.3"]
    effects = table.apply("g.0.2", DeadlinePassed(), 5)
    assert effects is not None and isinstance(effects[-1], Finish)
    assert table.due(5) == ["g.0.3"]
    _finish(table, 3)
    assert table.next_deadline() == 2
    assert table.due(10) == ["g.0.3", "g.0.1"]


def test_a_look_at_the_clock_yields_a_bounded_number() -> None:
    table = Table()
    for number in range(DUE_MAX + 1):
        table.open(_call(number), 0)
    assert len(table.due(10)) == DUE_MAX
    for negotiation_id in table.due(10):
        table.apply(negotiation_id, DeadlinePassed(), 10)
    assert table.due(10) == [f"g.0.{DUE_MAX}"] or len(table.due(10)) == 1


def test_a_finished_negotiation_is_remembered_for_its_linger() -> None:
    """Who comes late in that time is answered."""
    table = Table()
    table.open(_call(1, linger=30.0), 0)
    _finish(table, 1)
    assert table.next_deadline() == 31
    assert table.apply("g.0.1", DeadlinePassed(), 30) == []
    assert table.knows("g.0.1")
    effects = table.apply("g.0.1", counter("bob"), 30)
    assert effects is not None and [words(effect) for effect in effects] == [
        "refuse bob WRONG_STATE"
    ]
    assert table.apply("g.0.1", DeadlinePassed(), 31) == []
    assert not table.knows("g.0.1")
    assert (len(table), table.next_deadline()) == (0, None)


def test_of_finished_negotiations_the_oldest_go_first() -> None:
    table = Table(limit_finished=2)
    for number in range(4):
        table.open(_call(number), 0)
    for number in (2, 0, 1):
        _finish(table, number)
    assert [table.knows(f"g.0.{number}") for number in range(4)] == [True, True, False, True]


def test_timers_that_mean_nothing_any_more_do_not_pile_up() -> None:
    """Though calls are open for a day and over in a moment."""
    table = Table(limit_finished=10)
    for number in range(3_000):
        table.open(_call(number, closes_at=86_400.0), 0)
        _finish(table, number)
    assert len(table._timers) < 2_000
    assert table.next_deadline() == 31


def test_a_record_replays_to_the_same_effects() -> None:
    """Events that meant nothing are part of it, up to a bound."""
    table = Table(keep_records=True)
    live = [table.open(_call(1), 0)]
    happened: list[tuple[float, Event]] = [
        (1, offer("bob", 3)),
        (2, counter("bob")),
        (3, offer("carol", 2)),
    ]
    for now, event in happened:
        effects = table.apply("g.0.1", event, now)
        assert effects is not None
        live.append(effects)
    record = table.record("g.0.1")
    assert record is not None
    assert replay(pickle.loads(pickle.dumps(record))) == live
    assert [list(effects) for effects in record.effects] == live
    for _ in range(IDLE_EVENTS_MAX + 5):
        table.apply("g.0.1", counter("bob"), 4)
    record = table.record("g.0.1")
    assert record is not None and len(record.events) == 2 + IDLE_EVENTS_MAX


def test_without_records_there_is_none() -> None:
    table = Table()
    table.open(_call(1), 0)
    assert table.record("g.0.1") is None


def test_a_snapshot_carries_everything_to_another_table() -> None:
    """Timers, records and the order of forgetting included; what is known there stays."""
    table = Table(keep_records=True)
    for number in range(4):
        table.open(_call(number), 0)
        table.apply(f"g.0.{number}", offer("bob", number), 1)
    table.apply("g.0.2", refusal("carol"), 2)
    table.apply("g.0.0", refusal("carol"), 3)
    snapshot = pickle.loads(pickle.dumps(table.snapshot()))
    other = Table(limit_finished=2, keep_records=True)
    other.open(_call(3), 0)
    other.restore(snapshot)
    assert (len(other), other.open_count) == (4, 2)
    assert [other.state(f"g.0.{n}") for n in range(3)] == [
        table.state(f"g.0.{n}") for n in range(3)
    ]
    assert other.record("g.0.1") == table.record("g.0.1")
    kept = other.record("g.0.3")
    assert kept is not None and kept.events == ()
    assert other.apply("g.0.1", refusal("carol"), 4) == table.apply("g.0.1", refusal("carol"), 4)
    assert not other.knows("g.0.2"), "it was the first to end"
    plain = Table()
    plain.restore(snapshot)
    state = plain.state("g.0.1")
    assert state is not None and state.phase is Phase.OPEN
    assert plain.record("g.0.1") is None
    late = Table(keep_records=True)
    late.restore(plain.snapshot())
    assert late.record("g.0.1") is None
    assert late.apply("g.0.1", refusal("carol"), 4) is not None


def test_a_negotiation_that_is_given_up_is_gone_and_goes_on_elsewhere() -> None:
    """What it was made of replays to where it stood; one that is over stays."""
    table = Table(keep_records=True)
    table.open(_call(1), 0)
    table.apply("g.0.1", offer("bob", 3), 1)
    table.open(_call(2), 0)
    _finish(table, 2)
    assert set(table.ids()) == {"g.0.1", "g.0.2"}
    record = table.give_up("g.0.1")
    assert record is not None and [event for _, event in record.events] == [offer("bob", 3)]
    assert not table.knows("g.0.1") and table.open_count == 0
    assert table.give_up("g.0.1") is table.give_up("g.0.2") is None
    assert table.knows("g.0.2")


def test_the_record_of_a_finished_negotiation_is_closed_and_taken_away() -> None:
    """What it holds is what a long linger would cost."""
    table = Table(keep_records=True)
    table.open(_call(1), 0)
    going_on = table.close_record("g.0.1")
    assert going_on is not None and going_on.events == ()
    _finish(table, 1)
    record = table.close_record("g.0.1")
    assert record is not None and len(record.events) == 2
    assert table.record("g.0.1") is None and table.knows("g.0.1")
    assert table.close_record("g.0.2") is None


def test_the_terms_that_are_not_over_can_be_looked_through() -> None:
    table = Table()
    for number in (1, 2):
        table.open(_call(number), 0)
    _finish(table, 1)
    assert [terms.call.negotiation_id for terms in table.open_terms()] == ["g.0.2"]


def test_an_end_at_the_very_time_of_the_old_timer_is_an_end() -> None:
    """Or the timer would look for a finished negotiation among the open ones and fail."""
    table = Table()
    table.open(_call(1, linger=10.0, closes_at=10.0), 0)
    table.apply("g.0.1", cancellation(), 0)
    state = table.state("g.0.1")
    assert state is not None and state.due == 10 and state.is_final
    assert (len(table), table.open_count) == (1, 0)
    assert table.due(10) == ["g.0.1"]
    table.apply("g.0.1", DeadlinePassed(), 10)
    assert len(table) == 0


def test_an_offer_that_does_not_count_leaves_no_payload_in_the_record() -> None:
    table = Table(keep_records=True)
    table.open(_call(1), 0)
    heavy = {"value": 1, "text": "x" * 10_000}
    table.apply("g.0.1", offer("eve", 1, fields=heavy), 1)
    table.apply("g.0.1", offer("bob", 1, fields=heavy | {"round": 2}), 1)
    table.apply("g.0.1", counter("bob"), 1)
    record = table.record("g.0.1")
    assert record is not None
    assert [getattr(event, "fields", None) for _, event in record.events] == [
        {},
        {"round": 2},
        None,
    ]
    codes = [words(effect) for effects in replay(record) for effect in effects]
    assert codes[:2] == ["refuse eve NOT_A_PARTY", "refuse bob WRONG_STATE"]


def test_a_call_is_opened_by_its_protocol_or_by_none() -> None:
    table = Table()
    (refuse,) = table.open(make_call(protocol="barter"), 0.0)
    assert words(refuse) == "refuse alice UNKNOWN_PROTOCOL"
    assert not table.open(make_call(agents="bob", protocol="alternating-offers"), 0.0)[1:]
    state = table.state("g.0.n")
    assert state is not None and "Bargain" in repr(state)


def test_a_table_knows_the_protocols_that_it_is_given() -> None:
    shipped = PROTOCOLS["contract-net"]
    own = Protocol("barter", shipped.open_call, shipped.step, shipped.objection)
    protocols = {**PROTOCOLS, "barter": own}
    table = Table(keep_records=True, protocols=protocols)
    table.open(make_call(protocol="barter", agents="bob"), 0.0)
    effects = table.apply("g.0.n", offer("bob", 3), 1.0)
    record = table.record("g.0.n")
    assert record is not None
    assert replay(record, protocols)[-1] == effects


def bargained() -> Table:
    table = Table(keep_records=True)
    table.open(make_call(agents="bob", protocol="alternating-offers"), 0.0)
    return table


def test_what_was_refused_whatever_it_said_leaves_no_payload_in_the_record() -> None:
    table = bargained()
    early = CounterReceived("agent://alice", "a1", terms={"words": "x" * 1000})
    again = RevisedCallReceived("agent://alice", "a2", 2, (), 9.0, 9.0, {"words": "x" * 1000})
    for event in (early, again):
        assert table.apply("g.0.n", event, 1.0)
    record = table.record("g.0.n")
    assert record is not None
    kept = [event for _, event in record.events]
    assert kept == [CounterReceived("agent://alice", "a1"), replace(again, fields={})]
    assert [list(effects) for effects in record.effects] == replay(record)


def test_what_changed_nothing_and_bears_nothing_is_kept_as_it_came() -> None:
    table = Table(keep_records=True)
    table.open(make_call(agents="bob"), 0.0)
    stranger = refusal("mallory")
    assert table.apply("g.0.n", stranger, 1.0)
    record = table.record("g.0.n")
    assert record is not None and record.events == ((1.0, stranger),)


def test_what_was_refused_for_what_it_said_is_kept_whole_a_few_times() -> None:
    """Else its replay would let it count."""
    table = bargained()
    expired = CounterReceived("agent://bob", "b1", {"price": 1}, valid_until=0.5)
    for number in range(WHOLE_EVENTS_MAX + 5):
        again = replace(expired, msg_id=f"b{number}")
        (refuse,) = table.apply("g.0.n", again, 1.0) or []
        assert words(refuse) == "refuse bob OFFER_EXPIRED"
    record = table.record("g.0.n")
    assert record is not None
    assert [list(effects) for effects in record.effects] == replay(record)
    assert [event for _, event in record.events] == [
        replace(expired, msg_id=f"b{number}") for number in range(WHOLE_EVENTS_MAX)
    ]
