"""What an author writes: an agent.

    class Bob(llmx.Agent):
        async def on_cfp(self, call: llmx.Call) -> llmx.Offer | llmx.Refusal | None:
            return call.offer(value=40, conditions={"start_in": 2})

    llmx.run(Bob("agent://bob", topics=["gpu"], capabilities=["propose"]))

Every `on_…` is a hook: override it in a subclass, or decorate a function with it
(`@bob.on_cfp`). Handlers may be async or not; one that is not must not block. Handlers of
one negotiation run one after the other, those of different ones side by side.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from llmx.backoff import Backoff
from llmx.calls import Call, Offer, Refusal
from llmx.channel import Tls
from llmx.contractor import Contractor
from llmx.control import Control
from llmx.dispatch import Dispatch
from llmx.errors import Refused, SessionError
from llmx.events import OfferMade, Outcome, RankedOffer
from llmx.handlers import Handlers, ask
from llmx.messages import TEXT_SCHEMA, Drafts, Message, Recipients
from llmx.negotiation import Negotiation, call_body, decide
from llmx.session import Hooks, Session
from llmx.strategies import Strategy
from llmx.tokens import Tokens, TokenSource
from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.exchange_service_pb2 import Hello, Welcome
from llmx.v1.negotiation_pb2 import NegotiationOpened

log = logging.getLogger("llmx")

GATEWAY_DEFAULT = "127.0.0.1:7600"
USER_AGENT = "llmx-python/0.1"
WAITING_MAX = 4096
INITIATOR_HEARS = frozenset(
    (Act.ACT_OFFER, Act.ACT_REFUSE, Act.ACT_NOT_UNDERSTOOD, Act.ACT_INFORM, Act.ACT_FAILURE)
)
CONTRACTOR_HEARS = frozenset((Act.ACT_ACCEPT, Act.ACT_REJECT, Act.ACT_CANCEL))


class Agent:
    """An agent and its session with a gateway."""

    def __init__(
        self,
        agent_id: str,
        gateway: str | None = None,
        *,
        token: TokenSource | None = None,
        topics: Iterable[str] = (),
        capabilities: Iterable[str] = (),
        consents: Iterable[Consent | str] = (),
        tls: Tls = None,
        backoff: Backoff | None = None,
        connect_timeout: float | None = 10.0,
        close_timeout: float = 5.0,
        unconfirmed_max: int = 1024,
        handlers_max: int = 64,
        repairs_max: int = 2,
        patience: float = 60.0,
    ) -> None:
        """Describe an agent; `async with` or `llmx.run` connects it.

        `gateway` is "host:port", default $LLMX_GATEWAY or 127.0.0.1:7600. `token` is a JWT,
        or a function that returns a fresh one, default $LLMX_TOKEN. `topics` are names without
        `topic://`.
        `consents` are grants, or addresses of agents that may send to this one ("*": all).
        Timeouts are in seconds; `connect_timeout=None` waits for a gateway for ever.
        `handlers_max` handlers run at once. `patience` is how long an outcome is awaited past
        the last moment at which it could come.
        """
        self.agent_id = agent_id
        self.gateway = gateway or os.environ.get("LLMX_GATEWAY") or GATEWAY_DEFAULT
        self.topics = tuple(topic.removeprefix("topic://") for topic in topics)
        self.capabilities = tuple(capabilities)
        self.consents = tuple(
            Consent(grantee=grant) if isinstance(grant, str) else grant for grant in consents
        )
        self.connect_timeout = connect_timeout
        self._close_timeout = close_timeout
        self._patience = patience
        tokens = Tokens(token if token is not None else os.environ.get("LLMX_TOKEN", ""))
        self.control = Control(self.gateway, tokens, tls)
        """Consent, groups, topics, schemas and policies."""
        self._drafts = Drafts(agent_id)
        self._handlers = Handlers(self, Agent)
        self._dispatch = Dispatch(handlers_max, WAITING_MAX)
        self._negotiations: dict[str, Negotiation] = {}
        hooks = Hooks(
            deliver=self._deliver,
            opened=self._opened,
            refused=self._refused,
            repeated=self._repeated,
            connected=self._connected,
            failed=self._failed,
        )
        self._session = Session(
            self.gateway,
            tokens,
            self._hello,
            hooks,
            tls=tls,
            backoff=backoff,
            unconfirmed_max=unconfirmed_max,
        )
        self._contractor = Contractor(
            self._session, self._drafts, self._dispatch, self._handlers, repairs_max
        )
        self._tasks: asyncio.TaskGroup | None = None

    def __repr__(self) -> str:
        return f"<Agent {self.agent_id}: {self._session!r}, {len(self._contractor)} calls>"

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        """Connect, and return when a gateway has said Welcome. Raises SessionError."""
        tasks = asyncio.TaskGroup()
        await tasks.__aenter__()
        self._tasks = tasks
        self._dispatch.start(tasks)
        self._running = tasks.create_task(self._session.run())
        try:
            await self._session.connected(self.connect_timeout)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what is queued, say goodbye and disconnect."""
        await self._stop()

    async def closed(self) -> SessionError | None:
        """Return when the session is over, with the error that ended it, if one did."""
        await self._session.ended()
        return self._session.failure

    async def _stop(self) -> None:
        try:
            if self._session.is_live:
                await self._session.close(self._close_timeout)
        finally:
            tasks, self._tasks = self._tasks, None
            self._running.cancel()
            self._dispatch.cancel()
            await self.control.close()
            if tasks is not None:
                await tasks.__aexit__(None, None, None)

    # ------------------------------------------------------------------ hooks

    def on_cfp(self, call: Any, /) -> Any:
        """Answer a call: takes a Call, returns an Offer, a Refusal, or None to refuse."""
        return self._hook("on_cfp", call)

    def on_outcome(self, verdict: Any, /) -> Any:
        """Hear how a negotiation ended in which an offer was made: takes a Verdict."""
        return self._hook("on_outcome", verdict)

    def on_confirm(self, verdict: Any, /) -> Any:
        """Stand by an offer that won: takes a Verdict, returns a bool. Default: True."""
        return self._hook("on_confirm", verdict)

    def on_award(self, verdict: Any, /) -> Any:
        """Do the work that was won: takes a Verdict.

        Where the call asks for a report, what is returned is reported as the result and an
        exception as the failure.
        """
        return self._hook("on_award", verdict)

    def on_refused(self, refused: Any, offer: Any = None, /) -> Any:
        """Repair an offer that the gateway refused: takes a Refused and the Offer.

        Returns a better Offer, or None to give up. Asked at most `repairs_max` times a call.
        """
        return self._hook("on_refused", refused)

    def on_offer(self, offer: Any, /) -> Any:
        """Hear an offer to any negotiation of this agent: takes an OfferMade."""
        return self._hook("on_offer", offer)

    def on_message(self, message: Any, /) -> Any:
        """Hear a plain message, whether or not it is about a negotiation: takes a Message."""
        return self._hook("on_message", message)

    def on_failure(self, message: Any, /) -> Any:
        """Hear that a message could not be delivered: takes a Message, see its `body`."""
        return self._hook("on_failure", message)

    def _hook(self, name: str, handler: Any) -> Any:
        if not callable(handler):
            raise TypeError(f"{name} decorates a function, or is overridden in a subclass")
        self._handlers.put(name, handler)
        return handler

    def follow(self, strategy: Strategy) -> None:
        """Let a strategy answer the calls and hear the verdicts."""

        async def think(call: Call) -> Offer | Refusal:
            await asyncio.sleep(strategy.think())
            return strategy(call)

        self._handlers.put("on_cfp", think if strategy.delay or strategy.jitter else strategy)
        self._handlers.put("on_outcome", strategy.heard)

    # ------------------------------------------------------------------ doing

    async def send(
        self,
        to: Recipients,
        content: Mapping[str, Any] | str,
        *,
        schema: str = TEXT_SCHEMA,
        ttl: float | None = None,
        qos: str | None = None,
        capabilities: Iterable[str] = (),
        in_reply_to: str = "",
    ) -> str:
        """Send a message outside every negotiation; returns its msg_id once it is admitted.

        `content` is a payload, or words. `ttl` is in seconds. `qos` is "at-most-once",
        "at-least-once" or "once". Raises Refused when the message did not count.
        """
        body = {"text": content} if isinstance(content, str) else content
        envelope = self._drafts.write(
            Act.ACT_MESSAGE,
            body,
            to,
            schema=schema,
            ttl=ttl,
            qos=qos,
            capabilities=capabilities,
            in_reply_to=in_reply_to,
        )
        await self._session.send(envelope)
        return envelope.msg_id

    def negotiate(
        self,
        cfp: Mapping[str, Any],
        *,
        to: Recipients,
        policy: str | Mapping[str, Any] | None = None,
        capabilities: Iterable[str] = (),
        consent: str = "",
        ttl: float | None = None,
    ) -> Negotiation:
        """Return a negotiation; entering it with `async with` sends the call.

        `cfp` is the payload of the call: task, deadline or reply_within (default 10 s), and
        what else Negotiation.json knows. `policy` is a profile's name, "high", or a profile
        with changes. `capabilities` are what a contractor must have.
        """
        body = call_body(cfp, policy)
        call = self._drafts.write(
            Act.ACT_CFP,
            body,
            to,
            capabilities=capabilities,
            consent=consent,
            ttl=ttl,
        )
        return Negotiation(
            self._session,
            self._drafts,
            call,
            body,
            enter=self._enter,
            leave=self._leave,
            patience=self._patience,
        )

    async def call(
        self,
        cfp: Mapping[str, Any],
        *,
        to: Recipients,
        policy: str | Mapping[str, Any] | None = None,
        choose: Callable[[tuple[RankedOffer, ...]], RankedOffer | None] | None = None,
        capabilities: Iterable[str] = (),
    ) -> Outcome:
        """Negotiate and return the outcome.

        With `choose` this agent decides itself: it gets the ranked offers and returns the
        one to accept, or None. Raises Refused, NegotiationLost and SessionError.
        """
        body = dict(cfp)
        if choose is not None:
            body["decider"] = "initiator"
        negotiation = self.negotiate(body, to=to, policy=policy, capabilities=capabilities)
        async with negotiation:
            return await decide(negotiation, choose or (lambda offers: None))

    # ------------------------------------------------------------------ what the session tells

    def _hello(self) -> Hello:
        return Hello(
            agent_id=self.agent_id,
            capabilities=self.capabilities,
            topics=self.topics,
            consents=self.consents,
            user_agent=USER_AGENT,
        )

    def _deliver(self, envelope: Envelope) -> bool:
        act = envelope.act
        try:
            if act == Act.ACT_CFP:
                return self._contractor.called(envelope)
            # A plain message is no move, even when it names a negotiation or replies to a call.
            negotiation = None if act == Act.ACT_MESSAGE else self._negotiation_of(envelope)
            if negotiation is not None and act not in (Act.ACT_ACCEPT, Act.ACT_REJECT):
                return self._hear(negotiation, envelope)
            if act in CONTRACTOR_HEARS:
                return self._contractor.judged(Message(envelope))
            if envelope.negotiation_id and act in INITIATOR_HEARS and act != Act.ACT_FAILURE:
                return True  # of a negotiation that was left
            name = "on_failure" if act == Act.ACT_FAILURE else "on_message"
            return self._hand(name, envelope.negotiation_id or envelope.sender, Message(envelope))
        except ValueError as error:
            log.warning("message %s cannot be read: %s", envelope.msg_id, error)
            return True

    def _negotiation_of(self, envelope: Envelope) -> Negotiation | None:
        known = self._negotiations
        return known.get(envelope.negotiation_id) or known.get(envelope.in_reply_to)

    def _hear(self, negotiation: Negotiation, envelope: Envelope) -> bool:
        told = len(negotiation.offers)
        if not negotiation.hear(Message(envelope)):
            return False
        if len(negotiation.offers) > told:
            self._hand("on_offer", negotiation.negotiation_id, negotiation.offers[-1])
        return True

    def _hand(self, name: str, key: str, subject: Message | OfferMade) -> bool:
        """Hand something to a handler; without one there is nothing to do and no task."""
        handler = self._handlers.find(name)
        if handler is None:
            return True

        async def work() -> None:
            await ask(handler, subject)

        return self._dispatch.put(key, work)

    def _opened(self, opened: NegotiationOpened) -> None:
        negotiation = self._negotiations.get(opened.msg_id)
        if negotiation is not None:
            negotiation.opened(opened)

    def _refused(self, error: Refused) -> None:
        negotiation = self._negotiations.get(error.msg_id)
        if negotiation is not None:
            negotiation.fail(error)
        elif not self._contractor.refused(error):
            log.info("%s: message %s was refused: %s", self.agent_id, error.msg_id, error)

    def _repeated(self, error: Refused) -> None:
        negotiation = self._negotiations.get(error.msg_id)
        if negotiation is not None:
            negotiation.is_known_as(error.negotiation_id)

    def _connected(self, welcome: Welcome, first: bool) -> None:
        log.info("%s is connected to %s", welcome.agent_id, welcome.gateway_id)
        for negotiation in set(self._negotiations.values()):
            if negotiation.outcome is None and not first:
                self._session.post(negotiation.call, repeated=True)
        self._contractor.resend()

    def _failed(self, error: SessionError) -> None:
        for negotiation in set(self._negotiations.values()):
            negotiation.fail(error)

    # ------------------------------------------------------------------ what negotiations tell

    def _enter(self, negotiation: Negotiation) -> None:
        self._negotiations[negotiation.call.msg_id] = negotiation
        if negotiation.negotiation_id:
            self._negotiations[negotiation.negotiation_id] = negotiation

    def _leave(self, negotiation: Negotiation) -> None:
        for key in [key for key, known in self._negotiations.items() if known is negotiation]:
            del self._negotiations[key]
