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
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self, overload

from llmx.backoff import Backoff
from llmx.bargaining import Bargains, CalledBargain
from llmx.calls import Call, Offer, Refusal
from llmx.channel import Tls
from llmx.contractor import Contractor
from llmx.control import Control
from llmx.dispatch import Dispatch
from llmx.errors import SessionError
from llmx.events import Outcome, RankedOffer
from llmx.handlers import Handlers
from llmx.hearing import Hearing
from llmx.initiating import call_body
from llmx.messages import TEXT_SCHEMA, Drafts, Recipients
from llmx.negotiation import Negotiation, decide
from llmx.receipts import Delivery
from llmx.reception import Reception
from llmx.session import Session
from llmx.strategies import Strategy
from llmx.tokens import Tokens, TokenSource
from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.exchange_service_pb2 import Hello

GATEWAY_DEFAULT = "127.0.0.1:7600"
USER_AGENT = "llmx-python/0.1"
WAITING_MAX = 4096


class Agent(Hearing):
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
        window_messages: int = 0,
        handlers_max: int = 64,
        repairs_max: int = 2,
        patience: float = 60.0,
    ) -> None:
        """Describe an agent; `async with` or `llmx.run` connects it.

        `gateway` is "host:port", default $LLMX_GATEWAY or 127.0.0.1:7600; several with commas
        are tried in their order when one is lost. `token` is a JWT, or a function that returns
        a fresh one, default $LLMX_TOKEN. `topics` are names without `topic://`.
        `consents` are grants, or addresses of agents that may send to this one ("*": all).
        Timeouts are in seconds; `connect_timeout=None` waits for a gateway for ever.
        With `window_messages` the gateway brings at most so many messages before their handlers
        have ended; 0 leaves it to the gateway, and messages count as taken when they come.
        `handlers_max` handlers run at once. `patience` is how long an outcome is awaited past
        the last moment at which it could come.
        """
        _check_address(agent_id)
        named = {"topics": topics, "capabilities": capabilities, "consents": consents}
        for option, names in named.items():
            if isinstance(names, str):
                raise TypeError(f'{option}="{names}": must be a list, {option}=["{names}"]')
        if window_messages < 0:
            raise ValueError(f"window_messages={window_messages}: must be 0 or more")
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
        self._window_messages = window_messages
        tokens = Tokens(token if token is not None else os.environ.get("LLMX_TOKEN", ""))
        self.control = Control(self.gateway, tokens, tls)
        """Consent, groups, topics, schemas and policies."""
        self._drafts = Drafts(agent_id)
        self._handlers = Handlers(self, Hearing)
        self._dispatch = Dispatch(handlers_max, WAITING_MAX)
        self._session = Session(
            self.gateway,
            tokens,
            self._hello,
            tls=tls,
            backoff=backoff,
            unconfirmed_max=unconfirmed_max,
        )
        self._contractor = Contractor(
            self._session, self._drafts, self._dispatch, self._handlers, repairs_max
        )
        bargains = Bargains(agent_id, self._session, self._drafts, self._dispatch, self._handlers)
        self._reception = Reception(
            agent_id,
            self._session,
            self._contractor,
            bargains,
            self.control,
            self._dispatch,
            self._handlers,
            self._deliver,
            has_window=window_messages > 0,
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
        self._session.news.waits_for_ever = self.connect_timeout is None
        self._running = tasks.create_task(self._session.run(self._reception.hooks))
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

    def follow(self, strategy: Strategy) -> None:
        """Let a strategy answer the calls and hear the verdicts."""

        async def think(call: Call) -> Offer | Refusal:
            await asyncio.sleep(strategy.think())
            return strategy(call)

        self._handlers.put("on_cfp", think if strategy.delay or strategy.jitter else strategy)
        self._handlers.put("on_outcome", strategy.heard)

    # ------------------------------------------------------------------ doing

    @overload
    async def send(
        self,
        to: Recipients,
        content: Mapping[str, Any] | str,
        *,
        schema: str = ...,
        ttl: float | None = ...,
        qos: str | None = ...,
        durable: bool = ...,
        receipt: Literal["delivered"],
        capabilities: Iterable[str] = ...,
        in_reply_to: str = ...,
    ) -> Delivery: ...

    @overload
    async def send(
        self,
        to: Recipients,
        content: Mapping[str, Any] | str,
        *,
        schema: str = ...,
        ttl: float | None = ...,
        qos: str | None = ...,
        durable: bool = ...,
        receipt: Literal["admitted"] | None = ...,
        capabilities: Iterable[str] = ...,
        in_reply_to: str = ...,
    ) -> str: ...

    async def send(
        self,
        to: Recipients,
        content: Mapping[str, Any] | str,
        *,
        schema: str = TEXT_SCHEMA,
        ttl: float | None = None,
        qos: str | None = None,
        durable: bool = False,
        receipt: Literal["admitted", "delivered"] | None = None,
        capabilities: Iterable[str] = (),
        in_reply_to: str = "",
    ) -> str | Delivery:
        """Send a message outside every negotiation; returns its msg_id once it is admitted.

        With `receipt="delivered"` it returns a Delivery instead: await that to know that the
        recipients have acknowledged it. `content` is a payload, or words. `ttl` is in seconds.
        `qos` is "at-most-once", "at-least-once" or "once". A `durable` message is on disk when
        it is admitted. Raises Refused when the message did not count.
        """
        body = {"text": content} if isinstance(content, str) else content
        envelope = self._drafts.write(
            Act.ACT_MESSAGE,
            body,
            to,
            schema=schema,
            ttl=ttl,
            qos=qos,
            durable=durable,
            receipt=receipt,
            capabilities=capabilities,
            in_reply_to=in_reply_to,
        )
        wanted = receipt == "delivered"
        delivery = self._reception.deliveries.follow(envelope) if wanted else None
        await self._session.send(envelope)
        return delivery or envelope.msg_id

    def negotiate(
        self,
        cfp: Mapping[str, Any],
        *,
        to: Recipients,
        policy: str | Mapping[str, Any] | None = None,
        capabilities: Iterable[str] = (),
        consent: str = "",
        ttl: float | None = None,
        durable: bool = False,
    ) -> Negotiation:
        """Return a negotiation; entering it with `async with` sends the call.

        `cfp` is the payload of the call: task, deadline or reply_within (default 10 s), and
        what else Negotiation.json knows. `policy` is a profile's name, "high", or a profile
        with changes. `capabilities` are what a contractor must have. In a `durable` negotiation
        every act is on disk before its effects are told.
        """
        body = call_body(cfp, policy)
        call = self._drafts.write(
            Act.ACT_CFP,
            body,
            to,
            capabilities=capabilities,
            consent=consent,
            ttl=ttl,
            durable=durable,
        )
        return Negotiation(
            self._session,
            self._drafts,
            call,
            body,
            enter=self._reception.enter,
            leave=self._reception.leave,
            patience=self._patience,
        )

    def bargain(
        self,
        cfp: Mapping[str, Any],
        *,
        to: str,
        protocol: str = "alternating-offers",
        consent: str = "",
        durable: bool = False,
    ) -> CalledBargain:
        """Return a bargain with one agent; entering it with `async with` sends the call.

        `cfp` is the payload of the call; its rules are the object `bargaining`, its deadline
        or reply_within (default 10 s) bounds all rounds together.
        """
        body = call_body({"protocol": protocol, **cfp}, None)
        call = self._drafts.write(Act.ACT_CFP, body, to, consent=consent, durable=durable)
        enter, leave = self._reception.enter, self._reception.leave
        return CalledBargain(
            self._session,
            self._drafts,
            call,
            body,
            enter=enter,
            leave=leave,
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
        durable: bool = False,
    ) -> Outcome:
        """Negotiate and return the outcome.

        With `choose` this agent decides itself: it gets the ranked offers and returns the
        one to accept, or None. Raises Refused, NegotiationLost and SessionError.
        """
        body = dict(cfp)
        if choose is not None:
            body["decider"] = "initiator"
        negotiation = self.negotiate(
            body, to=to, policy=policy, capabilities=capabilities, durable=durable
        )
        async with negotiation:
            return await decide(negotiation, choose or (lambda offers: None))

    # ------------------------------------------------------------------ inside

    def _hello(self) -> Hello:
        return Hello(
            agent_id=self.agent_id,
            capabilities=self.capabilities,
            topics=self.topics,
            consents=self.consents,
            user_agent=USER_AGENT,
            window_messages=self._window_messages,
        )

    def _deliver(self, envelope: Envelope) -> bool:
        return self._reception.take(envelope)


def _check_address(agent_id: str) -> None:
    if not agent_id.startswith("agent://") or agent_id == "agent://":
        name = agent_id.rpartition("/")[2] or "bob"
        raise ValueError(f'"{agent_id}" is no address of an agent: "agent://{name}" would be one')
