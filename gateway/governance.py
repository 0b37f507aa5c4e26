"""What an exchange does beside the rules of a protocol: fairness, probes, ratings, figures.

For each tenant a `ServiceBook` hears of every outcome. A call with rules of
fairness gets their standing, and the credit ratings, before it is opened; so what it is decided
by is in its record. Some calls are probed: a bid of the exchange's own enters the negotiation at
a time that nobody can tell, and what it would have done tells of prices and of rings.

What follows from an outcome are facts (`governing.noting`). They are believed here at once and
told to `tell`, which keeps them over a restart and lets the other gateways of a cluster know: see
`governing`. So a share is that of the awards of all, as far as they were heard of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, assert_never

import msgspec

from gateway.causes import Cause, nobody
from gateway.clock import Clock
from gateway.governing.claims import Claims
from gateway.governing.facts import Awarded, Claimed, Fact, Used, Waited
from gateway.governing.noise_prices import NoisePrices
from gateway.governing.noting import facts_of
from gateway.members import TAG_LENGTH, Members, Recipient
from gateway.negotiations import Negotiations
from gateway.records import Recorder
from gateway.settings_governance import GovernanceSettings
from policy.call import Call
from policy.events import OfferReceived
from policy.fairness import Fairness, admitted
from policy.jain import Evenness
from policy.noise import NoiseRule
from policy.probing import PriceLevels, Probe, ProbingRule, probe, probe_event, would_win
from policy.rating import Rating, RatingRule, Ratings
from policy.rings import RingRule, RingWatch
from policy.served import ServiceBook
from policy.table import Record

PROBED = ("contract-net", "iterated-contract-net", "sealed-bid")
"""Protocols in which many bid; between two there is nothing to probe."""
KIND_LENGTH_MAX = 64
WATCHES_MAX = 64
"""Markets that are looked at for rings; of more, the one that was probed longest ago is not."""
TENANTS_MAX = 10_000
"""Tenants whose past is kept; of more, the one that was there first is forgotten."""
ROUNDS_MAX = 100_000
"""Open rounds that are remembered; those that are handed to another gateway never end here."""

NO_PROBES, PLAIN_RATING, PLAIN_RINGS = ProbingRule(rate=0.0), RatingRule(), RingRule()
NO_NOISE = NoiseRule(alpha=0.0)

Post = Callable[[str, OfferReceived, Cause], None]
"""Lets an event enter a negotiation now."""


KeepRating = Callable[[str, str, float, float, str], Awaitable[None]]
"""Rates a task: tenant, agent, claimed, realised, the name of the task. Raises KeepError."""

Later = Callable[[float, Callable[[], None]], object]
"""Does something after so many seconds."""


def in_this_loop(seconds: float, then: Callable[[], None]) -> object:
    """Do something later, in the loop that runs."""
    return asyncio.get_running_loop().call_later(seconds, then)


@dataclass(frozen=True, slots=True)
class GovernanceRules:
    """How a gateway governs."""

    window: float = 3600.0
    """Seconds of the past that count for shares and figures."""
    probing: ProbingRule = NO_PROBES
    rating: RatingRule = PLAIN_RATING
    rings: RingRule = PLAIN_RINGS
    tenants_shown: int = 32
    """Tenants that have figures of their own among the metrics."""
    noise: NoiseRule = NO_NOISE
    report_seconds: float = 86_400.0
    """How long after an award it can be said what it was worth."""


@dataclass(frozen=True, slots=True)
class _Round:
    """A round that may tell of prices."""

    market: str
    probe: Probe | None
    level: float
    """The price level when it was opened; 0 while there is none."""


def governance_rules(settings: GovernanceSettings) -> GovernanceRules:
    """Return the rules that an operator has set."""
    return GovernanceRules(
        settings.window_seconds,
        ProbingRule(settings.probe_rate, settings.probe_spread),
        RatingRule(settings.rating_weight, settings.rating_floor),
        tenants_shown=settings.tenants_shown,
        noise=NoiseRule(settings.noise_alpha, settings.noise_cap, settings.noise_half_life_seconds),
        report_seconds=settings.report_seconds,
    )


class Governance:
    """What one gateway knows of its markets, and does about it."""

    def __init__(
        self,
        rules: GovernanceRules,
        gateway_id: str,
        secret: bytes,
        members: Members,
        now: Clock,
        later: Later = in_this_loop,
    ) -> None:
        """Start with no past; `secret` decides what is probed, and `later` keeps its time."""
        self._later = later
        self.rules = rules
        self._address = f"gateway://{gateway_id}"
        self._secret = secret
        self._members = members
        self.now = now
        self._books: dict[str, ServiceBook] = {}
        self._ratings: dict[str, Ratings] = {}
        self._levels = PriceLevels(rules.probing.gain)
        self._watches: dict[str, RingWatch] = {}
        self._rounds: dict[str, _Round] = {}
        self.prices = NoisePrices(rules.noise)
        self.claims = Claims(rules.report_seconds)
        self.tell: Callable[[Fact], None] = lambda fact: None
        """Hears what was noted here, to keep it and to let others know."""
        self.keep_rating: KeepRating = self._rate_here
        """Rates a task where ratings are kept."""
        self.probes_total = 0
        self.post: Post = lambda negotiation_id, event, cause: None

    def rule(self, negotiations: Negotiations, recorder: Recorder) -> None:
        """Begin: hear of every call that is opened, and of every outcome."""

        def post(negotiation_id: str, event: OfferReceived, cause: Cause) -> None:
            shard = negotiations.shard_of(negotiation_id, cause.sender.tenant)
            if shard is not None:
                shard.post(self.now(), negotiation_id, event, cause)

        self.post = post
        negotiations.govern = self.govern
        recorder.heard = self.finished

    def govern(self, call: Call, cause: Cause) -> tuple[Call, Cause]:
        """Return a call as it is opened, with who may answer and why; probe it, perhaps."""
        tenant = cause.sender.tenant.name
        if call.fairness is not None:
            call, cause = self._fair(tenant, call, call.fairness, cause)
        if call.stakes is not None:
            call = self.prices.priced(tenant, call)
        if self.rules.probing.rate > 0 and call.protocol in PROBED:
            self._probe(tenant, call, cause)
        return call, cause

    def _probe(self, tenant: str, call: Call, cause: Cause) -> None:
        """Note a round that may tell of prices, and let a bid of our own enter some of them."""
        market = market_of(tenant, call, cause.body)
        level = self._levels.level(market)
        made = None
        if level is not None and not call.options.get("commit"):  # nobody could reveal it
            made = probe(self.rules.probing, self._secret, call.negotiation_id, level)
        self._rounds[call.negotiation_id] = _Round(market, made, level or 0.0)
        if len(self._rounds) > ROUNDS_MAX:
            del self._rounds[next(iter(self._rounds))]
        if made is not None:
            self.probes_total += 1
            seconds = made.wait * (call.closes_at - call.opened_at)
            negotiation_id, sender = call.negotiation_id, cause.sender
            self._later(seconds, lambda: self._enter(negotiation_id, made, sender))

    def _enter(self, negotiation_id: str, made: Probe, sender: Recipient) -> None:
        if negotiation_id in self._rounds:  # else it is over
            self.post(negotiation_id, probe_event(made, self._address), nobody(sender))

    def _fair(
        self, tenant: str, call: Call, fairness: Fairness, cause: Cause
    ) -> tuple[Call, Cause]:
        """Give a call the past that its rules need, and leave out who may not answer."""
        standing = self.book(tenant).standing(call.eligible, call.opened_at)
        ratings = self.ratings(tenant).of_all(call.eligible) if fairness.rules.by_rating else {}
        fairness = msgspec.structs.replace(fairness, standing=standing, ratings=ratings)
        who = admitted(fairness, call.eligible, call.opened_at)
        fairness = msgspec.structs.replace(fairness, left_out=who.left_out)
        called = [
            topic
            for agent, topic in zip(call.eligible, cause.topics, strict=True)
            if agent not in who.left_out
        ]
        return (
            msgspec.structs.replace(call, eligible=who.eligible, fairness=fairness),
            msgspec.structs.replace(cause, topics=tuple(called)),
        )

    def finished(self, record: Record | None, outcome: Mapping[str, Any]) -> None:
        """Hear how a negotiation ended."""
        tenant = self._members.tenant_by_tag.get(str(outcome["negotiation_id"])[-TAG_LENGTH:])
        if record is None or tenant is None:
            return
        for fact in facts_of(tenant.name, record, outcome):
            self.believe(fact)
            self.tell(fact)
        if self._rounds:
            self._learn(record.call, outcome)

    def believe(self, fact: Fact) -> None:
        """Know what was noted here, elsewhere, or in an earlier life."""
        match fact:
            case Awarded(tenant, agent, utility, at):
                self.book(tenant).note_award(agent, utility, at)
            case Waited(tenant, agent, seconds, at):
                self.book(tenant).note_wait(agent, seconds, at)
            case Used():
                self.prices.note(fact)
            case Claimed():
                self.claims.note(fact)
            case _:
                assert_never(fact)

    def _learn(self, call: Call, outcome: Mapping[str, Any]) -> None:
        """Learn from a round what it tells of prices."""
        round_ = self._rounds.pop(call.negotiation_id, None)
        if round_ is None:
            return
        shown = {bid["agent"]: float(bid["value"]) for bid in outcome.get("ranking", ())}
        choose = max if call.direction == "allocate" else min
        best = choose(shown.values(), default=None)
        market, made = round_.market, round_.probe
        if best is not None:
            self._levels.begin(market, best)
        if made is None:
            return
        self._levels.note(market, would_win(made.value, best, call.direction), call.direction)
        watch = self._watches.pop(market, None) or RingWatch(self.rules.rings)
        self._watches[market] = watch  # the newest is last
        if len(self._watches) > WATCHES_MAX:
            del self._watches[next(iter(self._watches))]
        watch.note(shown, round_.level, call.direction)

    def ratings(self, tenant: str) -> Ratings:
        """Return the credit ratings of a tenant's agents."""
        return _kept(self._ratings, tenant, lambda: Ratings(self.rules.rating))

    def rate(self, tenant: str, agent: str, claimed: float, realised: float) -> Rating:
        """Rate a task of an agent, by what it claimed and what came true; it is not kept."""
        return self.ratings(tenant).note(agent, claimed, realised)

    async def _rate_here(
        self, tenant: str, agent: str, claimed: float, realised: float, task: str
    ) -> None:
        self.rate(tenant, agent, claimed, realised)

    def know_rating(self, tenant: str, agent: str, rating: Rating) -> None:
        """Take the rating of an agent that is kept."""
        self.ratings(tenant).know(agent, rating)

    async def suspects(self, tenant: str) -> list[tuple[str, frozenset[str]]]:
        """Return the rings that are suspected in a tenant, each with its market."""
        watched = [
            (name, watch.copy())
            for name, watch in self._watches.items()
            if name.partition("|")[0] == tenant
        ]
        # That takes a while, so it is done beside the loop, with copies.
        return await asyncio.to_thread(
            lambda: [(name.partition("|")[2], one) for name, of in watched for one in of.rings()]
        )

    def book(self, tenant: str) -> ServiceBook:
        """Return what is known of a tenant's past."""
        return _kept(self._books, tenant, lambda: ServiceBook(self.rules.window))

    def evenness(self, tenant: str) -> dict[str, Evenness]:
        """Return how evenly a tenant is served: by awards, by utility, by latency."""
        known, book, now = self._members.tenants.get(tenant), self.book(tenant), self.now()
        agents = () if known is None else tuple(known.members)
        return {
            "awards": book.awards(agents, now),
            "utility": book.utility(agents, now),
            "latency": book.latency(now),
        }

    def figures(self) -> Iterator[tuple[tuple[str, str], float]]:
        """Yield Jain's indices for a scrape: tenant and what is shared, for a bounded number."""
        for tenant in list(self._books)[: self.rules.tenants_shown]:
            for shared, even in self.evenness(tenant).items():
                yield (tenant, shared), even.index


def market_of(tenant: str, call: Call, body: Mapping[str, Any] | None) -> str:
    """Return the name of the market of a call: of one tenant, direction and kind of task each."""
    task = (body or {}).get("task")
    kind = task.get("name") if isinstance(task, Mapping) else ""
    kind = kind if isinstance(kind, str) and len(kind) <= KIND_LENGTH_MAX else ""
    return f"{tenant}|{call.direction} {kind}".strip()


T = TypeVar("T")


def _kept(known: dict[str, T], tenant: str, make: Callable[[], T]) -> T:
    """Return what is known of a tenant, and forget of too many the one that was first."""
    found = known.get(tenant)
    if found is None:
        found = known[tenant] = make()
        if len(known) > TENANTS_MAX:
            del known[next(iter(known))]
    return found
