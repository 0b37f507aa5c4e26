"""The agent's side of a stream, in memory, and the parts of a gateway that serve it.

`FakeStream` is to a session what grpc's ServicerContext is: it reads what the agent sent,
keeps what the gateway wrote, and can be made to block or to break, which a real one does at
moments that no test can choose.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import grpc

from gateway.auth import Authenticator, Identity
from gateway.control import ControlService
from gateway.exchange import Exchange, StreamLimits
from gateway.headers import SENDABLE, Sender
from gateway.live_policies import LivePolicies
from gateway.members import Member
from gateway.outbox import Parcel
from gateway.registration import RegistrationLimits
from gateway.revocations import Revocations
from gateway.session import Session
from gateway.settings import LimitSettings, ValidationSettings
from gateway.tokens import mint_development_token
from gateway.upkeep import Upkeep, UpkeepLimits
from gateway.validation import Validation
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import ExchangeRequest, ExchangeResponse, Hello, Welcome
from tests.support.gateway_parts import NOW, Parts

GUARD_SECONDS = 5.0
FRAME_BYTES_MAX = 40_000
SECRET = b"a secret of thirty-two bytes ..."


def played(scene: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a scene; what hangs fails."""

    @wraps(scene)
    def test(*given: Any, **named: Any) -> None:
        async def run() -> None:
            async with asyncio.timeout(GUARD_SECONDS):
                await scene(*given, **named)

        asyncio.run(run())

    return test


class Aborted(Exception):
    """The call was ended with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class FakeStream:
    """One call: the agent's side and, from `read` on, what grpc shows to the gateway."""

    call: asyncio.Task[None]
    """The gateway's side, once it is served."""

    first: ExchangeResponse
    """The frame with the Welcome."""

    def __init__(self, token: str = "") -> None:
        self.metadata: list[tuple[str, str | bytes]] = []
        if token:
            self.metadata.append(("authorization", f"Bearer {token}"))
        self.number = 0
        self.frames: asyncio.Queue[ExchangeResponse] = asyncio.Queue()
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.is_broken = False
        self.is_answered = False
        """Has the gateway answered with its headers?"""
        self._sent: asyncio.Queue[object] = asyncio.Queue()
        self._hungry = asyncio.Event()
        self._flows = asyncio.Event()
        self._flows.set()
        self._stuck = asyncio.Event()

    def send(self, **content: Any) -> None:
        """Send the next frame."""
        self.number += "batch" in content
        number = self.number if "batch" in content else 0
        self.send_bytes(ExchangeRequest(number=number, **content).SerializeToString())

    def send_envelopes(self, *envelopes: Envelope) -> None:
        self.send(batch={"envelopes": envelopes})

    def send_bytes(self, raw: bytes) -> None:
        self._hungry.clear()
        self._sent.put_nowait(raw)

    def half_close(self) -> None:
        self._sent.put_nowait(grpc.aio.EOF)

    @property
    def unread(self) -> int:
        """How many frames the gateway has not read yet."""
        return self._sent.qsize()

    async def handled(self) -> None:
        """Wait until the gateway has handled every frame and asks for the next."""
        await self._hungry.wait()

    async def heard(self) -> ExchangeResponse:
        """Return the next frame of the gateway."""
        return await self.frames.get()

    def block(self) -> None:
        """Take no more frames."""
        self._flows.clear()

    async def stuck(self) -> None:
        """Wait until the gateway waits to write a frame."""
        await self._stuck.wait()

    def flow(self) -> None:
        """Take frames again."""
        self._flows.set()

    async def read(self) -> object:
        if self._sent.empty():
            self._hungry.set()
        return await self._sent.get()

    async def write(self, raw: bytes) -> None:
        await asyncio.sleep(0)  # as a real one lets others run
        if not self._flows.is_set():
            self._stuck.set()
            await self._flows.wait()
            self._stuck.clear()
        if self.is_broken:
            raise asyncio.InvalidStateError("RPC already finished.")
        self.frames.put_nowait(ExchangeResponse.FromString(raw))

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...] | None:
        return tuple(self.metadata) or None

    async def send_initial_metadata(self, metadata: tuple[()]) -> None:
        if self.is_broken:
            raise grpc.aio.InternalError("the call has ended")
        self.is_answered = True

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        raise Aborted(code, details)


