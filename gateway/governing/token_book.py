"""The tokens of one shared limit, kept: who holds how many, and who offers some to others.

What is spent is written before the answer, so no restart gives it back; all that comes while one
write is under way is written with the next one. A limit that is taken up again begins with an empty
pool, because what was spent a moment ago is not known. So the API never sees more than its burst
and what the rate brought, whoever crashes.

Tokens that are offered lie in a purse of the offer. They are kept as their giver's: an offer ends
with the gateway.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec
import structlog

from gateway.clock import Clock
from gateway.governing.keeping import Keeper
from policy.noise import NoiseMeter, NoiseRule
from policy.token_market import TokenLimit, TokenMarket

OFFERS_MAX = 1_000
"""Of one limit that stand at once."""
PURSES = "tokens/"
_OFFER = "offer:"

log = structlog.get_logger("llmx.governing")


class Offer(msgspec.Struct, frozen=True, gc=False):
    """Tokens that an agent would give away."""

    offer_id: str
    giver: str
    tokens: int
    price: int
    """Micro-credits for all of them; 0 for a gift."""
    taker: str
    """Who may take them; "" for everybody."""
    expires_at: float

    @property
    def purse(self) -> str:
        """Return where the tokens lie meanwhile."""
        return _OFFER + self.offer_id


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class TokenBook:
    """One limit of one tenant."""

    def __init__(
        self,
        tenant: str,
        name: str,
        limit: TokenLimit,
        noise: NoiseRule,
        keeper: Keeper,
        now: Clock,
    ) -> None:
        """Keep tokens; nobody holds any until `hear` has told what was kept."""
        self.tenant, self.name, self.limit = tenant, name, limit
        self.key = f"{PURSES}{tenant}/{name}"
        self.market = TokenMarket(limit, now(), {})
        self.noise = NoiseMeter(noise)
        self.price = 0
        """Micro-credits that a token cost in the latest sale."""
        self.spent = 0
        self._keeper = keeper
        self._now = now
        self._offers: dict[str, Offer] = {}
        self._taken: set[str] = set()
        """Offers that somebody pays for now; they do not end meanwhile."""
        self._version = self._saved = 0
        self._is_taken_up = False
        self._saving = asyncio.Lock()

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<TokenBook {self.name}: {self.market!r}, {len(self._offers)} offers>"

    def hear(self, text: bytes | None) -> None:
        """Take up what was kept in an earlier life, once; what is heard later is from here.

        All texts are heard again when etcd was away: by then tokens have come, and are offered.
        """
        if text is None or self._version or self._is_taken_up:
            return
        try:
            purses = _decode(text)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            log.warning("purses cannot be read", limit=self.name, error=str(error))
            return
        self.market = TokenMarket(self.limit, self._now(), purses)
        self._is_taken_up = True

    async def save(self) -> None:
        """Keep who holds what now. Raises KeepError."""
        self._version += 1
        wanted = self._version
        async with self._saving:
            if self._saved >= wanted:
                return  # somebody's write had it already
            version = self._version
            await self._keeper.put(self.key, _encode(self._purses()))
            self._saved = version

    def _purses(self) -> Mapping[str, int]:
        """Return what everybody holds, what it offers included."""
        sums: Counter[str] = Counter()
        for purse, micros in self.market.purses().items():
            offer = self._offers.get(purse.removeprefix(_OFFER))
            sums[purse if offer is None else offer.giver] += micros
        return dict(sums)

    def offer(
        self, giver: str, tokens: int, price: int, taker: str, expires_at: float
    ) -> Offer | None:
        """Offer tokens to others; None when the giver holds too few, or too many offers stand."""
        self.end_offers()
        self.market.refill(self._now())
        made = Offer(secrets.token_hex(8), giver, tokens, price, taker, expires_at)
        if len(self._offers) >= OFFERS_MAX:
            return None
        if not self.market.trade(giver, made.purse, tokens, fills=False).micros:
            return None
        self._offers[made.offer_id] = made
        return made

    def offers(self, agent: str) -> Iterator[Offer]:
        """Yield the offers that an agent may take, those that end first first."""
        self.end_offers()
        standing = sorted(self._offers.values(), key=lambda offer: offer.expires_at)
        return (one for one in standing if agent in (one.giver, one.taker or agent))

    def begin_taking(self, offer_id: str, agent: str) -> Offer | None:
        """Keep an offer for an agent that is about to pay; None when there is none for it."""
        self.end_offers()
        offer = self._offers.get(offer_id)
        if (
            offer is None
            or offer_id in self._taken
            or agent not in (offer.giver, offer.taker or agent)
        ):
            return None
        self._taken.add(offer_id)
        return offer

    def end_taking(self, offer: Offer, taker: str | None) -> None:
        """Move what was offered to whoever has paid for it; with None let it be offered again."""
        self._taken.discard(offer.offer_id)
        if taker is not None:
            del self._offers[offer.offer_id]
            self.market.trade(offer.purse, taker, offer.tokens, fills=False)

    def end_offers(self) -> None:
        """Give back what nobody took in time."""
        now = self._now()
        for offer in [one for one in self._offers.values() if one.expires_at <= now]:
            if offer.offer_id not in self._taken:
                self.end_taking(offer, offer.giver)
