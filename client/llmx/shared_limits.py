"""Tokens of rate limits that agents share: `agent.control.limits`.

One token is one request to the API that a limit is of. Whoever spends before it calls is never
refused by the API:

    limits = agent.control.limits
    while not await limits.spend("search"):
        await limits.bid("search", 10, credits=0.5)
    await call_the_api()

One gateway keeps a limit, and `list` names it: talk to that one, for others answer with a
ControlError FAILED_PRECONDITION.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from llmx.errors import ControlError
from llmx.stakes import MICROS
from llmx.v1 import token_service_pb2 as wire
from llmx.v1.token_pb2 import TokenLimit, TokenOffer, TokenSale
from llmx.v1.token_service_pb2_grpc import TokenServiceStub

EXHAUSTED = "RESOURCE_EXHAUSTED"

Call = Callable[[type[Any], str, Message, type[Any]], Awaitable[Any]]


class SharedLimits:
    """The limits of the tenant, for one agent.

    Methods raise ControlError: NOT_FOUND for a limit or an offer that there is not,
    RESOURCE_EXHAUSTED for credit or tokens that the agent has not.
    """

    def __init__(self, call: Call) -> None:
        """Ask with `call`, of `Control`."""
        self._call = call

    async def list(self) -> Sequence[TokenLimit]:
        """Return the limits, with what this agent holds where this gateway keeps them."""
        answer = await self._ask("ListLimits", wire.ListLimitsRequest(), wire.ListLimitsResponse)
        found: Sequence[TokenLimit] = answer.limits
        return found

    async def bid(self, limit: str, tokens: int, credits: float = 0.0) -> TokenSale:  # noqa: A002
        """Bid so many credits for each token, and return what the next sale brought.

        It may be fewer tokens, or none, and each costs as much as the bid at most.
        """
        request = wire.BidForTokensRequest(
            limit=limit, tokens=tokens, price_micros=round(credits * MICROS)
        )
        sale: TokenSale = (await self._ask("BidForTokens", request, wire.BidForTokensResponse)).sale
        return sale

    async def spend(self, limit: str, tokens: int = 1) -> bool:
        """Spend tokens; False, and none is spent, when there are too few."""
        request = wire.SpendTokensRequest(limit=limit, tokens=tokens)
        try:
            await self._ask("SpendTokens", request, wire.SpendTokensResponse)
        except ControlError as error:
            if error.status != EXHAUSTED:
                raise
            return False
        return True

    async def offer(
        self,
        limit: str,
        tokens: int,
        credits: float = 0.0,  # noqa: A002 - what it is called everywhere
        *,
        to: str = "",
        valid_for: float = 60.0,
    ) -> TokenOffer:
        """Offer tokens to one agent, or to all, for so many credits altogether."""
        request = wire.OfferTokensRequest(
            limit=limit, tokens=tokens, price_micros=round(credits * MICROS), taker=to
        )
        request.valid_for.FromNanoseconds(round(valid_for * 1e9))
        made: TokenOffer = (await self._ask("OfferTokens", request, wire.OfferTokensResponse)).offer
        return made

    async def offers(self, limit: str) -> Sequence[TokenOffer]:
        """Return the offers that this agent may take, its own among them."""
        request = wire.ListTokenOffersRequest(limit=limit)
        answer = await self._ask("ListTokenOffers", request, wire.ListTokenOffersResponse)
        found: Sequence[TokenOffer] = answer.offers
        return found

    async def take(self, offer: TokenOffer) -> int:
        """Take what is offered, and pay for it; returns how many whole tokens it holds now."""
        request = wire.TakeTokensRequest(limit=offer.limit, offer_id=offer.offer_id)
        held: int = (await self._ask("TakeTokens", request, wire.TakeTokensResponse)).held
        return held

    async def _ask(self, name: str, request: Message, kind: type[Any]) -> Any:
        return await self._call(kind, name, request, TokenServiceStub)
