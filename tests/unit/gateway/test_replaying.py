"""Replay: what records do again, told truly, in one file or in several."""

from __future__ import annotations

import random
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.record_format import line_of
from gateway.replaying import LINE_BYTES_MAX, Replay, Summary, Verdict, lines_of
from policy.call import Call
from policy.effects import Effect, Refuse
from policy.events import Event, OfferReceived
from policy.protocols import PROTOCOLS, Protocol
from policy.table import Record, Table
from tests.support.plays import TIME_UP, make_call, offer, refusal

RECORDED = Path(__file__).parent / "recorded"


def recorded(number: int = 1, *values: float, open_for: float = 10.0) -> Record:
    table = Table(keep_records=True)
    call = replace(make_call(deadline=10.0), negotiation_id=f"g.0.{number}", closes_at=open_for)
    table.open(call, 0.0)
    for index, name in enumerate(("bob", "carol", "dave")[: len(values)]):
        table.apply(call.negotiation_id, offer(name, values[index]), 1.0 + index)
    if len(values) < 3:
        table.apply(call.negotiation_id, TIME_UP, 10.0)
    record = table.record(call.negotiation_id)
    assert record is not None
    return record


def judged(
    *paths: Path, protocols: dict[str, Protocol] | None = None
) -> tuple[list[Verdict], Summary]:
    judge = Replay(protocols or PROTOCOLS)
    return [judge.judge(line) for line in lines_of(paths)], judge.summary


