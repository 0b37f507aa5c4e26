"""A bargain between two, as either of them sees it: whose turn it is, what stands, what to say.

    async with alice.bargain({"task": "a lift"}, to="agent://bob") as bargain:
        async for turn in bargain:
            if bargain.standing and bargain.standing.value <= 45:
                await bargain.accept()
            else:
                await bargain.propose(value=30 + 5 * turn.round)
    print(bargain.outcome.agreement)

It yields each turn of this agent's and ends with the outcome. What is said out of turn, or breaks
a rule of the call, raises Refused and changes nothing: it is still this agent's turn, `refused`
says why, and the turn is yielded again unless another move is made in it. A move that another
gateway judges may be refused a moment after it was taken: then nothing is raised, and the turn is
yielded again in the same way.

In alternating offers one party moves at a time; in monotonic concession both do, and neither
hears what the other said before both have spoken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmx.calls import Call
from llmx.errors import LlmxError, NegotiationLost, Refused
from llmx.events import Outcome, outcome_of
from llmx.handlers import settled
from llmx.messages import Message, number_in, object_in, text_in
from llmx.thinking import Thinking
from llmx.turns import Turn
from llmx.v1.envelope_pb2 import Act

PROTOCOLS = frozenset(("alternating-offers", "monotonic-concession"))
"""The protocols that are bargains between two."""
OPTIONS = "bargaining"
"""The property of a call that says the rules."""
ROUNDS_DEFAULT = 100
REFUSALS_MAX = 3
"""How many moves of one turn may be refused after they were taken; then the bargain is lost."""
PROPOSALS_MAX = 2_000
"""What is remembered of the course; a bargain has 1,000 rounds at most."""

Say = Callable[[Act, Mapping[str, Any], str], Awaitable[str]]
"""Sends an act with a body, in reply to a message; returns its msg_id. Raises Refused."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one party proposed."""

    by: str
    offer_id: str
    """The msg_id of the proposal."""
    value: float | None
    """Its worth as one number; None when it has terms only."""
    terms: Mapping[str, Any]
    round: int | None = None
    text: str = ""
    body: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)
    """All that was said."""


