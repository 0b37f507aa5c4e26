"""One gateway process of a simulated cluster: a real Claimant, and a shell in virtual time.

The shell does what `discovery`, `claimant` and etcd's `Registration` do, event by event: it keeps
two keys alive, hears the changes, beats, asks, claims. Its clock has an offset and a pace of its
own. While it is frozen, everything that comes waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from federation.etcd.history import Change
from federation.etcd.transactions import Committed, KeyValue, Transaction
from federation.membership import MemberInfo, written
from federation.placement import gateway_of, heir_of
from tests.simulation.claimant import Claimant, judged
from tests.simulation.membership_key import Key
from tests.simulation.succession import Wait
from tests.simulation.succession import written as written_life
from tests.support.etcd_store import EtcdStore

CLUSTER = "llmx"
LEASE_SECONDS = 4.0
LIFE_SECONDS = 14.0
HEARTBEAT_SECONDS = 1.0
BEAT_SECONDS = 0.75 * HEARTBEAT_SECONDS
LOOK_SECONDS = 0.5 * HEARTBEAT_SECONDS
HOPS_MAX = 3
NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Said:
    """The last heartbeat of another gateway."""

    heard_at: float
    said_at: float
    sees_discovery: bool


UNHEARD = Said(NEVER, NEVER, False)


class Weather(Protocol):
    """What is around a process."""

    store: EtcdStore

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later."""

    def ask(
        self,
        side: Side,
        serve: Callable[[EtcdStore, float], object],
        answer: Callable[[object], None],
        seconds: float,
    ) -> None:
        """Ask etcd; the answer is None when there was none in so many seconds."""

    def subscribe(self, side: Side, revision: int) -> bool:
        """Begin a watch after a revision; False when etcd cannot be reached."""

    def tell(self, side: Side, gateway_id: str, what: Callable[[Side], None]) -> None:
        """Bring something to whoever is that gateway now, if the way there is open."""

    def moment(self) -> float:
        """Return the time that no clock shows."""

    def decided(self, negotiation_id: str, side: Side) -> None:
        """Hear that a gateway decides."""

    def note(self, *what: object) -> None:
        """Remember for the story."""


