"""Hands on what comes: to negotiations, to the contractor, to the author's handlers.

An agent that asked for a window acknowledges a message when its handlers have ended, so that the
gateway brings no more than it can think about. Any other acknowledges when a message is handed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from llmx.bargaining import Bargains, CalledBargain
from llmx.contractor import Contractor
from llmx.control import Control
from llmx.dispatch import Dispatch
from llmx.errors import Refused, SessionError
from llmx.events import OfferMade, SlowConsumer
from llmx.handlers import Handlers, ask
from llmx.initiating import Initiated
from llmx.messages import Message
from llmx.recalls import Recalls
from llmx.receipts import Deliveries
from llmx.session import Hooks, Session
from llmx.v1 import exchange_service_pb2 as wire
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.negotiation_pb2 import NegotiationOpened

log = logging.getLogger("llmx")

INITIATOR_HEARS = frozenset(
    (
        Act.ACT_OFFER,
        Act.ACT_REFUSE,
        Act.ACT_NOT_UNDERSTOOD,
        Act.ACT_THINKING,
        Act.ACT_INFORM,
        Act.ACT_FAILURE,
    )
)
CONTRACTOR_HEARS = frozenset((Act.ACT_ACCEPT, Act.ACT_REJECT, Act.ACT_CANCEL))


class Reception:
    """What an agent does with what its session tells."""

    def __init__(
        self,
        agent_id: str,
        session: Session,
        contractor: Contractor,
        bargains: Bargains,
        control: Control,
        dispatch: Dispatch,
        handlers: Handlers,
        deliver: Callable[[Envelope], bool],
        *,
        has_window: bool,
    ) -> None:
        """Know everybody who may be meant. `deliver` is the agent's, which calls `take`."""
        self.agent_id = agent_id
        self.deliveries = Deliveries()
        """The messages whose senders wait for receipts."""
        self.hooks = Hooks(
            deliver=self._take_and_follow if has_window else self._take_at_once,
            opened=self._opened,
            refused=self._refused,
            repeated=self._repeated,
            receipt=self.deliveries.take,
            slow_consumer=self._slow_consumer,
            connected=self._connected,
            failed=self._failed,
        )
        """What the session is to be run with."""
        self._session = session
        self._contractor = contractor
        self._bargains = bargains
        self._control = control
        self._dispatch = dispatch
        self._handlers = handlers
        self._deliver = deliver
        self._negotiations: dict[str, Initiated] = {}
        self._recalls = Recalls(session)

    # ------------------------------------------------------------------ messages

    def _take_at_once(self, envelope: Envelope, finish: Callable[[], None]) -> bool:
        taken = self._deliver(envelope)
        if taken:
            finish()
        return taken

    def _take_and_follow(self, envelope: Envelope, finish: Callable[[], None]) -> bool:
        return self._dispatch.watched(lambda: self._deliver(envelope), finish)

    def take(self, envelope: Envelope) -> bool:
        """Hand a message on; False means that there is no room for it now."""
        act = envelope.act
        try:
            if act == Act.ACT_CFP:
                called = self._bargains if self._bargains.concerns(envelope) else self._contractor
                return called.called(envelope)
            if act == Act.ACT_FAILURE:
                self.deliveries.take_failure(Message(envelope))
            # A plain message is no move, even when it names a negotiation or replies to a call.
            negotiation = None if act == Act.ACT_MESSAGE else self._negotiation_of(envelope)
            if negotiation is not None and act not in (Act.ACT_ACCEPT, Act.ACT_REJECT):
                return self._hear(negotiation, envelope)
            bargain = (
                None if act == Act.ACT_MESSAGE else self._bargains.find(envelope.negotiation_id)
            )
            if bargain is not None:
                return bargain.hear(Message(envelope))
            if act in CONTRACTOR_HEARS:
                return self._contractor.judged(Message(envelope))
            if act == Act.ACT_INFORM and envelope.HasField("turn"):
                return self._contractor.asked(Message(envelope))
            if envelope.negotiation_id and act in INITIATOR_HEARS and act != Act.ACT_FAILURE:
                return True  # of a negotiation that was left
            name = "on_failure" if act == Act.ACT_FAILURE else "on_message"
            return self._hand(name, envelope.negotiation_id or envelope.sender, Message(envelope))
        except ValueError as error:
            log.warning("message %s cannot be read: %s", envelope.msg_id, error)
            return True

    def _negotiation_of(self, envelope: Envelope) -> Initiated | None:
        known = self._negotiations
        return known.get(envelope.negotiation_id) or known.get(envelope.in_reply_to)

    def _hear(self, negotiation: Initiated, envelope: Envelope) -> bool:
        told = len(negotiation.offers)
        if not negotiation.hear(Message(envelope)):
            return False
        if len(negotiation.offers) > told:
            self._hand("on_offer", negotiation.negotiation_id, negotiation.offers[-1])
        return True

    def _hand(self, name: str, key: str, subject: Message | OfferMade | SlowConsumer) -> bool:
        """Hand something to a handler; without one there is nothing to do and no task."""
        handler = self._handlers.find(name)
        if handler is None:
            return True

        async def work() -> None:
            try:
                await ask(handler, subject)
            except Exception:  # the author's mistake must not end the session
                log.exception("%s: %s failed for %s", self.agent_id, name, _described(subject))

        return self._dispatch.put(key, work)

    # ------------------------------------------------------------------ what else comes

    def _opened(self, opened: NegotiationOpened) -> None:
        negotiation = self._negotiations.get(opened.msg_id)
        if negotiation is not None:
            self._recalls.forget(negotiation)
            negotiation.opened(opened)

    def _refused(self, error: Refused) -> None:
        negotiation = self._negotiations.get(error.msg_id)
        if negotiation is not None:
            if not self._recalls.again(negotiation, error):
                negotiation.fail(error)
        elif not self._contractor.refused(error) and not self._refused_late(error):
            log.info("%s: message %s was refused: %s", self.agent_id, error.msg_id, error)

    def _refused_late(self, error: Refused) -> bool:
        """Tell a bargain that its move was taken by this gateway and refused by the next."""
        called = self._negotiations.get(error.negotiation_id)
        if isinstance(called, CalledBargain):
            return called.bargain.refuse(error)
        bargain = self._bargains.find(error.negotiation_id)
        return bargain is not None and bargain.refuse(error)

    def _repeated(self, error: Refused) -> None:
        negotiation = self._negotiations.get(error.msg_id)
        if negotiation is not None:
            self._recalls.forget(negotiation)
            negotiation.is_known_as(error.negotiation_id)

    def _slow_consumer(self, warning: wire.SlowConsumer) -> None:
        told = SlowConsumer(warning.waiting_messages, warning.waiting_messages_max)
        log.warning(
            "%s is slow: %d messages wait, at %d the gateway ends the stream",
            self.agent_id,
            told.waiting,
            told.waiting_max,
        )
        self._hand("on_slow_consumer", "on_slow_consumer", told)

    def _connected(self, welcome: wire.Welcome, first: bool) -> None:
        self._control.move(self._session.address)
        if welcome.resumed:
            return  # the gateway knows all of it
        for negotiation in set(self._negotiations.values()):
            if not first:
                self._recalls.begin(negotiation)
        self._contractor.resend()

    def _failed(self, error: SessionError) -> None:
        self.deliveries.fail(error)
        self._bargains.fail(error)
        for negotiation in set(self._negotiations.values()):
            negotiation.fail(error)

    # ------------------------------------------------------------------ negotiations of this agent

    def enter(self, negotiation: Initiated) -> None:
        """Tell a negotiation what comes for it, under its call's id and under its own."""
        self._negotiations[negotiation.call.msg_id] = negotiation
        if negotiation.negotiation_id:
            self._negotiations[negotiation.negotiation_id] = negotiation

    def leave(self, negotiation: Initiated) -> None:
        """Forget a negotiation; what still comes for it is acknowledged and not heard."""
        self._recalls.forget(negotiation)
        for key in [key for key, known in self._negotiations.items() if known is negotiation]:
            del self._negotiations[key]


def _described(subject: Message | OfferMade | SlowConsumer) -> str:
    match subject:
        case Message():
            return f"message {subject.msg_id} from {subject.sender}"
        case OfferMade():
            return f"offer {subject.offer_id} from {subject.agent}"
        case SlowConsumer():
            return "the gateway's warning"
