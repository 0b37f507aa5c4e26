"""The exchange service: how streams open, live side by side, and are looked after.

Opening is authenticate, Hello, register, resume or begin, Welcome. A newer stream of the same
agent replaces the older one. When a stream ends its member stays for the grace, with its
session and its outbox, so that the next stream goes on where this one broke; after it what
waits moves to its mailbox (see `absences`), and its negotiations hear that it is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

import grpc
import structlog
from google.protobuf.message import DecodeError

from gateway.absences import Absences
from gateway.acts import ACTS
from gateway.auth import Authenticator, AuthFault, Identity
from gateway.clock import Clock, told_expiry
from gateway.handover import Arrival
from gateway.headers import SENDABLE, Sender
from gateway.link import Link
from gateway.members import Member, Members
from gateway.metrics import Metrics
from gateway.refusals import Fault, refusal_of
from gateway.registration import RegistrationLimits, grant, set_capabilities, set_topics
from gateway.router import Router
from gateway.session import Context, Session
from gateway.telemetry.admitting import Admits
from llmx.v1.exchange_service_pb2 import Hello, RenewToken, Welcome
from llmx.v1.receipt_pb2 import RECEIPT_STAGE_ADMITTED, Receipt
from llmx.wire.v1.frame_pb2 import RequestFrame

log = structlog.get_logger("llmx.exchange")

HELLO_SECONDS_MAX = 10.0
HELLO_BYTES_MAX = 256 * 1024
CONFIRM_SECONDS = 0.005
"""How long a confirmation waits for a frame to ride on; twice that at most."""
INSTANCE_CHARACTERS_MAX = 64
RECONNECTS_PER_SECOND = 1_000
"""How many agents are asked to come back in one second when the gateway stops."""


Fetch = Callable[[str, str, str, int], Awaitable[Arrival | None]]
OnStream = Callable[[str, Identity | None, str], None]


async def _fetch_nobody(
    tenant: str, agent_id: str, resume_token: str, received: int
) -> Arrival | None:
    """Find nobody anywhere else: the gateway stands alone."""
    return None


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The bounds of streams."""

    sessions_max: int
    frame_bytes_max: int
    payload_bytes_max: int
    grace: float
    """Seconds that a session can be resumed after its stream broke."""
    window_messages: int
    heartbeat: float
    """Seconds of silence after which either side shows that it is alive."""