class Side:
    """A process of a gateway."""

    def __init__(
        self, weather: Weather, gateway_id: str, number: int, offset: float, pace: float
    ) -> None:
        """Be started; `pace` is how fast its clock goes."""
        self.weather = weather
        self.gateway_id = gateway_id
        self.number = number
        self.is_dead = False
        self.is_frozen = False
        self.standing = standing = Claimant(
            CLUSTER, gateway_id, number, LEASE_SECONDS, HEARTBEAT_SECONDS, LIFE_SECONDS
        )
        own = MemberInfo(gateway_id, "eu", "127.0.0.1:1", "", started_at=float(number))
        self._registration = Key(
            self, standing.succession.own_key, lambda: written(own), LEASE_SECONDS, "epoch"
        )
        self._life = Key(
            self,
            standing.succession.own_life_key,
            lambda: written_life(standing.succession.own_life),
            LIFE_SECONDS,
            "life",
        )
        self.tenures: dict[str, int] = {}
        """What it owns, and in which epoch."""
        self._holders: dict[str, tuple[str, int]] = {}  # with the epoch in which it holds
        self._claiming: set[str] = set()
        self._said: dict[str, Said] = {}
        self._came: dict[str, tuple[int, float]] = {}  # whose beat came last, and when it was sent
        self._backlog: list[Callable[[], None]] = []
        self._offset = offset
        self._pace = pace
        self.is_watching = False
        self.watch = 0
        """Counts its watches."""
        self.blind = 0
        """Decisions without a sure lease."""

    def __str__(self) -> str:
        """Tell it from others."""
        return f"{self.gateway_id}/{self.number}"

    def ask(
        self,
        serve: Callable[[EtcdStore, float], object],
        answer: Callable[[object], None],
        seconds: float = 2.0,
    ) -> None:
        """Ask etcd."""
        self.weather.ask(self, serve, answer, seconds)

    def note(self, *what: object) -> None:
        """Remember for the story."""
        self.weather.note(self, *what)

    # Its time.

    def now(self) -> float:
        """Return what its clock shows."""
        return self._offset + self._pace * self.weather.moment()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many seconds, unless it is dead then."""
        self.weather.after(seconds, partial(self.do, action))

    def do(self, action: Callable[[], None]) -> None:
        """Do something now, or when it is thawed."""
        if self.is_frozen:
            self._backlog.append(action)
        elif not self.is_dead:
            action()

    def thaw(self) -> None:
        """Go on, with what waited first."""
        self.is_frozen = False
        backlog, self._backlog = self._backlog, []
        for action in backlog:
            self.do(action)

    def start(self) -> None:
        """Begin all that it does."""
        self._registration.look()
        self._life.look()
        self.look()
        self.beat()

    def leave(self) -> None:
        """Stop deciding, and end both leases."""
        leases = self._registration.lease, self._life.lease

        def serve(store: EtcdStore, now: float) -> None:
            for lease in leases:
                store.revoke(lease)

        self.ask(serve, lambda answer: None)
        self.is_dead = True

    # What it is told.

    def begin_anew(self, pairs: tuple[KeyValue, ...], revision: int) -> None:
        """Hear all that stands in etcd."""
        self.standing.begin_anew(pairs, revision)
        self._changed()

    def hear(self, changes: tuple[Change, ...], revision: int) -> None:
        """Hear what has changed."""
        self.standing.hear(changes, revision)
        self._changed()

    def _changed(self) -> None:
        others = self.standing.succession.others
        self._holders = {
            one: who for one, who in self._holders.items() if others.get(who[0]) == who[1]
        }
        self.may_decide()
        self._renew_life()

    def registered(self) -> None:
        """Know that a registration has changed."""
        self._renew_life()

    def _renew_life(self) -> None:
        standing = self._told()
        if standing.is_sure(self.now()) and standing.renews_life():
            self._life.look()

    def _told(self) -> Claimant:
        standing = self.standing
        standing.epoch, standing.sure_until = (
            self._registration.epoch,
            self._registration.sure_until,
        )
        standing.life_until = self._life.sure_until
        return standing

    # What it does by the clock.

    def look(self) -> None:
        """Judge what it may do, and bury the lost."""
        if not self.is_watching:
            self.watch += 1
            self.is_watching = self.weather.subscribe(self, self.standing.succession.revision)
        self.may_decide()
        self._renew_life()
        for burial in self.standing.burials(self.now()):
            self.note("buries")
            self.weather.ask(
                self, lambda store, now, due=burial: store.commit(due), lambda answer: None, 2.0
            )
        self.later(LOOK_SECONDS, self.look)

    def beat(self) -> None:
        """Tell the others that it lives, and whether it sees etcd."""
        now = self.now()
        sees, came = self._told().say_sight(now), self._came
        for gateway_id in self.standing.succession.others:
            beat = partial(
                self._beaten, self.gateway_id, self.number, now, came.get(gateway_id), sees
            )
            self.weather.tell(self, gateway_id, beat)
        self.later(BEAT_SECONDS, self.beat)

    @staticmethod
    def _beaten(
        gateway_id: str,
        number: int,
        sent: float,
        came: tuple[int, float] | None,
        sees: bool,
        hearer: Side,
    ) -> None:
        echo = came[1] if came is not None and came[0] == hearer.number else NEVER
        hearer._came[gateway_id] = number, sent
        hearer._said[gateway_id] = Said(hearer.now(), echo, sees)

    # What it decides.

    def may_decide(self) -> bool:
        return self._told().may_decide(self.now(), self._saying)

    def _saying(self, gateway_id: str) -> Said:
        return self._said.get(gateway_id, UNHEARD)

    def open(self, negotiation_id: str) -> None:
        """Own a new negotiation."""
        self.tenures[negotiation_id] = self._registration.epoch

    @property
    def epoch(self) -> int:
        return self._registration.epoch

    def owns(self, negotiation_id: str) -> bool:
        """Tell whether it owns it in its epoch."""
        return bool(self.epoch) and self.tenures.get(negotiation_id) == self.epoch

    def act(self, negotiation_id: str, hops: int = 0) -> None:
        """Handle an act of an agent: decide, take over, or send it on."""
        if self.owns(negotiation_id):
            if self.may_decide():
                if not self.standing.is_sure(self.now()):
                    self.blind += 1
                self.weather.decided(negotiation_id, self)
            return
        others = self.standing.membership.members
        holder = self._holders.get(negotiation_id)
        living, minter = {*others, self.gateway_id}, gateway_of(negotiation_id)
        heir = minter if minter in living else heir_of(negotiation_id, living)
        owner = holder[0] if holder else heir
        if owner == self.gateway_id:
            self._claim(negotiation_id)
        elif owner is not None and hops < HOPS_MAX:
            self.weather.tell(self, owner, lambda side: side.act(negotiation_id, hops + 1))

    def _claim(self, negotiation_id: str) -> None:
        """Ask for it; an answer that is lost is asked for until the epoch ends."""
        if negotiation_id not in self._claiming:
            standing = self._told()
            transaction = standing.claim(self.now(), negotiation_id)
            if not isinstance(transaction, Wait):
                self._claiming.add(negotiation_id)
                self._ask_for(negotiation_id, standing.epoch, transaction)

    def _ask_for(self, negotiation_id: str, epoch: int, transaction: Transaction) -> None:
        def serve(store: EtcdStore, now: float) -> object:
            try:
                return store.commit(transaction)
            except KeyError:
                return None  # the lease has ended

        self.weather.ask(
            self, serve, partial(self._hear_claim, negotiation_id, epoch, transaction), 2.0
        )

    def _hear_claim(
        self, negotiation_id: str, epoch: int, asked: Transaction, answer: object
    ) -> None:
        if isinstance(answer, Committed):
            self._claiming.discard(negotiation_id)
            claim = judged(answer, asked, self.gateway_id, epoch)
            self.note("claims", negotiation_id, claim.outcome, claim.gateway_id)
            holder = claim.gateway_id, claim.epoch
            if claim.outcome == "ours":
                self._count(negotiation_id, epoch)
            elif self.standing.succession.others.get(holder[0]) == holder[1]:
                self._holders[negotiation_id] = holder
        elif self.epoch != epoch:
            self._claiming.discard(negotiation_id)
        else:
            again = partial(self._ask_for, negotiation_id, epoch, asked)
            self.later(HEARTBEAT_SECONDS / 2, again)

    def _count(self, negotiation_id: str, epoch: int) -> None:
        """Own it as soon as nothing is promised."""
        if self.epoch != epoch:
            return
        now = self.now()
        pause = self.standing.counts_from(now) - now
        if pause > 0:
            self.later(pause + 0.01, lambda: self._count(negotiation_id, epoch))
        else:
            self.tenures[negotiation_id] = epoch