@dataclass(frozen=True, slots=True)
class Propose:
    """A move: propose something."""

    value: float | None = None
    terms: Mapping[str, Any] | None = None
    valid_for: float | None = None
    """Seconds that it may be accepted; None: until it is answered."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Accept:
    """A move: accept what the other party proposed last."""


@dataclass(frozen=True, slots=True)
class End:
    """A move: end without an agreement."""

    reason: str = ""


Move = Propose | Accept | End
Strategy = Callable[["Bargain"], Move | Awaitable[Move]]
"""Says what to do in a turn, from all that the bargain knows."""


class Bargain:
    """One bargain, as one party sees it."""

    def __init__(self, agent_id: str, other: str, call: Call, say: Say) -> None:
        """Stand at the call's opening; `say` speaks for `agent_id`."""
        self.agent_id = agent_id
        self.other = other
        """The other party."""
        self.call = call
        self.negotiation_id = ""
        self.standing: Proposal | None = None
        """What the other party proposed last."""
        self.own: Proposal | None = None
        """What this agent proposed last, as far as it counted."""
        self.proposals: list[Proposal] = []
        """All that was proposed and shown, in order."""
        self.remarks: list[Message] = []
        """What the other party said without moving."""
        self.turn: Turn | None = None
        """This agent's turn; None while the other party is to move."""
        self.refused: Refused | None = None
        """Why the last move does not count, if it does not."""
        self.outcome: Outcome | None = None
        self._moved: tuple[str, Turn | None] = ("", None)
        self._doubted: Refused | None = None
        self._refusals = 0
        self._say = say
        self._news = asyncio.Event()
        self._pending: Turn | None = None
        self._failure: LlmxError | None = None

    def __repr__(self) -> str:
        state = self.outcome.state if self.outcome else "own turn" if self.turn else "other's turn"
        return f"<Bargain {self.negotiation_id} with {self.other}: {state}>"

    @property
    def rules(self) -> Mapping[str, Any]:
        """Return what the call says about this bargain."""
        return object_in(self.call.body, OPTIONS)

    @property
    def is_initiator(self) -> bool:
        """Tell whether this agent called."""
        return self.agent_id == self.call.initiator

    # ------------------------------------------------------------------ for the author

    def __aiter__(self) -> AsyncIterator[Turn]:
        """Return the turns of this agent, until the outcome is known."""
        return self

    async def __anext__(self) -> Turn:
        """Return the next turn of this agent. Raises NegotiationLost when there will be none."""
        while self._pending is None:
            if self.outcome is not None:
                raise StopAsyncIteration
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        turn, self._pending = self._pending, None
        return turn

    async def propose(
        self,
        *,
        value: float | None = None,
        terms: Mapping[str, Any] | None = None,
        valid_for: float | None = None,
        text: str = "",
    ) -> Proposal:
        """Propose something; returns it when the gateway has taken it. Raises Refused.

        `value` is its worth as one number, `terms` are what exactly; one of them at least.
        """
        body: dict[str, Any] = {}
        said = {"value": value, "terms": terms, "valid_for": valid_for, "text": text or None}
        body.update({name: item for name, item in said.items() if item is not None})
        turn, standing, place = self.turn, self.standing, len(self.proposals)
        if standing is None:
            offer_id = await self._move(Act.ACT_OFFER, body, self.call.msg_id)
        else:
            body["offer_id"] = standing.offer_id
            offer_id = await self._move(Act.ACT_COUNTER, body, standing.offer_id)
        round_ = turn.round if turn else None
        self.own = self._heard(self.agent_id, offer_id, body, round_, place)
        return self.own

    async def accept(self) -> None:
        """Accept what the other party proposed last. Raises Refused."""
        offer_id = self.standing.offer_id if self.standing is not None else self.call.msg_id
        body = {"offer_id": offer_id, "decision": "accepted"}
        await self._move(Act.ACT_ACCEPT, body, offer_id)

    async def end(self, reason: str = "") -> None:
        """End without an agreement; it has to be this agent's turn. Raises Refused."""
        body = {"reason": reason} if reason else {}
        standing = self.standing
        await self._move(Act.ACT_REFUSE, body, standing.offer_id if standing else self.call.msg_id)

    async def _move(self, act: Act, body: Mapping[str, Any], in_reply_to: str) -> str:
        """Make a move and return its msg_id. Raises Refused."""
        turn, self.turn = self.turn, None  # its answer may come before the word that it was taken
        self.refused, self._moved, self._pending = None, ("", None), None
        try:
            msg_id = await self._say(act, body, in_reply_to)
            if self._doubted is not None and self._doubted.msg_id == msg_id:
                raise self._doubted
        except BaseException as error:
            self._give_back(turn, error)
            raise
        self._moved = (msg_id, turn)
        return msg_id

    def _give_back(self, turn: Turn | None, error: BaseException) -> None:
        """Be to move again after a move that did not count, unless there is a newer turn."""
        if self.turn is None and self.outcome is None:
            self.turn = self._pending = turn
            self.refused = error if isinstance(error, Refused) else None

    async def remark(self, result: Any) -> None:
        """Say something without moving, in one's own turn. Raises Refused."""
        await self._say(Act.ACT_INFORM, {"result": result, "done": False}, self.call.msg_id)

    def thinking(self, seconds: float | None = None) -> Thinking:
        """Ask for a longer turn: await it to ask once, or use it with `async with`.

        A turn gets twice its length at most, and nothing extends the deadline of the call.
        """

        async def ask(wanted: float) -> None:
            await self._say(Act.ACT_THINKING, {"seconds": wanted}, self.call.msg_id)

        turn = self.turn
        return Thinking(ask, seconds, turn.seconds_left_at_most if turn else None)

    async def play(self, strategy: Strategy) -> Outcome:
        """Let a strategy make every move; returns the outcome.

        Raises Refused for a move that breaks a rule, after ending the bargain.
        """
        async for _ in self:
            try:
                if self.refused is not None:
                    raise self.refused
                await self.make(await settled(strategy(self)))
            except LlmxError:
                if self.outcome is not None:
                    break  # it ended while the strategy thought
                await self.end("no_legal_move")
                raise
        assert self.outcome is not None, "the turns end with the outcome"
        return self.outcome

    async def make(self, move: Move) -> None:
        """Make a move. Raises Refused."""
        match move:
            case Propose():
                await self.propose(
                    value=move.value, terms=move.terms, valid_for=move.valid_for, text=move.text
                )
            case Accept():
                await self.accept()
            case End():
                await self.end(move.reason)

    # ------------------------------------------------------------------ for the agent

    def opened(self, negotiation_id: str) -> None:
        """Stand at the beginning, perhaps anew because the gateway was lost."""
        self.negotiation_id = negotiation_id
        self.standing = self.own = self.turn = self._pending = self.refused = None
        self.proposals.clear()
        opening = object_in(self.rules, "opening")
        if opening:
            own = self._heard(self.call.initiator, self.call.msg_id, opening, 1)
            if self.is_initiator:
                self.own = own
            else:
                self.standing = own
        # A call tells a turn of him who is called, and nobody tells the first of him who calls.
        turn = self._first_turn(bool(opening)) if self.is_initiator else self.call.turn
        if turn is not None:
            self._give(turn)

    def _first_turn(self, has_opening: bool) -> Turn | None:
        """Return the turn that an initiator has at the opening, of which nobody tells it."""
        both = text_in(self.call.body, "protocol") == "monotonic-concession"
        first = text_in(self.rules, "first") or ("initiator" if has_opening else "responder")
        if not both and (first != "initiator" or has_opening):
            return None
        rounds = int(number_in(self.rules, "max_rounds") or ROUNDS_DEFAULT)
        longest = self.call.reply_within
        within = number_in(self.rules, "turn_within")
        return Turn(1, rounds - 1, longest if within is None else min(within, longest), longest)

    def hear(self, message: Message) -> bool:
        """Take a message of this bargain; there is always room.

        Raises ValueError when the payload is not what the act promises.
        """
        act, body = message.envelope.act, message.body
        if act in (Act.ACT_OFFER, Act.ACT_COUNTER):
            round_ = None if message.turn is None else message.turn.round - 1
            self.standing = self._heard(message.sender, message.msg_id, body, round_)
        elif act == Act.ACT_INFORM and not message.sender.startswith("gateway://"):
            self.remarks.append(message)
        elif act == Act.ACT_INFORM:
            self._informed(message)
        if message.turn is not None and self.outcome is None:
            self._refusals = 0
            self._give(message.turn)
        self._news.set()
        return True

    def refuse(self, error: Refused) -> bool:
        """Hear that a message which was taken does not count after all; False if it is no move."""
        msg_id, turn = self._moved
        if error.msg_id != msg_id or self.outcome is not None:
            self._doubted = error  # it may be the move of which we hear that it was taken
            return False
        self._moved, self.refused = ("", None), error
        self.proposals = [one for one in self.proposals if one.offer_id != msg_id]
        own = [one for one in self.proposals if one.by == self.agent_id]
        self.own = own[-1] if own else None
        self._refusals += 1
        if self._refusals > REFUSALS_MAX:
            self.fail(error)
        elif turn is not None and self.turn is None:
            self._give(turn)
        return True

    def _informed(self, message: Message) -> None:
        """Hear a gateway's word: the outcome, or what a step has shown."""
        if object_in(message.body, "outcome"):
            self.outcome = outcome_of(message)
            self.turn = self._pending = None
            return
        result = object_in(message.body, "result")
        repeated, deals = object_in(result, "repeated"), object_in(result, "deals")
        round_ = int(number_in(result, "round") or number_in(result, "step") or 0) or None
        if repeated:
            self._tabled(text_in(result, "by"), repeated, round_)
        for side, deal in deals.items():
            is_own = (side == "initiator") is self.is_initiator
            if isinstance(deal, dict):
                self._tabled(self.agent_id if is_own else self.other, deal, round_)

    def _tabled(self, by: str, deal: Mapping[str, Any], round_: int | None) -> None:
        offer_id = text_in(deal, "offer_id")
        if by == self.agent_id:
            if self.own is None or self.own.offer_id != offer_id:
                self.own = self._heard(by, offer_id, deal, round_)
        else:
            self.standing = self._heard(by, offer_id, deal, round_)

    def fail(self, error: LlmxError) -> None:
        """Hear that there will be no outcome."""
        lost = error
        if not isinstance(error, NegotiationLost):
            lost = NegotiationLost(self.negotiation_id, str(error))
            lost.__cause__ = error
        self._failure = self._failure or lost
        self._news.set()

    async def leave(self, reason: str) -> None:
        """End it as soon as that is possible, if it is not over."""
        if self.turn is not None and self._pending is None:
            self._pending = self.turn
        async for _ in self:
            await self.end(reason)

    def _give(self, turn: Turn) -> None:
        self.turn = self._pending = turn
        self._news.set()

    def _heard(
        self,
        by: str,
        offer_id: str,
        body: Mapping[str, Any],
        round_: int | None,
        place: int | None = None,
    ) -> Proposal:
        for known in reversed(self.proposals):
            if known.offer_id == offer_id and known.by == by:
                return known  # it was said, and is told again as what stands
        proposal = Proposal(
            by,
            offer_id,
            number_in(body, "value"),
            object_in(body, "terms"),
            round_,
            text_in(body, "text"),
            body,
        )
        if len(self.proposals) < PROPOSALS_MAX:
            self.proposals.insert(len(self.proposals) if place is None else place, proposal)
        return proposal
