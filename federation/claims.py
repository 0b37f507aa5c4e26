"""Taking a negotiation over in etcd: create-if-absent, so that of many heirs one has it.

A claim ends with the registration of who made it. It counts only when nothing is promised any
more (`fencing`), and it is made only where it is safe (`succession`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from federation.etcd import (
    Committed,
    EtcdClient,
    EtcdError,
    EtcdUncertain,
    Found,
    Put,
    Transaction,
)
from federation.standing import Standing
from federation.succession import Holder, Wait, read_holder

PAUSE_SECONDS_MIN = 0.01
RETRY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of a claim."""

    outcome: Literal["ours", "theirs", "wait"]
    """"ours": decide it, while the epoch lasts and `may_decide` allows it. "theirs": send its acts
    there, while that gateway has that epoch. "wait": nobody can tell now, ask again in a moment."""
    gateway_id: str
    """Who has it; empty for "wait"."""
    epoch: int
    """In which epoch of that gateway."""
    reason: str = ""


LOST = Claim("wait", "", 0, "the registration was lost meanwhile")


class Claims:
    """The claims of one gateway."""

    def __init__(self, client: EtcdClient, standing: Standing, now: Callable[[], float]) -> None:
        """Claim what the standing allows."""
        self._client = client
        self._standing = standing
        self._now = now

    async def claim(self, negotiation_id: str) -> Claim:
        """Take a negotiation over, or find who has it.

        An answer that is lost is asked for until it is known: if the claim stands, nobody else
        will have the negotiation.
        """
        standing = self._standing
        transaction = standing.claim(self._now(), negotiation_id)
        if isinstance(transaction, Wait):
            return Claim("wait", "", 0, transaction.reason)
        epoch, may_stand = standing.epoch, False
        while standing.epoch == epoch:
            try:
                done = await self._client.commit(
                    transaction.compares, transaction.then, transaction.otherwise
                )
            except EtcdError as fault:
                may_stand |= isinstance(fault, EtcdUncertain)
                if not may_stand:
                    return Claim("wait", "", 0, str(fault))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            claim = judged(done, transaction, standing.own_id, epoch)
            return await self._counting(claim) if claim.outcome == "ours" else claim
        return LOST

    async def release(self, negotiation_id: str) -> None:
        """Give a negotiation up that was taken over; raises EtcdError when that is uncertain."""
        transaction = self._standing.succession.release(negotiation_id, self._standing.epoch)
        await self._client.commit(transaction.compares, transaction.then)

    async def _counting(self, claim: Claim) -> Claim:
        """Return a claim of ours when it counts; meanwhile the registration may be lost."""
        standing = self._standing
        while standing.epoch == claim.epoch:
            now = self._now()
            pause = standing.counts_from(now) - now
            if pause <= 0:
                return claim
            await asyncio.sleep(max(pause, PAUSE_SECONDS_MIN))
        return LOST


def judged(done: Committed, asked: Transaction, own: str, epoch: int) -> Claim:
    """Return what etcd's answer means for the gateway `own`."""
    if done.succeeded:
        return Claim("ours", own, epoch)
    (there,) = done.responses
    assert isinstance(there, Found), "that is what was asked for otherwise"
    if not there.pairs:
        return Claim("wait", "", 0, "somebody came or left who is not known here yet")
    (pair,) = there.pairs
    holder = read_holder(pair.value) or Holder("", 0)
    (put,) = asked.then
    assert isinstance(put, Put), "that is what was asked for"
    if holder.gateway_id == own and pair.lease == put.lease:
        return Claim("ours", own, epoch)  # an earlier attempt had got there
    if holder == Holder("", 0) or holder.gateway_id == own:
        return Claim("wait", "", 0, "a claim stands that is of an earlier life, or of nobody")
    return Claim("theirs", holder.gateway_id, holder.epoch)
