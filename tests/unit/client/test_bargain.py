"""A bargain as one party sees it: its turns, what stands, and what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

import llmx
from llmx.bargain import REFUSALS_MAX, Bargain
from llmx.calls import Call
from llmx.messages import Message
from llmx.v1.envelope_pb2 import Act, Envelope

ALICE, BOB, GATEWAY = "agent://alice", "agent://bob", "gateway://g"


def envelope(
    sender: str, act: Act, msg_id: str, body: Mapping[str, Any], turn: int = 0
) -> Envelope:
    sent = Envelope(
        sender=sender,
        act=act,
        msg_id=msg_id,
        negotiation_id="g.0.n",
        payload=json.dumps(body).encode(),
    )
    if turn:
        sent.turn.round = turn
        sent.turn.rounds_left = 9 - turn
        sent.turn.answer_in.FromSeconds(5)
        sent.turn.deadline_in.FromSeconds(50)
    return sent


class Seat:
    """One party's bargain, and what it has said."""

    def __init__(
        self,
        agent_id: str = BOB,
        protocol: str = "alternating-offers",
        turn: int = 1,
        **rules: Any,
    ) -> None:
        body = {"protocol": protocol, "reply_within": 20, "bargaining": rules}
        call = Call(envelope(ALICE, Act.ACT_CFP, "call", body, turn))
        self.said: list[tuple[Act, Mapping[str, Any], str]] = []
        self.refuses: set[Act] = set()
        other = BOB if agent_id == ALICE else ALICE
        self.bargain = Bargain(agent_id, other, call, self.say)
        self.bargain.opened("g.0.n")

    async def say(self, act: Act, body: Mapping[str, Any], in_reply_to: str) -> str:
        if act in self.refuses:
            raise llmx.Refused("NOT_YOUR_TURN", "the other party is to move")
        self.said.append((act, body, in_reply_to))
        return f"said-{len(self.said)}"

    async def until_said(self, count: int) -> None:
        """Let others run until so much was said."""
        async with asyncio.timeout(5):
            while len(self.said) < count:  # noqa: ASYNC110 - what is said sets no event
                await asyncio.sleep(0)

    def hear(
        self, act: Act, msg_id: str, body: Mapping[str, Any], turn: int = 0, sender: str = ""
    ) -> None:
        sender = sender or self.bargain.other
        assert self.bargain.hear(Message(envelope(sender, act, msg_id, body, turn)))

    def ends(self, **outcome: Any) -> None:
        body = {"outcome": {"negotiation_id": "g.0.n", "state": "no_award", **outcome}}
        self.hear(Act.ACT_INFORM, "g.0.n:1", body, sender=GATEWAY)

    @property
    def to_move(self) -> bool:
        return self.bargain.turn is not None


async def test_who_is_called_is_to_move_when_the_call_says_so() -> None:
    assert Seat(turn=1).to_move and not Seat(turn=0).to_move
    seat = Seat()
    turn = await anext(seat.bargain)
    assert (turn.round, turn.rounds_left, turn.answer_in) == (1, 8, 5)
    assert not seat.bargain.is_initiator and "own turn" in repr(seat.bargain)


@pytest.mark.parametrize(
    ("protocol", "rules", "to_move"),
    [
        ("alternating-offers", {}, False),
        ("alternating-offers", {"first": "initiator"}, True),
        ("alternating-offers", {"first": "initiator", "opening": {"value": 3}}, False),
        ("alternating-offers", {"opening": {"value": 3}}, False),
        ("monotonic-concession", {}, True),
    ],
)
async def test_who_calls_knows_by_the_rules_whether_it_is_to_move(
    protocol: str, rules: dict[str, Any], to_move: bool
) -> None:
    """A call goes to the others: nobody tells its own sender a turn."""
    assert Seat(ALICE, protocol, **rules).to_move is to_move


async def test_the_first_turn_of_who_calls_is_as_long_as_the_rules_say() -> None:
    turn = await anext(Seat(ALICE, first="initiator", max_rounds=7, turn_within=4).bargain)
    assert (turn.round, turn.rounds_left, turn.answer_in, turn.deadline_in) == (1, 6, 4, 20)