class Exchange:
    """Serves llmx.v1.ExchangeService/Exchange."""

    def __init__(
        self,
        gateway_id: str,
        limits: StreamLimits,
        registration: RegistrationLimits,
        authenticator: Authenticator,
        members: Members,
        admission: Admits,
        router: Router,
        absences: Absences,
        metrics: Metrics,
        now: Clock,
    ) -> None:
        """Serve the agents of one gateway."""
        self._gateway_id = gateway_id
        self._limits = limits
        self._registration = registration
        self._authenticator = authenticator
        self._members = members
        self._admission = admission
        self._router = router
        self._absences = absences
        self._metrics = metrics
        self._now = now
        self._to_confirm: set[Session] = set()
        self._confirming: asyncio.TimerHandle | None = None
        self.sessions: set[Session] = set()
        self._streams = 0
        self.is_closed = False
        """Is nobody let in, because the gateway is being emptied?"""
        self.on_stream: OnStream = lambda kind, identity, how: None
        """Hears that a stream has opened or ended, or that its token was not taken."""
        self.fetch: Fetch = _fetch_nobody
        """Brings an agent here whose home is another gateway."""
        self.left: list[Member] = []
        """Who has closed its stream itself, for upkeep to tell its negotiations."""

    async def authenticate(self, context: Context) -> Identity:
        """Return who calls, or end the call as UNAUTHENTICATED with what was wrong."""
        token = ""
        for key, value in context.invocation_metadata() or ():
            if key == "authorization" and isinstance(value, str):
                scheme, _, token = value.partition(" ")
                if scheme.lower() != "bearer":
                    token = ""
        identity = await self._authenticator.verify(token.strip(), self._now())
        if isinstance(identity, AuthFault):
            self._metrics.streams_ended[f"token_{identity.code}"] += 1
            self.on_stream("token_refused", None, identity.code)
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                f"{identity.code}: {identity.reason}; {identity.remedy}",
            )
            raise AssertionError("abort raises")
        return identity

    async def handle(self, requests: object, context: Context) -> None:
        """Serve one stream, which counts from its first moment on."""
        if self.is_closed:
            await context.abort(
                grpc.StatusCode.UNAVAILABLE, "this gateway is being emptied; use another one"
            )
        most = self._limits.sessions_max
        # As many again may be opening; they have no place until their Hello.
        await self._check_room(context, len(self.sessions) < most and self._streams < 2 * most)
        self._streams += 1
        try:
            await self._serve(context)
        finally:
            self._streams -= 1

    async def _serve(self, context: Context) -> None:
        """Serve one stream from its Hello to its end."""
        identity = await self.authenticate(context)
        try:
            await context.send_initial_metadata(())
        except grpc.aio.BaseError:
            # The call broke while its token was looked at. To return would make grpc send a
            # status, and the metadata with it once more; a cancelled call is let go.
            raise asyncio.CancelledError from None
        hello, received = await self._hello(context)
        # Others may have come while this one was waited for.
        await self._check_room(context, len(self.sessions) < self._limits.sessions_max)
        arrival = await self.fetch(identity.tenant, identity.agent_id, hello.resume_token, received)
        member = await self._join(context, identity, hello)
        if arrival is not None and arrival.link is not None and member.link is None:
            member.link = arrival.link
        if member.stream is not None:
            member.stream.close("replaced", "the agent has opened a newer stream")
        resumed = self._resume(member, hello, received)
        session = Session(
            context,
            Sender(member, _numbers(identity.acts), identity.system),
            identity,
            self._admission,
            self._now,
            self._metrics,
            self._limits.frame_bytes_max,
            self._renew,
            self._confirm_later,
            self._settle,
            self._router.delivered,
        )
        member.stream, member.is_system = session, identity.system
        self._members.arrive(member)
        self._members.changed(member)  # not before, for until now it may have been away
        self._absences.back(member)
        self.sessions.add(session)
        reason = "client_vanished"  # unless run returns: grpc cancels us when the call breaks
        log.debug("stream opened", agent=member.agent_id, tenant=identity.tenant)
        self.on_stream("stream_opened", identity, "resumed" if resumed else "begun")
        try:
            reason = await session.run(self._welcome(member, identity, resumed))
        finally:
            self.sessions.discard(session)
            self._to_confirm.discard(session)
            if member.stream is session:
                self._part(member, said_so=reason == "client_closed")
            self._metrics.streams_ended[reason] += 1
            if reason == "slow_consumer":
                log.warning(
                    "slow consumer disconnected",
                    agent=member.agent_id,
                    waiting=len(member.outbox),
                    waiting_max=member.outbox.messages_max,
                )
            log.debug("stream ended", agent=member.agent_id, reason=reason)
            self.on_stream("stream_ended", identity, reason)

    def _resume(self, member: Member, hello: Hello, received: int) -> bool:
        """Go on with the member's session if its Hello proves that it was the agent's.

        Otherwise a new one begins, and everything that is owed to the agent is due again.
        """
        link = member.link
        lost = None
        if link is not None and secrets.compare_digest(
            link.token.encode(), hello.resume_token.encode()
        ):
            lost = link.resume(received)
        if lost is None:
            member.link = Link(secrets.token_urlsafe(16))
        member.receipts_due.clear()
        member.outbox.window = min(
            hello.window_messages or self._limits.window_messages, self._limits.window_messages
        )
        member.outbox.resume(lost)
        member.outbox.progress_at = self._now()
        self._metrics.resumed += lost is not None
        return lost is not None

    def _settle(self, member: Member) -> Awaitable[None] | None:
        """Tell an agent which messages of its batch were admitted, where it asked.

        Durable ones are, when the disk has them; that is to be awaited.
        """
        if member.owed:
            return self._settle_later(member)
        self._tell_admitted(member)
        return None

    async def _settle_later(self, member: Member) -> None:
        await member.settled()
        self._tell_admitted(member)

    def _tell_admitted(self, member: Member) -> None:
        if not member.receipts_due:
            return
        due, member.receipts_due = member.receipts_due, []
        for msg_id in due:
            receipt = Receipt(msg_id=msg_id, stage=RECEIPT_STAGE_ADMITTED)
            member.answer_receipt(receipt.SerializeToString())

    def _part(self, member: Member, *, said_so: bool) -> None:
        """Let a member be away; one that closed its stream itself is not waited for.

        It hears no more calls and its open negotiations need no answer from it, while
        messages for it wait.
        """
        self._members.part(member, self._now())
        if said_so:
            member.is_away = True
            self.left.append(member)

    async def _check_room(self, context: Context, room: bool) -> None:
        """End the call when there is no room for it."""
        if not room:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"this gateway has {self._limits.sessions_max} streams, its limit; "
                "connect to another one",
            )

    async def _hello(self, context: Context) -> tuple[Hello, int]:
        """Return what the agent says of itself, and the last batch it has received."""
        raw: object = None
        with suppress(TimeoutError):
            async with asyncio.timeout(HELLO_SECONDS_MAX):
                raw = await context.read()
        with suppress(DecodeError):
            if isinstance(raw, bytes) and len(raw) <= HELLO_BYTES_MAX:
                frame = RequestFrame.FromString(raw)
                if frame.WhichOneof("content") == "hello":
                    return Hello.FromString(frame.hello), frame.confirmed_number
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"the first frame must be a Hello of at most {HELLO_BYTES_MAX} bytes, within "
            f"{HELLO_SECONDS_MAX:g} seconds",
        )
        raise AssertionError("abort raises")

    async def _join(self, context: Context, identity: Identity, hello: Hello) -> Member:
        """Return the member, registered as its Hello says."""
        if hello.agent_id and hello.agent_id != identity.agent_id:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"the token names {identity.agent_id}, the Hello {hello.agent_id[:256]}; "
                "connect as the agent that the token names",
            )
        member = self._members.join(identity.tenant, identity.agent_id, self._now())
        if member is None:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "this gateway has as many agents as it takes"
            )
            raise AssertionError("abort raises")
        instance = hello.instance[:INSTANCE_CHARACTERS_MAX]
        if instance and instance == member.instance and hello.stream_count < member.stream_count:
            await context.abort(
                grpc.StatusCode.ABORTED, "a later stream of this agent is open; go on with that one"
            )
        member.instance, member.stream_count = instance, hello.stream_count
        fault: object = set_capabilities(
            member, hello.capabilities, self._registration
        ) or set_topics(member, hello.topics, self._registration)
        for consent in hello.consents:
            fault = fault or grant(member, consent, self._registration)
            fault = fault if isinstance(fault, Fault) else None
        if isinstance(fault, Fault):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"{fault.code}: {fault.reason}; {fault.remedy}"
            )
        return member

    def _welcome(self, member: Member, identity: Identity, resumed: bool) -> bytes:
        assert member.link is not None, "a member with a stream has a session"
        welcome = Welcome(
            gateway_id=self._gateway_id,
            agent_id=identity.agent_id,
            tenant=identity.tenant,
            frame_bytes_max=self._limits.frame_bytes_max,
            payload_bytes_max=self._limits.payload_bytes_max,
            resume_token=member.link.token,
            resumed=resumed,
            window_messages=member.outbox.window,
        )
        welcome.resume_grace.FromNanoseconds(int(self._limits.grace * 1e9))
        welcome.heartbeat.FromNanoseconds(int(self._limits.heartbeat * 1e9))
        welcome.token_expires_at.FromSeconds(told_expiry(identity.expires_at))
        welcome.now.FromNanoseconds(int(self._now() * 1e9))
        return welcome.SerializeToString()

    async def _renew(self, session: Session, raw: bytes) -> None:
        """Let a stream live on with a new token for the same agent and tenant."""
        member = session.member
        try:
            token = RenewToken.FromString(raw).token
        except DecodeError:
            token = ""
        identity = await self._authenticator.verify(token, self._now())
        if isinstance(identity, AuthFault):
            fault = Fault("TOKEN_REJECTED", identity.reason, identity.remedy)
        elif (identity.agent_id, identity.tenant) != (member.agent_id, member.tenant.name):
            fault = Fault(
                "TOKEN_REJECTED", "the token names another agent", f"send one for {member.agent_id}"
            )
        else:
            session.sender = Sender(member, _numbers(identity.acts), identity.system)
            member.is_system = identity.system
            session.renewed(identity)
            return
        self._metrics.refused[fault.code] += 1
        member.answer_refused(refusal_of(fault, "").SerializeToString())

    def _confirm_later(self, session: Session) -> None:
        self._to_confirm.add(session)
        if self._confirming is None:
            session.confirm_soon()  # it has waited for the whole interval that begins now
            loop = asyncio.get_running_loop()
            self._confirming = loop.call_later(CONFIRM_SECONDS, self._confirm)

    def _confirm(self) -> None:
        """Send the confirmations that found no frame to ride on, and look again while there are."""
        self._confirming = None
        for session in list(self._to_confirm):
            if session.confirm_soon():
                self._to_confirm.discard(session)
        if self._to_confirm:
            loop = asyncio.get_running_loop()
            self._confirming = loop.call_later(CONFIRM_SECONDS, self._confirm)

    def stop(self, move_to: tuple[str, ...], chance: Callable[[], float]) -> None:
        """Ask every agent to go on elsewhere, and not all at once."""
        spread = len(self.sessions) / RECONNECTS_PER_SECOND
        for session in list(self.sessions):
            session.close("stopping", "the gateway stops", spread * chance(), move_to)


def _numbers(acts: Collection[str] | None) -> frozenset[int]:
    """Return the acts that a token allows, by number."""
    return SENDABLE if acts is None else frozenset(ACTS[act] for act in acts if act in ACTS)
