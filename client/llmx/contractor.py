"""What an agent owes as a contractor: an answer to every call, and its word when it wins.

A call is *asked* while the author's handler works on it, *standing* from the moment its
offer is sent until the verdict. Every call is answered: a handler that
raises answers not-understood, no handler answers refuse. While an offer stands it is sent again
after every reconnect; and when the same call comes under another negotiation id, because a
gateway was lost, the same offer answers it and the author is not asked twice. Nor is an award
told twice: a call that was won is remembered.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from llmx.calls import Call, Offer, Refusal, Verdict, Words
from llmx.corrections import REPAIR_CODES, RETRY_CODES, corrected, draft_of
from llmx.dispatch import Dispatch
from llmx.errors import Refused, SessionError
from llmx.handlers import Handlers, ask, settled
from llmx.messages import Drafts, Message, number_in, object_in, text_in
from llmx.sealing import is_sealed, sealed
from llmx.session import Session
from llmx.standing import Standing, Standings
from llmx.v1.envelope_pb2 import Act, Envelope

log = logging.getLogger("llmx")

NOT_JSON = (TypeError, ValueError, RecursionError)
"""What writing a payload raises when the author's value is not JSON."""
CANCELLED = {"done": True, "reason": "cancelled"}
FAILED = "on_cfp failed in negotiation %s"