def file_of(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def contract_net(**changes: Any) -> dict[str, Protocol]:
    return {"contract-net": changed(PROTOCOLS["contract-net"], **changes)}


def test_records_do_again_what_they_did(tmp_path: Path) -> None:
    file = file_of(tmp_path / "r", *(line_of(recorded(n, 40.0, 35.0, float(n))) for n in range(9)))
    verdicts, summary = judged(file)
    assert {verdict.result for verdict in verdicts} == {"same"}
    assert summary.is_good and (summary.lines, summary.events) == (9, 27)


@pytest.mark.parametrize(("version", "result"), [(1, "unproven"), (2, "same")])
def test_records_of_every_version_play(version: int, result: str) -> None:
    verdicts, summary = judged(RECORDED / f"version-{version}.jsonl")
    assert {verdict.result for verdict in verdicts} == {result} and summary.is_good
    assert {verdict.version for verdict in verdicts} == {version}


def test_another_winner_is_found_at_its_step(tmp_path: Path) -> None:
    """A release that decides otherwise is caught by the records of the one before."""

    def step(state: Any, event: Event, now: float) -> tuple[Any, list[Effect]]:
        state, effects = PROTOCOLS["contract-net"].step(state, event, now)
        return state, effects[1:] if len(effects) > 2 else effects

    file = file_of(tmp_path / "r", line_of(recorded(1, 40.0, 35.0, 38.0)))
    (verdict,), summary = judged(file, protocols=contract_net(step=step))
    assert (verdict.result, summary.is_good) == ("differs", False)
    assert verdict.reason == "step 3 (OfferReceived) does something else"
    (difference,) = verdict.differences
    assert (difference.step, difference.at) == (3, 3.0) and "reject" in difference.effects


def test_one_byte_of_one_effect_is_a_difference(tmp_path: Path) -> None:
    def step(state: Any, event: Event, now: float) -> tuple[Any, list[Effect]]:
        state, effects = PROTOCOLS["contract-net"].step(state, event, now)
        return state, [
            replace(effect, reason=effect.reason + ".") if isinstance(effect, Refuse) else effect
            for effect in effects
        ]

    table = Table(keep_records=True)
    table.open(make_call(agents="bob"), 0.0)
    for event in (offer("bob", 1.0), offer("eve", 1.0)):
        table.apply("g.0.n", event, 1.0)
    record = table.record("g.0.n")
    assert record is not None
    file = file_of(tmp_path / "r", line_of(record))
    (verdict,), _ = judged(file, protocols=contract_net(step=step))
    assert [difference.step for difference in verdict.differences] == [2]


def test_an_event_that_was_taken_out_or_changed_is_a_difference(tmp_path: Path) -> None:
    whole = recorded(1, 40.0, 35.0, 38.0)
    cheaper = OfferReceived("agent://bob", "bob-offer", 1.0, {"value": 1})
    for events in (whole.events[:-1], ((1.0, cheaper), *whole.events[1:])):
        line = line_of(Record(whole.call, whole.opened_at, events, whole.effects))
        (verdict,), summary = judged(file_of(tmp_path / "r", line))
        assert verdict.result == "differs" and verdict.differences and not summary.is_good


def test_a_fingerprint_that_was_tampered_with_is_a_difference(tmp_path: Path) -> None:
    line = line_of(recorded(1, 40.0))
    start = line.index(b'"sha256":"') + len(b'"sha256":"')
    (verdict,), _ = judged(file_of(tmp_path / "r", line[:start] + b"0000" + line[start + 4 :]))
    assert verdict.result == "differs" and "their sum is not" in verdict.reason


def test_a_protocol_that_stumbles_is_named_and_the_others_are_judged(tmp_path: Path) -> None:
    def step(state: Any, event: Event, now: float) -> tuple[Any, list[Effect]]:
        if event.sender == "agent://carol":
            raise KeyError("carol")
        assert event.sender != "agent://dave", "dave is not here"
        return PROTOCOLS["contract-net"].step(state, event, now)

    lines = [line_of(recorded(1, 1.0, 2.0)), line_of(recorded(2, 1.0))]
    verdicts, _ = judged(file_of(tmp_path / "r", *lines), protocols=contract_net(step=step))
    assert [(one.result, one.reason) for one in verdicts] == [
        ("differs", "step 2 fails: KeyError"),
        ("same", ""),
    ]


def test_a_protocol_that_is_not_known_here_is_named(tmp_path: Path) -> None:
    record = recorded(1, 1.0)
    call: Call = replace(record.call, protocol="auction-of-dreams")
    line = line_of(Record(call, record.opened_at, record.events, record.effects))
    (verdict,), _ = judged(file_of(tmp_path / "r", line))
    assert "auction-of-dreams" in verdict.reason and not verdict.is_good


def test_a_line_that_was_cut_short_is_told_and_the_next_one_is_judged(tmp_path: Path) -> None:
    whole = line_of(recorded(1, 40.0))
    file = file_of(tmp_path / "r", whole[:100], b"\n", b"\n", line_of(recorded(2, 40.0)))
    verdicts, summary = judged(file)
    assert [(one.line, one.result) for one in verdicts] == [(1, "unreadable"), (3, "same")]
    assert not summary.is_good


def test_a_line_without_an_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.replaying.LINE_BYTES_MAX", 50)
    assert LINE_BYTES_MAX > 50
    verdicts, _ = judged(file_of(tmp_path / "r", b"x" * 120))
    assert verdicts[0].result == "unreadable" and "more than 50 bytes" in verdicts[0].reason


def test_however_many_gateways_wrote_them_records_replay_alike(tmp_path: Path) -> None:
    """Which gateway owns a negotiation is no part of what happens in it."""
    chance = random.Random(7)
    lines = [
        line_of(recorded(n, *(chance.choice((1.0, 2.0, 3.0)) for _ in range(n % 4))))
        for n in range(40)
    ]
    results = []
    for gateways in (1, 2, 3, 5):
        shares = [lines[n::gateways] for n in range(gateways)]
        files = [file_of(tmp_path / f"{gateways}-{n}", *share) for n, share in enumerate(shares)]
        verdicts, summary = judged(*files)
        assert summary.is_good
        results.append(sorted((one.negotiation_id, one.result, one.events) for one in verdicts))
    assert all(result == results[0] for result in results)


def test_copies_are_passed_over_and_so_is_the_shorter_of_two(tmp_path: Path) -> None:
    """A gateway that was lost wrote the beginning, its heir the whole."""
    whole = recorded(1, 40.0, 35.0, 38.0)
    start = Record(whole.call, whole.opened_at, whole.events[:2], whole.effects[:3])
    for order in ((whole, start, whole), (start, whole, start)):
        files = [file_of(tmp_path / f"{n}", line_of(one)) for n, one in enumerate(order)]
        verdicts, summary = judged(*files)
        assert [verdict.result for verdict in verdicts] == ["same", "copy", "copy"]
        assert summary.is_good


def test_a_negotiation_that_was_decided_twice_and_not_alike_is_told(tmp_path: Path) -> None:
    there = file_of(tmp_path / "eu", line_of(recorded(1, 40.0, 35.0, 38.0)))
    here = file_of(tmp_path / "us", line_of(recorded(1, 40.0)))
    (first, second), summary = judged(there, here)
    assert (first.result, second.result) == ("same", "contradicts")
    assert str(there) in second.reason and not summary.is_good


def test_a_contradiction_needs_no_fingerprint(tmp_path: Path) -> None:
    whole = recorded(1, 40.0)
    other = Record(whole.call, 0.0, ((1.0, refusal("bob")), *whole.events[1:]))
    files = [file_of(tmp_path / f"{n}", line_of(one)) for n, one in enumerate((whole, other))]
    verdicts, _ = judged(*files)
    assert [verdict.result for verdict in verdicts] == ["same", "contradicts"]
