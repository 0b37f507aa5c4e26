"""The contract net by hand, for peers that carry messages and decide nothing.

Alice calls, every contractor offers, and with the last offer Alice accepts the first one and
rejects the others. Whoever receives a message judges its payload by the JSON Schema of its act,
with the validator that our gateway uses, compiled in the same way. Over which wire a message goes
is the business of `Links`; what is said is the same for all peers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jsonschema_rs

from loadtest.peers.work import Payload, PeerFailed, Work

Said = dict[str, Any]
"""A message: `id`, `negotiation`, `from` (a contractor's place, or -1), `act` and `payload`."""

ALICE = -1
REGEX_OPTIONS = jsonschema_rs.RegexOptions(size_limit=256 * 1024, dfa_size_limit=1024 * 1024)
"""As the gateway compiles them (`gateway.shipped_schemas`)."""


class Links(Protocol):
    """How messages of one peer travel; each method returns when the peer has taken them."""

    async def call(self, said: Said) -> None:
        """Send a call to every contractor."""

    async def offer(self, index: int, said: Said) -> None:
        """Send an offer from a contractor to Alice."""

    async def decide(self, decisions: Sequence[tuple[int, Said]]) -> None:
        """Send each contractor what Alice has decided."""


class Round:
    """One negotiation on its way."""

    __slots__ = ("missing", "offered_at", "offers", "over")

    def __init__(self, contractors: int, over: asyncio.Future[float]) -> None:
        self.missing = contractors
        self.offers: list[int] = []
        self.offered_at = 0.0
        self.over = over


class ContractNet:
    """Alice, her contractors, and the rounds that they have open."""

    def __init__(self, work: Work, links: Links) -> None:
        """Take what shall be said, and the links over which it goes."""
        self.messages = 0
        """How many messages were received, by all."""
        self.strays = 0
        """Messages of rounds that are over or never were, or that came twice."""
        self._work = work
        self._links = links
        self._open: dict[str, Round] = {}
        self._judges = judges_of(work)

    async def play(self, number: int) -> tuple[float, float]:
        """Play a round; returns when the last offer was there, and when the last verdict was."""
        negotiation = f"n{number:07d}"
        opened = Round(self._work.contractors, asyncio.get_running_loop().create_future())
        self._open[negotiation] = opened
        await self._links.call(said(negotiation, ALICE, "cfp", self._work.call))
        ended_at = await opened.over
        return opened.offered_at, ended_at

    async def contractor_hears(self, index: int, heard: Said) -> None:
        """Let a contractor answer a call, or take its verdict. Raises PeerFailed."""
        self._judge(heard)
        negotiation = heard["negotiation"]
        opened = self._open.get(negotiation)
        if opened is None:
            self.strays += 1
        elif heard["act"] == "cfp":
            variants = self._work.offers[index]
            payload = variants[int(negotiation[-1]) % len(variants)]
            await self._links.offer(index, said(negotiation, index, "offer", payload))
        else:
            opened.missing -= 1
            if not opened.missing:
                del self._open[negotiation]
                opened.over.set_result(time.perf_counter())

    async def alice_hears(self, heard: Said) -> None:
        """Take an offer; with the last one, decide. Raises PeerFailed."""
        self._judge(heard)
        negotiation, index = heard["negotiation"], heard["from"]
        opened = self._open.get(negotiation)
        if opened is None or index in opened.offers:
            self.strays += 1
            return
        opened.offers.append(index)
        if len(opened.offers) == self._work.contractors:
            opened.offered_at = time.perf_counter()
            winner, *others = opened.offers
            decisions = [(winner, said(negotiation, ALICE, "accept", self._work.accept))]
            decisions += [
                (other, said(negotiation, ALICE, "reject", self._work.reject)) for other in others
            ]
            await self._links.decide(decisions)

    def _judge(self, heard: Said) -> None:
        self.messages += 1
        if not self._judges[heard["act"]](heard["payload"]):
            raise PeerFailed(f"a payload of {heard['act']} came that its schema does not allow")


def judges_of(work: Work) -> dict[str, Callable[[Any], bool]]:
    """Return what judges the payloads of each act."""
    return {
        act: jsonschema_rs.Draft202012Validator(
            schema, pattern_options=REGEX_OPTIONS, offline=True
        ).is_valid
        for act, schema in work.schemas.items()
    }


def said(negotiation: str, sender: int, act: str, payload: Payload) -> Said:
    """Return a message."""
    return {
        "id": f"{negotiation}-{act}-{sender}",
        "negotiation": negotiation,
        "from": sender,
        "act": act,
        "payload": payload,
    }
