"""`llmx call`: the file it reads, the lines it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llmx
from gateway.commands.call import Order, Showing, Telling, order_of
from gateway.commands.trouble import CommandError

BODY = {"task": "four GPUs", "reply_within": 5}
ENVELOPE = {
    "from": "agent://dana",
    "to": ["topic://gpu"],
    "capabilities": ["propose"],
    "scope": {"consent": "opt-in", "ttl": 120},
}
ORDER = Order(BODY, ("topic://gpu",), "agent://alice")
BOB = llmx.RankedOffer("agent://bob", "o-1", 40.0, 1, -40.0, 40.0, "won")
OUTCOME = llmx.Outcome(
    "n-1", "committed", "awarded", (BOB,), (BOB,), "quorum", "flow/high@1", True, {"state": "x"}
)


def written(folder: Path, value: Any) -> Path:
    path = folder / "call.json"
    path.write_text(json.dumps(value), "utf-8")
    return path


def test_a_payload_needs_somebody_to_go_to(tmp_path: Path):
    path = written(tmp_path, BODY)
    assert order_of(path, ["topic://gpu"], None) == ORDER
    with pytest.raises(CommandError) as caught:
        order_of(path, [], None)
    assert "--to topic://gpu" in str(caught.value)


def test_the_papers_form_says_everything_itself(tmp_path: Path):
    path = written(tmp_path, {"envelope": ENVELOPE, "payload": BODY})
    assert order_of(path, [], None) == Order(
        BODY, ("topic://gpu",), "agent://dana", ("propose",), "opt-in", 120
    )


def test_the_command_line_goes_before_the_envelope(tmp_path: Path):
    path = written(tmp_path, {"envelope": ENVELOPE, "payload": BODY})
    order = order_of(path, ["agent://bob"], "agent://erin")
    assert (order.to, order.sender) == (("agent://bob",), "agent://erin")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"act": "offer", "value": 4}, "holds no call"),
        ({"envelope": {**ENVELOPE, "to": "topic://gpu"}, "payload": BODY}, "/envelope/to"),
        ({"envelope": ENVELOPE}, "payload"),
        ({"envelope": 4, "payload": BODY}, "/envelope"),
        ({"envelope": ENVELOPE, "payload": {"act": "reject"}}, "holds no call"),
    ],
)
def test_what_is_no_call_is_named_with_its_place(tmp_path: Path, value: Any, said: str):
    with pytest.raises(CommandError) as caught:
        order_of(written(tmp_path, value), ["topic://gpu"], None)
    assert said in str(caught.value)
    assert "call.json" in str(caught.value)


def offer_made() -> llmx.OfferMade:
    return llmx.OfferMade("agent://bob", "o-1", 40.0, {"start_in": 2}, {}, "cheap\x1b[2J", "n-1")


def test_every_event_is_one_readable_line(capsys: pytest.CaptureFixture[str]):
    show = Showing()
    show.event(llmx.Opened("n-1", ("agent://bob",), 0.0, "flow/high@1"), ORDER, 1.0)
    show.event(offer_made(), ORDER, 2.0)
    show.event(llmx.OfferRefused("agent://carol", "no_capacity"), ORDER, 3.0)
    show.event(llmx.OfferWithdrawn("agent://dave", "sold"), ORDER, 3.5)
    show.event(llmx.Thought("agent://erin", 30, llmx.Turn(1, 0, 9.5, 20.0)), ORDER, 3.5)
    show.event(llmx.Ranked((BOB,)), ORDER, 3.6)
    show.event(OUTCOME, ORDER, 4.25)
    show.event(llmx.Report("agent://bob", True, {"price": 40}), ORDER, 5.0)
    assert capsys.readouterr().out.splitlines() == [
        "call     n-1  agent://alice to topic://gpu: 1 may answer, policy flow/high@1",
        'offer    agent://bob  40 {"start_in": 2} cheap\N{REPLACEMENT CHARACTER}[2J  +2.0 ms',
        "refusal  agent://carol  no_capacity  +3.0 ms",
        "withdrew agent://dave  sold  +3.5 ms",
        "thinks   agent://erin  for 9.5 s at most  +3.5 ms",
        "ranked   1 offers; the first is accepted  +3.6 ms",
        "         1.  agent://bob  40  won",
        "outcome  committed: agent://bob wins at 40 (closed by quorum)  +4.2 ms",
        'done     agent://bob  {"price": 40}',
    ]


def test_a_line_says_why_the_ledger_refuses_and_what_an_award_holds(
    capsys: pytest.CaptureFixture[str],
):
    body = {"detail": "BUDGET_UNKNOWN: project:vision"}
    Showing().event(llmx.Outcome("n-2", "no_award", "X", body=body), ORDER, 5.0)
    paid = llmx.Payment("agent://alice", 1_000_000)
    won = llmx.RankedOffer("agent://bob", "o-1", 1.0, 1, payment=paid)
    Showing().event(llmx.Outcome("n-3", "committed", "awarded", (won,)), ORDER, 5.0)
    refused, _, pays = capsys.readouterr().out.splitlines()
    assert refused == "outcome  no_award: X (BUDGET_UNKNOWN: project:vision)  +5.0 ms"
    assert pays == "pays     agent://bob  agent://alice 1"


def test_scores_are_shown_where_the_call_has_a_utility(capsys: pytest.CaptureFixture[str]):
    order = Order({**BODY, "utility": "-value"}, ("topic://gpu",), "agent://alice")
    Showing().event(OUTCOME, order, 4.0)
    assert "score -40" in capsys.readouterr().out


def test_programs_get_objects(capsys: pytest.CaptureFixture[str]):
    show = Telling()
    show.ready(ORDER, "127.0.0.1:7600")
    show.event(offer_made(), ORDER, 2.0)
    show.event(llmx.Ranked((BOB,), {"result": {"ranking": []}}), ORDER, 3.0)
    show.event(OUTCOME, ORDER, 4.0)
    show.event(llmx.Thought("agent://erin", 30), ORDER, 4.0)
    show.refused(llmx.Refused("RATE_EXCEEDED", "too fast", remedy="wait"))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == [
        *("ready", "offer", "ranked", "outcome", "thinking", "refused")
    ]
    assert events[1]["value"] == 40 and events[1]["negotiation"] == "n-1"
    assert events[3]["outcome"] == {"state": "x"}
    assert (events[4]["agent"], events[4]["seconds"]) == ("agent://erin", 30)
    assert events[5]["code"] == "RATE_EXCEEDED"


def test_a_call_is_durable_when_the_file_or_the_command_line_says_so(tmp_path: Path):
    head = {**ENVELOPE, "durable": True}
    assert order_of(written(tmp_path, {"envelope": head, "payload": BODY}), (), None).durable
    plain = written(tmp_path, BODY)
    assert order_of(plain, ["topic://gpu"], None, durable=True).durable
    assert not order_of(plain, ["topic://gpu"], None).durable


def test_a_call_that_is_interrupted_says_that_it_was_taken_back(
    capsys: pytest.CaptureFixture[str],
):
    Showing().cancelled("n-1")
    Telling().cancelled("n-1")
    line, fact = capsys.readouterr().out.splitlines()
    assert line == "cancelled n-1: the call is taken back"
    assert json.loads(fact)["negotiation"] == "n-1"