async def test_a_call_that_opens_with_a_proposal_stands_from_the_beginning() -> None:
    opening = {"value": 30, "terms": {"price": 30}}
    heard, own = Seat(opening=opening).bargain, Seat(ALICE, opening=opening).bargain
    assert heard.standing is not None and (heard.standing.offer_id, heard.standing.value) == (
        "call",
        30,
    )
    assert own.standing is None and own.own == heard.standing


async def test_the_first_proposal_is_an_offer_and_each_other_one_a_counter_offer() -> None:
    seat = Seat()
    first = await seat.bargain.propose(value=60, terms={"price": 60}, text="My best.")
    assert not seat.to_move and first is seat.bargain.own
    seat.hear(Act.ACT_COUNTER, "a1", {"offer_id": "said-1", "value": 40}, turn=3)
    assert seat.to_move and seat.bargain.standing is not None
    second = await seat.bargain.propose(value=50, valid_for=2)
    assert [act for act, _, _ in seat.said] == [Act.ACT_OFFER, Act.ACT_COUNTER]
    assert seat.said[0][1] == {"value": 60, "terms": {"price": 60}, "text": "My best."}
    assert seat.said[1][1:] == ({"value": 50, "valid_for": 2, "offer_id": "a1"}, "a1")
    assert [one.offer_id for one in seat.bargain.proposals] == ["said-1", "a1", "said-2"]
    assert (second.round, seat.bargain.standing.round) == (3, 2)


async def test_an_answer_that_comes_before_the_gateways_word_is_not_lost() -> None:
    """The other party may be quicker than the frame that confirms our own proposal."""
    seat = Seat()

    async def say(act: Act, body: Mapping[str, Any], in_reply_to: str) -> str:
        seat.hear(Act.ACT_COUNTER, "a1", {"offer_id": "b1", "value": 40}, turn=3)
        return "b1"

    bargain = Bargain(BOB, ALICE, seat.bargain.call, say)
    seat.bargain = bargain
    bargain.opened("g.0.n")
    await bargain.propose(value=60)
    assert bargain.turn is not None and bargain.turn.round == 3
    assert [one.offer_id for one in bargain.proposals] == ["b1", "a1"]


async def test_a_move_that_is_refused_leaves_the_turn_where_it_was() -> None:
    seat = Seat()
    seat.refuses = {Act.ACT_OFFER, Act.ACT_ACCEPT}
    with pytest.raises(llmx.Refused):
        await seat.bargain.propose(value=60)
    with pytest.raises(llmx.Refused):
        await seat.bargain.accept()
    assert seat.to_move and seat.bargain.own is None and not seat.bargain.proposals


async def test_accepting_names_what_stands_and_ending_gives_a_reason() -> None:
    seat = Seat()
    seat.hear(Act.ACT_OFFER, "a1", {"value": 40}, turn=2)
    await seat.bargain.accept()
    assert seat.said == [(Act.ACT_ACCEPT, {"offer_id": "a1", "decision": "accepted"}, "a1")]
    await Seat().bargain.end()
    other = Seat()
    await other.bargain.end("too_far")
    assert other.said == [(Act.ACT_REFUSE, {"reason": "too_far"}, "call")]


async def test_the_turns_end_with_the_outcome() -> None:
    seat = Seat(turn=0)
    agreement = {
        "offer_id": "a1",
        "by": ALICE,
        "terms": {"price": 4},
        "terms_sha256": "0" * 64,
        "value": 4,
    }
    seat.hear(Act.ACT_OFFER, "a1", {"value": 4}, turn=2)
    seat.ends(state="committed", ended_by="agreement", agreement=agreement)
    assert [turn async for turn in seat.bargain] == []
    outcome = seat.bargain.outcome
    assert outcome is not None and outcome.ended_by == "agreement" and not seat.to_move
    assert outcome.agreement is not None and outcome.agreement.terms == {"price": 4}
    assert (outcome.agreement.by, outcome.agreement.value) == (ALICE, 4)
    assert "committed" in repr(seat.bargain)
    nothing = Seat(turn=0)
    nothing.ends(ended_by="deadline")
    assert nothing.bargain.outcome is not None and nothing.bargain.outcome.agreement is None


