"""How a bargain begins and ends on either side: who calls enters it, who is called is handed it.

The initiator's is a call like any other, kept until its outcome is known. The responder's handler
`on_bargain` runs for as long as the bargain does; whatever it leaves open is ended in its next
turn, so that the other party does not wait for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from llmx.bargain import PROTOCOLS, Bargain
from llmx.calls import Call
from llmx.dispatch import Dispatch
from llmx.errors import LlmxError, NegotiationLost, Refused, SessionError
from llmx.events import Opened
from llmx.handlers import Handlers, ask
from llmx.initiating import Initiated
from llmx.messages import Drafts, Message
from llmx.session import Session
from llmx.v1.envelope_pb2 import Act, Envelope

log = logging.getLogger("llmx")

BARGAINS_MAX = 4_096
"""How many a responder has at a time; a call beyond that waits at the gateway."""
_MARK = b'"protocol"'


class CalledBargain(Initiated):
    """A bargain that this agent calls for: `async with` sends the call and yields the bargain."""

    bargain: Bargain

    async def __aenter__(self) -> Bargain:
        """Send the call and wait until it is open.

        Raises Refused when the gateway does not take the call, SessionError without a session.
        """
        call = Call(self.call)
        recipients = list(self.call.recipients)
        other = recipients[0] if recipients else ""
        self.bargain = Bargain(self.call.sender, other, call, self._say)
        await self._begin()
        return self.bargain

    async def __aexit__(self, *_: object) -> None:
        """Leave; a bargain without an outcome is cancelled."""
        self._finish()

    def fail(self, error: LlmxError) -> None:
        """Hear that there will be no outcome."""
        super().fail(error)
        if self.outcome is None and self._failure is not None:
            self.bargain.fail(self._failure)

    async def _say(self, act: Act, body: Mapping[str, Any], in_reply_to: str) -> str:
        envelope = self._act(act, body, in_reply_to=in_reply_to)
        await self._session.send(envelope)
        return envelope.msg_id

    def _begun(self, opened: Opened) -> None:
        if opened.eligible:
            self.bargain.other = opened.eligible[0]
        self.bargain.opened(opened.negotiation_id)

    def _hear(self, message: Message) -> bool:
        taken = self.bargain.hear(message)
        self.outcome = self.bargain.outcome
        return taken


class Bargains:
    """The bargains that this agent was called to."""

    def __init__(
        self,
        agent_id: str,
        session: Session,
        drafts: Drafts,
        dispatch: Dispatch,
        handlers: Handlers,
    ) -> None:
        """Bargain with the author's handler."""
        self._agent_id = agent_id
        self._session = session
        self._drafts = drafts
        self._dispatch = dispatch
        self._handlers = handlers
        self._open: dict[str, Bargain] = {}
        self._by_call: dict[tuple[str, str], Bargain] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def find(self, negotiation_id: str) -> Bargain | None:
        """Return an open bargain."""
        return self._open.get(negotiation_id)

    def concerns(self, envelope: Envelope) -> bool:
        """Tell whether a call is for a bargain. Raises ValueError when it cannot be read."""
        return _MARK in envelope.payload and Call(envelope).protocol in PROTOCOLS

    def called(self, envelope: Envelope) -> bool:
        """Take a call; False means that there is no room for it now."""
        call = Call(envelope)
        key = (call.initiator, call.msg_id)
        known = self._by_call.get(key)
        if known is not None:
            if known.negotiation_id == call.negotiation_id:
                return True
            why = "its gateway was lost, and the call was opened anew"
            known.fail(NegotiationLost(known.negotiation_id, why))
        if len(self._open) >= BARGAINS_MAX:
            return False
        negotiation_id = call.negotiation_id

        async def say(act: Act, body: Mapping[str, Any], in_reply_to: str) -> str:
            answer = self._drafts.write(
                act, body, negotiation_id=negotiation_id, in_reply_to=in_reply_to
            )
            await self._session.send(answer)
            return answer.msg_id

        bargain = Bargain(self._agent_id, call.initiator, call, say)
        if not self._dispatch.put(negotiation_id, lambda: self._run(bargain), is_watched=False):
            return False
        self._open[negotiation_id] = self._by_call[key] = bargain
        bargain.opened(negotiation_id)
        return True

    def fail(self, error: SessionError) -> None:
        """Hear that the session is over, and with it all that is open."""
        for bargain in list(self._open.values()):
            bargain.fail(error)

    async def _run(self, bargain: Bargain) -> None:
        """Let the author's handler bargain to the end, and end what it leaves open."""
        handler, reason = self._handlers.find("on_bargain"), "left"
        try:
            if handler is None:
                reason = "no_handler"
            else:
                reason = await self._ask(handler, bargain)
            await bargain.leave(reason)
        except (NegotiationLost, Refused, SessionError) as error:
            log.info("%r is not brought to an end: %s", bargain, error)
        finally:
            self._forget(bargain)

    async def _ask(self, handler: Any, bargain: Bargain) -> str:
        """Return why what the handler leaves open is ended."""
        try:
            await ask(handler, bargain)
        except NegotiationLost:
            raise
        except Exception:
            log.exception("on_bargain failed in negotiation %s", bargain.negotiation_id)
            return "handler_failed"
        return "left"

    def _forget(self, bargain: Bargain) -> None:
        self._open.pop(bargain.negotiation_id, None)
        key = (bargain.call.initiator, bargain.call.msg_id)
        if self._by_call.get(key) is bargain:
            del self._by_call[key]
