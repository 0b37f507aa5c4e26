"""The token service: agents buy, spend and trade tokens of limits that they share."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import grpc

from gateway.auth import Identity
from gateway.clock import Clock, set_seconds
from gateway.governing.token_book import Offer, TokenBook
from gateway.governing.token_desk import SALE_SECONDS, Denied, TokenDesk, held_by
from gateway.governing.token_limits import SharedLimit, SharedLimits
from gateway.methods import CANNOT, INVALID, Authenticate, check, end, handlers_of
from gateway.session import Context
from llmx.v1 import token_pb2 as things
from llmx.v1 import token_service_pb2 as messages
from llmx.v1.token_service_pb2_grpc import TokenServiceServicer
from policy.ledger import MICROS_MAX
from policy.token_market import MICRO

REQUEST_BYTES_MAX: Final = 4 * 1024
TOKENS_MAX: Final = 1_000_000_000
OFFERS_SHOWN_MAX: Final = 1_000
OFFER_SECONDS: Final = 60.0
OFFER_SECONDS_MAX: Final = 3_600.0
AGENT: Final = "agent://"
STATUS: Final = {
    "EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "UNKNOWN": grpc.StatusCode.NOT_FOUND,
}


class TokenService(TokenServiceServicer):
    """Serves llmx.v1.TokenService."""

    def __init__(self, authenticate: Authenticate, limits: SharedLimits, now: Clock) -> None:
        """Serve the limits that there are."""
        self._authenticate = authenticate
        self._limits = limits
        self._now = now

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the methods for a server, which look at a request's size before its content."""
        return handlers_of(self, messages, REQUEST_BYTES_MAX)

    async def ListLimits(
        self, request: messages.ListLimitsRequest, context: Context
    ) -> messages.ListLimitsResponse:
        """See token_service.proto."""
        identity = await self._authenticate(context)
        found = self._limits.of(identity.tenant)
        return messages.ListLimitsResponse(limits=[self._told(one, identity) for one in found])

    async def BidForTokens(
        self, request: messages.BidForTokensRequest, context: Context
    ) -> messages.BidForTokensResponse:
        """See token_service.proto."""
        identity, desk, book = await self._desk(request.limit, context)
        tokens, price = request.tokens, request.price_micros
        await _check_tokens(context, tokens)
        await _check_price(context, price)
        sale = await desk.bid(book, identity.agent_id, tokens, price)
        if isinstance(sale, Denied):
            await _deny(context, sale)
        held = held_by(book, identity.agent_id)
        told = things.TokenSale(tokens=sale.tokens, price_micros=sale.price, held=held)
        return messages.BidForTokensResponse(sale=told)

    async def SpendTokens(
        self, request: messages.SpendTokensRequest, context: Context
    ) -> messages.SpendTokensResponse:
        """See token_service.proto."""
        identity, desk, book = await self._desk(request.limit, context)
        tokens = request.tokens or 1
        await _check_tokens(context, tokens)
        left = await desk.spend(book, identity.agent_id, tokens, is_system=identity.system)
        if isinstance(left, Denied):
            await _deny(context, left)
        return messages.SpendTokensResponse(held=left)

    async def OfferTokens(
        self, request: messages.OfferTokensRequest, context: Context
    ) -> messages.OfferTokensResponse:
        """See token_service.proto."""
        identity, _, book = await self._desk(request.limit, context)
        tokens, price, taker = request.tokens, request.price_micros, request.taker
        await _check_tokens(context, tokens)
        await _check_price(context, price)
        is_one = not taker or (taker.startswith(AGENT) and taker != identity.agent_id)
        await check(context, is_one, INVALID, "taker: name another agent, or leave it out")
        asked = request.valid_for.ToNanoseconds() / 1e9 if request.HasField("valid_for") else None
        seconds = OFFER_SECONDS if asked is None else asked
        reason = f"valid_for: above 0, at most {OFFER_SECONDS_MAX:g} seconds"
        await check(context, 0 < seconds <= OFFER_SECONDS_MAX, INVALID, reason)
        until = self._now() + seconds
        made = book.offer(identity.agent_id, tokens, price, taker, until)
        if made is None:
            held = held_by(book, identity.agent_id)
            reason = f"{tokens} cannot be offered, {held} are held; or too many offers stand"
            await end(context, grpc.StatusCode.RESOURCE_EXHAUSTED, reason)
        return messages.OfferTokensResponse(offer=_offer(book, made))

    async def TakeTokens(
        self, request: messages.TakeTokensRequest, context: Context
    ) -> messages.TakeTokensResponse:
        """See token_service.proto."""
        identity, desk, book = await self._desk(request.limit, context)
        taken = await desk.take(book, request.offer_id, identity.agent_id)
        if isinstance(taken, Denied):
            await _deny(context, taken)
        held = held_by(book, identity.agent_id)
        return messages.TakeTokensResponse(offer=_offer(book, taken), held=held)

    async def ListTokenOffers(
        self, request: messages.ListTokenOffersRequest, context: Context
    ) -> messages.ListTokenOffersResponse:
        """See token_service.proto."""
        identity, _, book = await self._desk(request.limit, context)
        found = list(book.offers(identity.agent_id))[:OFFERS_SHOWN_MAX]
        return messages.ListTokenOffersResponse(offers=[_offer(book, one) for one in found])

    async def _desk(self, name: str, context: Context) -> tuple[Identity, TokenDesk, TokenBook]:
        """Return who asks, and what keeps a limit here, or end the call."""
        identity = await self._authenticate(context)
        limit = self._limits.find(identity.tenant, name)
        if limit is None:
            names = ", ".join(one.name for one in self._limits.of(identity.tenant)) or "none"
            await end(context, grpc.StatusCode.NOT_FOUND, f"limit={name[:80]}: there are {names}")
        desk = self._limits.desk
        book = None if desk is None else desk.books.get((limit.tenant, limit.name))
        if desk is None and self._limits.keeps(limit):
            reason = f"limit={limit.name}: who holds tokens is not read yet; ask again in a moment"
            await end(context, grpc.StatusCode.UNAVAILABLE, reason)
        if desk is None or book is None:
            reason = f"gateway {limit.gateway} keeps {limit.name}; ask there"
            await end(context, CANNOT, reason)
        return identity, desk, book

    def _told(self, limit: SharedLimit, identity: Identity) -> things.TokenLimit:
        said = limit.limit
        told = things.TokenLimit(
            name=limit.name,
            rate=said.rate,
            burst=said.burst,
            reserve=said.reserve,
            purse_max=said.purse_max,
            gateway_id=limit.gateway,
            sale_seconds=SALE_SECONDS,
            address=self._limits.address_of(limit.gateway),
        )
        desk = self._limits.desk
        book = None if desk is None else desk.books.get((limit.tenant, limit.name))
        if desk is not None and book is not None:
            book.end_offers()
            book.market.refill(self._now())
            told.pool = book.market.pool / MICRO
            told.held = book.market.held(identity.agent_id) / MICRO
            told.price_micros = book.price
            told.multiplier = desk.multiplier(book, identity.agent_id)
            told.spent = book.spent
        return told


def _offer(book: TokenBook, offer: Offer) -> things.TokenOffer:
    told = things.TokenOffer(
        offer_id=offer.offer_id,
        limit=book.name,
        giver=offer.giver,
        tokens=offer.tokens,
        price_micros=offer.price,
        taker=offer.taker,
    )
    set_seconds(told.expires_at, offer.expires_at)
    return told


async def _check_tokens(context: Context, tokens: int) -> None:
    reason = f"tokens={tokens}: 1 to {TOKENS_MAX}"
    await check(context, 1 <= tokens <= TOKENS_MAX, INVALID, reason)


async def _check_price(context: Context, price: int) -> None:
    reason = f"price_micros={price}: 0 to {MICROS_MAX}"
    await check(context, 0 <= price <= MICROS_MAX, INVALID, reason)


async def _deny(context: Context, denied: Denied) -> NoReturn:
    await end(context, STATUS[denied.code], denied.reason)