async def test_what_a_step_has_shown_is_known_of_both_parties() -> None:
    seat = Seat(ALICE, "monotonic-concession")
    own = await seat.bargain.propose(value=40)
    deals = {
        "initiator": {"offer_id": own.offer_id, "terms": {"value": 40}, "value": 40},
        "responder": {"offer_id": "b1", "terms": {"value": 60}, "value": 60},
    }
    step = {"result": {"step": 1, "deals": deals}, "done": False}
    seat.hear(Act.ACT_INFORM, "g.0.n:1", step, turn=2, sender=GATEWAY)
    assert seat.to_move and seat.bargain.own is own
    assert seat.bargain.standing is not None and seat.bargain.standing.by == BOB
    assert [one.by for one in seat.bargain.proposals] == [ALICE, BOB]


async def test_a_proposal_that_the_exchange_repeats_stands_again() -> None:
    """Who says nothing in its turn says the same again, where the rules want it so."""
    deal = {"offer_id": "a1", "terms": {"value": 40}, "value": 40}
    seat = Seat(turn=0)
    body = {"result": {"repeated": deal, "by": ALICE, "round": 3}, "done": False}
    seat.hear(Act.ACT_INFORM, "g.0.n:1", body, turn=4, sender=GATEWAY)
    assert seat.bargain.standing is not None and seat.bargain.standing.round == 3
    own = Seat(ALICE)
    own.hear(Act.ACT_INFORM, "g.0.n:1", body, sender=GATEWAY)
    assert own.bargain.own is not None and own.bargain.own.offer_id == "a1"


async def test_a_remark_moves_nobody() -> None:
    seat = Seat(turn=0)
    seat.hear(Act.ACT_INFORM, "a1", {"result": "Let me see.", "done": False})
    assert len(seat.bargain.remarks) == 1 and not seat.to_move
    await seat.bargain.remark("So do I.")
    await seat.bargain.thinking(3)
    assert [act for act, _, _ in seat.said] == [Act.ACT_INFORM, Act.ACT_THINKING]
    assert seat.said[1][1] == {"seconds": 3}


