"""Ratings by those that know: what an award's work was worth, said by the initiator of the award.

The report is an inform of the initiator in the negotiation, with `realised`, once the agent has
reported the end of its work or was too late with it. What the agent claimed was noted when it was
awarded. An award counts once: a repeat is refused as ALREADY_ANSWERED.

A report is kept before it counts; while it cannot be kept it is refused as STORE_UNAVAILABLE, and
may be sent again under another msg_id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.causes import Cause
from gateway.clock import Clock
from gateway.governing.claims import Claims
from gateway.governing.facts import Claimed
from gateway.governing.keeping import KeepError
from gateway.governing.kept_ratings import KeptRatings
from gateway.governing.noting import finite
from gateway.negotiations import Gate, Negotiations
from gateway.refusals import Fault, refusal_of
from policy.call import Call
from policy.effects import Effect, Refuse
from policy.events import Event, ReportReceived
from policy.shard import Shard
from policy.states import Negotiation, Phase, net_of

WAITING_MAX = 10_000
"""Reports that wait to be kept; more are refused as OVERLOADED."""
AT_ONCE = 16
"""Reports that are kept at a time; they share a flush of the disk."""
REALISED = "realised"

REPORTED = Fault(
    "ALREADY_ANSWERED",
    "what this award was worth was reported before",
    "the first report stands; nothing else is to be done",
    "/payload/realised",
)
BEYOND = Fault(
    "OPTIONS_INVALID",
    "the value is beyond what can be counted",
    "say the value in the unit in which the agent has claimed",
    "/payload/realised",
)
WORKING = Fault(
    "WRONG_STATE",
    "the agent has not reported the end of its work, and has still time to",
    "report what it was worth once it has, or once report_within is over",
    "/envelope/act",
)
BUSY = Fault(
    "OVERLOADED",
    "more reports wait to be kept than may",
    "report again in a while",
    "/payload/realised",
    retry_after=1.0,
)
NOT_KEPT = Fault(
    "STORE_UNAVAILABLE",
    "the report cannot be kept now",
    "report again in a while, under another msg_id",
    "/payload/realised",
    retry_after=1.0,
)

log = structlog.get_logger("llmx.governing")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A report that is right, and not kept yet."""

    cause: Cause
    claim: Claimed
    realised: float

    @property
    def task(self) -> str:
        return f"{self.claim.negotiation_id}/{self.claim.agent}"


class Reports:
    """What initiators report to one gateway."""

    def __init__(self, claims: Claims, ratings: KeptRatings, now: Clock) -> None:
        """Rate agents by what was claimed and what came true."""
        self._claims = claims
        self._ratings = ratings
        self._now = now
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_MAX)
        self._taken: set[str] = set()
        self.counted = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Reports: {self.counted} counted, {self._waiting.qsize()} waiting>"

    def listen(self, negotiations: Negotiations) -> None:
        """Hear reports before anybody else carries out their steps."""
        gate: Gate | None = negotiations.gate

        def takes(
            shard: Shard[Cause],
            negotiation_id: str,
            event: Event | Call | None,
            effects: list[Effect] | None,
            cause: Cause | None,
        ) -> bool:
            return (
                type(event) is ReportReceived and self._takes(shard, negotiation_id, effects, cause)
            ) or (gate is not None and gate(shard, negotiation_id, event, effects, cause))

        negotiations.gate = takes

    def _takes(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        effects: list[Effect] | None,
        cause: Cause | None,
    ) -> bool:
        """Take a report of what an award was worth, unless the protocol makes something of it."""
        if cause is None or cause.body is None or REALISED not in cause.body:
            return False
        if effects is None:
            if not self._claims.knows(negotiation_id):
                return False  # it may have moved to another gateway
        elif not effects or any(type(effect) is not Refuse for effect in effects):
            return False
        state = shard.table.state(negotiation_id)
        fault = self._enter(negotiation_id, cause, cause.body, state)
        if fault is not None:
            _refuse(cause, fault)
            _settle(cause)
        return True

    def _enter(
        self,
        negotiation_id: str,
        cause: Cause,
        body: Mapping[str, Any],
        state: Negotiation | None = None,
    ) -> Fault | None:
        found = self._claims.claim(negotiation_id, cause.sender.agent_id, body.get("agent"))
        if isinstance(found, Fault):
            return found
        if state is not None and _is_at_work(state, found.agent):
            return WORKING
        realised = finite(body[REALISED])
        if realised is None:
            return BEYOND
        report = _Waiting(cause, found, realised)
        if report.task in self._taken or self._ratings.is_rated(report.task):
            return REPORTED
        if self._waiting.full():
            return BUSY
        self._taken.add(report.task)
        self._waiting.put_nowait(report)
        return None

    async def run(self) -> None:
        """Keep what is reported, several at a time, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            report = await self._waiting.get()
            try:
                await self._keep(report)
            finally:
                self._taken.discard(report.task)
            _settle(report.cause)

    async def _keep(self, report: _Waiting) -> None:
        claim, task = report.claim, report.task
        try:
            is_first = await self._ratings.rate(
                claim.tenant, claim.agent, claim.claimed, report.realised, task
            )
        except KeepError as error:
            log.warning("a report cannot be kept now", error=str(error))
            _refuse(report.cause, NOT_KEPT)
            return
        self.counted += is_first
        if not is_first:
            _refuse(report.cause, REPORTED)
        await self._ratings.mark(task, self._now())


def _is_at_work(state: Negotiation, agent: str) -> bool:
    """Tell whether a winner has still time to report the end of its work."""
    net = net_of(state)
    if net is None or net.course is None or net.phase is not Phase.COMMITTED:
        return False
    return agent in net.course.owing


def _settle(cause: Cause) -> None:
    """Let the frame of a report be confirmed that was sent in a durable negotiation.

    The step that it caused is not carried out, so nobody else does.
    """
    if cause.owed is not None:
        cause.owed.set()


def _refuse(cause: Cause, fault: Fault) -> None:
    parcel = cause.parcel
    refusal = refusal_of(fault, parcel.msg_id, parcel.negotiation_id)
    cause.sender.answer_refused(refusal.SerializeToString())