class Contractor:
    """The contractor's side of one agent."""

    def __init__(
        self,
        session: Session,
        drafts: Drafts,
        dispatch: Dispatch,
        handlers: Handlers,
        repairs_max: int,
    ) -> None:
        """Answer calls with the author's handlers."""
        self._session = session
        self._drafts = drafts
        self._dispatch = dispatch
        self._handlers = handlers
        self._repairs_max = repairs_max
        self._standings = Standings()

    def __len__(self) -> int:
        """Return how many calls are not over."""
        return sum(not standing.judged for standing in self._standings)

    # ------------------------------------------------------------------ what comes

    def called(self, envelope: Envelope) -> bool:
        """Take a call; False means that there is no room for it now."""
        known = self._standings.of_call(envelope.sender, envelope.msg_id)
        if known is not None:
            self._reopened(known, envelope.negotiation_id)
            return True
        earlier = self._standings.of_negotiation(envelope.negotiation_id)
        if earlier is not None:  # of an earlier round, in which the offer binds nobody any more
            self._standings.forget(earlier)
        call = Call(envelope, lambda seconds: self._think(call, seconds))
        handler = self._handlers.find("on_cfp")
        if handler is None:
            return self._put(call, lambda: self._answer(call, Refusal("no_handler")))
        standing = Standing(call, envelope.negotiation_id, time.monotonic())
        if inspect.iscoroutinefunction(handler) or not self._session.has_room:
            if not self._put(call, lambda: self._await(standing, ask(handler, call))):
                return False
            self._standings.remember(standing)
            return True
        self._standings.remember(standing)
        try:
            answer = handler(call)  # at once, without a task
        except (Exception, asyncio.CancelledError):  # the author's mistake is not spread
            log.exception(FAILED, standing.negotiation_id)
            self._not_understood(standing)
            return True
        if inspect.isawaitable(answer):
            self._put(call, lambda: self._await(standing, answer))
        else:
            self._conclude(standing, answer)
        return True

    def judged(self, message: Message) -> bool:
        """Take an accept, a reject or a cancel; False means that there is no room for it now."""
        standing = self._standings.of_negotiation(message.negotiation_id)
        if standing is None or standing.offer is None:
            if message.envelope.act == Act.ACT_CANCEL and standing is not None:
                self._standings.forget(standing)
                self._reply(Act.ACT_INFORM, CANCELLED, standing)
            return True
        return self._dispatch.put(standing.negotiation_id, lambda: self._hear(standing, message))

    def asked(self, message: Message) -> bool:
        """Open a sealed bid when the gateway asks for it; False when there is no room for it."""
        standing = self._standings.of_negotiation(message.negotiation_id)
        if standing is None or standing.reveal is None or message.turn is None:
            return True
        return self._dispatch.put(standing.negotiation_id, lambda: self._reveal(standing))

    def refused(self, error: Refused) -> bool:
        """Take the refusal of an offer; False when it was none of ours."""
        standing = self._standings.of_offer(error.msg_id)
        if standing is None:
            return False
        if not self._dispatch.put(standing.negotiation_id, lambda: self._repair(standing, error)):
            self._standings.forget(standing)
        return True

    def resend(self) -> None:
        """Send the standing offers again, on a new stream."""
        for standing in self._standings:
            if standing.judged or standing.is_adrift or standing.envelope is None:
                continue
            if self._session.has_room:
                self._session.post(standing.envelope, repeated=True)

    # ------------------------------------------------------------------ answering

    def _put(self, call: Call, work: Callable[[], Awaitable[None]]) -> bool:
        return self._dispatch.put(call.negotiation_id, work)

    async def _await(self, standing: Standing, pending: Awaitable[Any]) -> None:
        try:
            answer = await settled(pending)
        except Exception:
            log.exception(FAILED, standing.negotiation_id)
            await self._session.room()
            self._not_understood(standing)
            return
        await self._session.room()
        self._conclude(standing, answer)

    async def _answer(self, call: Call, refusal: Refusal) -> None:
        await self._session.room()
        self._post(Act.ACT_REFUSE, {"reason": refusal.reason}, call.negotiation_id, call.msg_id)

    def _conclude(self, standing: Standing, answer: object) -> None:
        """Send what the author answered, unless the call is over."""
        if standing not in self._standings:
            return
        match answer:
            case Offer():
                try:
                    self._offer(standing, answer)
                except NOT_JSON:
                    log.exception(FAILED, standing.negotiation_id)
                    self._not_understood(standing)
            case Words():
                self._send_words(standing, answer)
            case Refusal() | None:
                body = {"reason": answer.reason} if answer and answer.reason else {}
                self._standings.forget(standing)
                self._reply(Act.ACT_REFUSE, body, standing)
            case _:
                log.error(
                    "on_cfp answered %s in negotiation %s: %s is no Offer, Refusal or None",
                    standing.call.initiator,
                    standing.negotiation_id,
                    type(answer).__name__,
                )
                self._not_understood(standing)

    def _offer(self, standing: Standing, offer: Offer) -> None:
        standing.offer = offer
        body, standing.reveal = sealed(standing.call, offer.body())
        self._write_offer(standing, body)

    async def _reveal(self, standing: Standing) -> None:
        await self._session.room()
        if standing in self._standings and standing.reveal is not None:
            self._write_offer(standing, standing.reveal)

    def _write_offer(self, standing: Standing, body: Mapping[str, Any]) -> None:
        envelope = self._drafts.write(
            Act.ACT_OFFER,
            body,
            negotiation_id=standing.negotiation_id,
            in_reply_to=standing.call.msg_id,
        )
        self._send_offer(standing, envelope)

    def _send_words(self, standing: Standing, words: Words) -> None:
        """Send what a model wrote; the gateway is the judge of it."""
        draft = draft_of(words)
        if isinstance(draft, Refusal):
            self._conclude(standing, draft)
            return
        standing.offer, payload = draft
        if is_sealed(standing.call):
            self._offer(standing, standing.offer)
            return
        envelope = self._drafts.write(
            Act.ACT_OFFER,
            {},
            negotiation_id=standing.negotiation_id,
            in_reply_to=standing.call.msg_id,
        )
        envelope.payload = payload
        self._send_offer(standing, envelope)

    def _send_offer(self, standing: Standing, envelope: Envelope) -> None:
        self._standings.sent(standing, envelope)
        self._session.post(envelope)

    def _not_understood(self, standing: Standing) -> None:
        self._standings.forget(standing)
        self._reply(Act.ACT_NOT_UNDERSTOOD, {"reason": "handler_failed"}, standing)

    def _reopened(self, standing: Standing, negotiation_id: str) -> None:
        """Answer the same call in the negotiation that took the lost one's place."""
        self._standings.moved(standing, negotiation_id)
        standing.is_adrift = standing.judged = False
        if standing.reveal is not None and standing.offer is not None:
            self._offer(standing, standing.offer)  # it is committed anew, before it is opened
        elif standing.envelope is not None:
            again = self._drafts.rewrite(standing.envelope, negotiation_id=negotiation_id)
            self._send_offer(standing, again)

    async def _repair(self, standing: Standing, error: Refused) -> None:
        """Try again what was refused, as far as that can help."""
        if self._standings.of_offer(error.msg_id) is not standing or standing.offer is None:
            return  # another offer has taken its place
        log.info("an offer in negotiation %s was refused: %s", standing.negotiation_id, error)
        if error.code == "UNKNOWN_NEGOTIATION":
            standing.is_adrift = True
            return
        if standing.repairs >= self._repairs_max or not standing.envelope:
            self._give_up(standing, error)
            return
        standing.repairs += 1
        if error.code in RETRY_CODES and error.retry_after is not None:
            await asyncio.sleep(error.retry_after)
            negotiation_id = standing.negotiation_id
            again = self._drafts.rewrite(standing.envelope, negotiation_id=negotiation_id)
            await self._session.room()
            self._send_offer(standing, again)
            return
        if error.code not in REPAIR_CODES:
            self._give_up(standing, error)
            return
        sent = standing.offer, standing.envelope.payload
        tries = standing.repairs, self._repairs_max - standing.repairs
        better = await corrected(self._handlers, standing.call, sent, error, tries)
        await self._session.room()
        if better is None:
            self._give_up(standing, error)
        else:
            self._conclude(standing, better)

    def _give_up(self, standing: Standing, error: Refused) -> None:
        self._standings.forget(standing)
        if error.code in REPAIR_CODES:  # the initiator still waits for a word of ours
            self._reply(Act.ACT_REFUSE, {"reason": "offer_invalid"}, standing)

    async def _think(self, call: Call, seconds: float) -> None:
        """Ask the gateway to wait. Raises Refused and SessionError."""
        standing = self._standings.of_call(call.initiator, call.msg_id)
        envelope = self._drafts.write(
            Act.ACT_THINKING,
            {"seconds": seconds},
            negotiation_id=standing.negotiation_id if standing else call.negotiation_id,
            in_reply_to=call.msg_id,
        )
        await self._session.send(envelope)

    # ------------------------------------------------------------------ the verdict

    async def _hear(self, standing: Standing, message: Message) -> None:
        if standing not in self._standings:
            return  # an earlier word was the last
        body, act, spoken_in = message.body, message.envelope.act, message.negotiation_id
        if act != Act.ACT_ACCEPT and spoken_in not in standing.may_speak_in:
            return  # the call goes on in another negotiation
        verdict = self._verdict(standing, message)
        if act == Act.ACT_ACCEPT and standing.call.asks_to_confirm(body):
            if not await self._confirm(standing, verdict):
                return
        elif act == Act.ACT_CANCEL:
            await self._session.room()
            self._post(Act.ACT_INFORM, CANCELLED, spoken_in, standing.call.msg_id)
        standing.judged = verdict.won
        if not verdict.won:
            self._standings.forget(standing)
        else:
            was_told = bool(standing.accepted_in)
            standing.accepted_in.add(spoken_in)
            if was_told:
                return  # the gateway that told it was lost, and its heir tells it again
        await self._run("on_outcome", verdict)
        if verdict.won:
            # Beside this lane, so that long work does not keep a cancel from being heard.
            self._dispatch.put(f"{standing.negotiation_id} award", lambda: self._work(verdict))

    def _verdict(self, standing: Standing, message: Message) -> Verdict:
        assert standing.offer is not None, "only who offered is judged"
        assert standing.envelope is not None, "an offer was sent"
        body = message.body
        cancelled = message.envelope.act == Act.ACT_CANCEL
        return Verdict(
            won=message.envelope.act == Act.ACT_ACCEPT,
            reason=text_in(body, "reason") or ("cancelled" if cancelled else ""),
            negotiation_id=message.negotiation_id,
            offer_id=text_in(body, "offer_id") or standing.envelope.msg_id,
            offer=standing.offer,
            call=standing.call,
            price=number_in(body, "price"),
            detail=text_in(body, "detail"),
            award=object_in(body, "award"),
            turn=message.turn,
            retry_at=number_in(body, "retry_at"),
        )

    async def _confirm(self, standing: Standing, verdict: Verdict) -> bool:
        handler = self._handlers.find("on_confirm")
        stands: object = True
        if handler is not None and not standing.accepted_in:
            try:
                stands = await ask(handler, verdict)
            except Exception:
                log.exception("on_confirm failed in negotiation %s", verdict.negotiation_id)
                stands = False
        await self._session.room()
        if stands:
            body = {"offer_id": verdict.offer_id}
            self._post(Act.ACT_CONFIRM, body, verdict.negotiation_id, standing.call.msg_id)
            return True
        self._standings.forget(standing)
        body = {"reason": "not_confirmed"}
        self._post(Act.ACT_REFUSE, body, verdict.negotiation_id, standing.call.msg_id)
        return False

    async def _work(self, verdict: Verdict) -> None:
        """Do the work of an award, and report where the call asks for it."""
        handler = self._handlers.find("on_award")
        wants_report = verdict.wants_report
        if handler is None:
            if wants_report:
                self._report(Act.ACT_FAILURE, {"reason": "no_handler"}, verdict)
            return
        try:
            result = await ask(handler, verdict)
        except Exception as error:
            log.exception("on_award failed in negotiation %s", verdict.negotiation_id)
            if wants_report:
                self._report(Act.ACT_FAILURE, {"reason": type(error).__name__}, verdict)
            return
        if wants_report:
            self._report(Act.ACT_INFORM, {"result": result, "done": True}, verdict)

    def _report(self, act: Act, body: Mapping[str, Any], verdict: Verdict) -> None:
        standing = self._standings.of_negotiation(verdict.negotiation_id)
        if standing is None:
            return  # cancelled meanwhile, and that was answered
        where = verdict.negotiation_id, standing.call.msg_id
        try:
            self._post(act, body, *where)
        except NOT_JSON:
            log.exception("on_award failed in negotiation %s", verdict.negotiation_id)
            self._post(Act.ACT_FAILURE, {"reason": "not_json"}, *where)

    async def _run(self, name: str, verdict: Verdict) -> None:
        handler = self._handlers.find(name)
        if handler is None:
            return
        try:
            await ask(handler, verdict)
        except Exception:
            log.exception("%s failed in negotiation %s", name, verdict.negotiation_id)

    # ------------------------------------------------------------------ inside

    def _reply(self, act: Act, body: Mapping[str, Any], standing: Standing) -> None:
        self._post(act, body, standing.negotiation_id, standing.call.msg_id)

    def _post(self, act: Act, body: Mapping[str, Any], negotiation_id: str, reply_to: str) -> None:
        try:
            self._session.post(
                self._drafts.write(act, body, negotiation_id=negotiation_id, in_reply_to=reply_to)
            )
        except SessionError as gone:
            log.debug("negotiation %s is left without a word: %s", negotiation_id, gone)