class Bob:
    """Bob's stream, with what else of the gateway a session needs."""

    ended: asyncio.Task[str]
    """Returns why the session ended."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.stream = FakeStream()
        self.member = parts.join("bob")
        self.to_confirm: set[Session] = set()
        self.renewals: list[bytes] = []
        self.disk: asyncio.Event | None = None
        """What every batch waits for before it counts as handled; None for nothing."""
        self.session = Session(
            self.stream,  # type: ignore[arg-type]
            Sender(self.member, SENDABLE),
            Identity("agent://bob", "acme", frozenset(), None, NOW + 600, "token-1"),
            parts.admission,
            lambda: parts.now,
            parts.metrics,
            FRAME_BYTES_MAX,
            self._renew,
            self.to_confirm.add,
            lambda member: None if self.disk is None else self.disk.wait(),
            parts.router.delivered,
        )
        self.member.stream = self.session

    async def _renew(self, session: Session, raw: bytes) -> None:
        self.renewals.append(raw)

    def deliver(self, *msg_ids: str, size: int = 0) -> None:
        """Put messages of alice into bob's outbox."""
        for msg_id in msg_ids:
            raw = Envelope(msg_id=msg_id, payload=b"x" * size).SerializeToString()
            parcel = Parcel(msg_id, raw, self.parts.now + 60, "agent://alice", "", True)
            self.parts.router.deliver(self.member, parcel)

    async def next_ids(self) -> list[str]:
        """Return the ids of the messages in the next frame."""
        return [one.msg_id for one in (await self.stream.heard()).batch.envelopes]


@asynccontextmanager
async def bob_is_here(parts: Parts | None = None, waiting: str = "") -> AsyncIterator[Bob]:
    """Serve bob, who has read his Welcome; at the end of the block he half-closes.

    A message of the id `waiting` was queued before the stream opened.
    """
    bob = Bob(parts or Parts())
    if waiting:
        bob.deliver(waiting)
    async with asyncio.TaskGroup() as tasks:
        bob.ended = tasks.create_task(bob.session.run(Welcome(tenant="acme").SerializeToString()))
        first = await bob.stream.heard()
        assert (first.number, first.welcome.tenant) == (0, "acme")
        yield bob
        bob.stream.half_close()


class Served(Parts):
    """The parts of one gateway with its two services."""

    def __init__(
        self,
        *,
        sessions_max: int = 10,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        grace: float = 30.0,
        heartbeat: float = 1e6,
        age_max: float = 0.0,
        repeats_per_second: float = 1_000,
        revoked: Path | None = None,
        **given: Any,
    ) -> None:
        super().__init__(**given)
        authenticator = Authenticator(
            audience="llmx",
            issuer="llmx",
            development_secret=SECRET,
            # Seconds pass between any two looks.
            revocations=None if revoked is None else Revocations(revoked, count().__next__),
        )
        registration = RegistrationLimits(
            capabilities_max=2, topics_max=2, consents_max=2, group_members_max=2, groups_max=2
        )
        self.exchange = Exchange(
            "gw",
            StreamLimits(
                sessions_max,
                frame_bytes_max,
                1_000,
                grace,
                100,
                heartbeat,
            ),
            registration,
            authenticator,
            self.members,
            self.admission,
            self.router,
            self.absences,
            self.metrics,
            lambda: self.now,
        )
        self.upkeep = Upkeep(
            UpkeepLimits(grace, heartbeat, age_max, repeats_per_second),
            authenticator,
            self.members,
            self.exchange.sessions,
            self.exchange.left,
            self.negotiations,
            self.router,
            self.absences,
            self.metrics,
            lambda: self.now,
        )
        self.validation = Validation(ValidationSettings(), LimitSettings(), self.metrics)
        self.control = ControlService(
            self.exchange.authenticate,
            self.members,
            registration,
            self.policies,
            LivePolicies(self.policies),
            self.validation,
            self.negotiations,
            self.router,
            lambda: self.now,
        )

    def join(self, name: str, tenant: str = "acme", *, consent: bool = True) -> Member:
        """Return an agent with an open stream, for which upkeep needs no grace."""
        member = super().join(name, tenant, consent=consent)
        self.members.arrive(member)
        return member

    def token(self, name: str, **claims: Any) -> str:
        """Return a token of the tenant acme that is good for ten minutes from NOW."""
        given = {"tenant": "acme", "ttl": 600.0, "now": NOW} | claims
        return mint_development_token(SECRET, f"agent://{name}", **given)

    def stream(self, name: str, **claims: Any) -> FakeStream:
        """Return a call that bears a token of an agent."""
        return FakeStream(self.token(name, **claims))

    def member(self, name: str) -> Member:
        return self.members.tenants["acme"].members[f"agent://{name}"]

    def session(self, name: str) -> Session:
        stream = self.member(name).stream
        assert isinstance(stream, Session)
        return stream

    @asynccontextmanager
    async def open(
        self, name: str, hello: Hello | None = None, token: str = "", received: int = 0
    ) -> AsyncIterator[FakeStream]:
        """Serve an agent's stream within the block; at its end the agent half-closes it.

        The agent says that it has `received` so many batches of the session it goes on with.
        """
        line = FakeStream(token or self.token(name))
        line.send(hello=hello or Hello(), confirmed_number=received)
        async with asyncio.TaskGroup() as tasks:
            line.call = tasks.create_task(self.exchange.handle(None, line))  # type: ignore[arg-type]
            line.first = await line.heard()
            assert line.first.WhichOneof("content") == "welcome"
            yield line
            line.half_close()