async def test_a_strategy_makes_every_move() -> None:
    seat = Seat()
    moves = iter([llmx.Propose(value=60), llmx.Propose(terms={"a": 1}), llmx.Accept()])

    async def strategy(bargain: Bargain) -> llmx.Move:
        return next(moves)

    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(seat.bargain.play(strategy))
        for number in (3, 5):
            await seat.until_said(number // 2)
            seat.hear(Act.ACT_COUNTER, f"a{number}", {"value": 40}, turn=number)
        await seat.until_said(3)
        seat.ends()
    assert playing.result().state == "no_award"
    acts = [Act.ACT_OFFER, Act.ACT_COUNTER, Act.ACT_ACCEPT]
    assert [act for act, _, _ in seat.said] == acts


async def test_a_strategy_that_breaks_a_rule_ends_the_bargain() -> None:
    seat = Seat()
    seat.refuses = {Act.ACT_OFFER}
    with pytest.raises(llmx.Refused):
        await seat.bargain.play(lambda bargain: llmx.Propose(value=1))
    assert seat.said == [(Act.ACT_REFUSE, {"reason": "no_legal_move"}, "call")]


async def test_a_bargain_that_is_over_while_a_strategy_thinks_is_no_error() -> None:
    seat = Seat()
    seat.refuses = {Act.ACT_REFUSE}

    def late(bargain: Bargain) -> llmx.Move:
        seat.ends()
        return llmx.End()

    assert (await seat.bargain.play(late)).state == "no_award"


def refusal(msg_id: str) -> llmx.Refused:
    return llmx.Refused("MUST_CONCEDE", "that is worse", msg_id=msg_id, negotiation_id="g.0.n")


async def test_a_move_that_is_refused_after_it_was_taken_gives_the_turn_back() -> None:
    """The gateway that judges may be another than the one that took it."""
    seat = Seat()
    bargain = seat.bargain
    first = await bargain.propose(value=60)
    seat.hear(Act.ACT_COUNTER, "a1", {"value": 40}, turn=3)
    await anext(bargain)
    await bargain.propose(value=70)
    assert bargain.refuse(refusal("said-2"))
    turn = await anext(bargain)
    assert turn.round == 3 and seat.to_move
    assert bargain.refused is not None and bargain.refused.code == "MUST_CONCEDE"
    assert bargain.own == first and [one.offer_id for one in bargain.proposals] == ["said-1", "a1"]
    await bargain.propose(value=55)
    assert bargain.refused is None and not seat.to_move


async def test_a_move_that_is_refused_at_once_gives_the_turn_back_to_who_goes_on() -> None:
    seat = Seat()
    seat.refuses = {Act.ACT_OFFER}
    first = await anext(seat.bargain)
    with pytest.raises(llmx.Refused):
        await seat.bargain.propose(value=60)
    assert await anext(seat.bargain) == first
    assert seat.bargain.refused is not None and seat.bargain.refused.code == "NOT_YOUR_TURN"


async def test_what_was_said_is_told_once_however_often_it_stands() -> None:
    """A step of monotonic concession tells both deals, also of who stood still."""
    seat = Seat(protocol="monotonic-concession")
    own = await seat.bargain.propose(value=60)
    for step in (1, 2):
        deals = {
            "initiator": {"offer_id": "a1", "value": 40},
            "responder": {"offer_id": "said-1", "value": 60},
        }
        seat.hear(
            Act.ACT_INFORM,
            f"g{step}",
            {"result": {"step": step, "deals": deals}},
            turn=step + 1,
            sender=GATEWAY,
        )
    assert [one.offer_id for one in seat.bargain.proposals] == ["said-1", "a1"]
    assert seat.bargain.own == own


async def test_a_refusal_that_overtakes_the_word_that_a_move_was_taken_is_raised() -> None:
    seat = Seat()
    assert not seat.bargain.refuse(refusal("said-1")), "nothing was said that it could mean"
    with pytest.raises(llmx.Refused):
        await seat.bargain.propose(value=60)
    assert seat.to_move and seat.bargain.own is None


async def test_the_refusal_of_a_remark_or_of_an_older_move_changes_nothing() -> None:
    seat = Seat()
    own = await seat.bargain.propose(value=60)
    assert not seat.bargain.refuse(refusal("said-0"))
    assert seat.bargain.own == own and not seat.to_move
    seat.ends()
    assert not seat.bargain.refuse(refusal("said-1"))


async def test_a_turn_whose_every_move_is_refused_late_is_lost() -> None:
    seat = Seat()

    async def propose_again() -> None:
        async for _ in seat.bargain:
            await seat.bargain.propose(value=60)
            seat.bargain.refuse(refusal(f"said-{len(seat.said)}"))

    with pytest.raises(llmx.NegotiationLost):
        await propose_again()
    assert len(seat.said) == REFUSALS_MAX + 1


async def test_a_strategy_whose_move_is_refused_late_ends_the_bargain() -> None:
    seat = Seat()

    def strategy(bargain: Bargain) -> llmx.Move:
        asyncio.get_running_loop().call_soon(bargain.refuse, refusal("said-1"))
        return llmx.Propose(value=60)

    with pytest.raises(llmx.Refused):
        await seat.bargain.play(strategy)
    assert [act for act, _, _ in seat.said] == [Act.ACT_OFFER, Act.ACT_REFUSE]


async def test_one_that_is_opened_anew_begins_again() -> None:
    seat = Seat()
    await seat.bargain.propose(value=3)
    seat.hear(Act.ACT_COUNTER, "a1", {"value": 2}, turn=3)
    seat.bargain.opened("h.0.m")
    assert seat.bargain.standing is None and seat.bargain.own is None
    assert not seat.bargain.proposals and seat.bargain.negotiation_id == "h.0.m"
    assert seat.bargain.turn is not None and seat.bargain.turn.round == 1


async def test_one_that_is_lost_says_so_to_whoever_waits() -> None:
    seat = Seat(turn=0)
    seat.bargain.fail(llmx.SessionClosed("closed"))
    with pytest.raises(llmx.NegotiationLost):
        await anext(seat.bargain)


async def test_leaving_ends_it_in_the_next_turn() -> None:
    seat = Seat()
    await anext(seat.bargain)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(seat.bargain.leave("left"))
        await seat.until_said(1)
        assert seat.said == [(Act.ACT_REFUSE, {"reason": "left"}, "call")]
        seat.ends()
    await seat.bargain.leave("left")
    assert len(seat.said) == 1
