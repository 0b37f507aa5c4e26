"""What carries things in a simulated cluster: questions to etcd, links, and the way to agents.

A link is in order and loses nothing while both of its ends keep their epochs; heartbeats get lost
where it is cut. What an agent is told goes over its home, again until it has arrived.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from federation.membership import MemberInfo
from policy.call import Call
from tests.simulation.ownership_agents import Agent, Contractor, Initiator
from tests.simulation.ownership_side import Side
from tests.support.etcd_store import EtcdStore
from tests.support.virtual_time import VirtualTime

ANSWER_SECONDS_MAX = 1.0
RETRY_SECONDS = 0.4


class Carriage:
    """Carries everything, as well as it can at the moment."""

    def __init__(self, rng: random.Random) -> None:
        """Draw who there is."""
        self._rng = rng
        self.draw = rng.random
        self._time = VirtualTime(100.0)
        self._trace: deque[tuple[object, ...]] = deque(maxlen=80)
        self.store = EtcdStore()
        self._etcd_up = True
        self._etcd_cut: dict[str, str] = {}
        self._cut: set[tuple[str, str]] = set()
        self._lines: dict[tuple[int, int], deque[Callable[[], None]]] = defaultdict(deque)
        self._slow_share = rng.choice((0.0, 0.0, 0.1))
        self._is_upgrade = False
        """Do gateways only leave, and nobody goes where it is a stranger?"""
        self._names = [f"g{number}" for number in range(rng.choice((2, 3, 3, 4)))]
        self.living: dict[str, Side] = {}
        homes = partial(rng.choice, self._names)
        self.contractors = {
            address: Contractor(self, address, homes())
            for address in (f"agent://c{number}" for number in range(rng.choice((1, 2, 3))))
        }
        self.initiators = {
            address: Initiator(self, address, homes())
            for address in (f"agent://i{number}" for number in range(rng.choice((1, 2, 3))))
        }
        self._key_of: dict[str, str] = {}
        """The call that a negotiation is of."""

    # What a process has around it.

    def now(self) -> float:
        return self._time.now

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._time.after(seconds, action)

    def ask(
        self, side: Side, serve: Callable[[EtcdStore], object], answer: Callable[[Any], None]
    ) -> None:
        """Ask etcd; a question may arrive though its answer does not."""
        give_up = self._time.now + ANSWER_SECONDS_MAX

        def arrive() -> None:
            served = None
            if self._reaches(side.gateway_id, "to"):
                self.store.expire(self._time.now)
                served = serve(self.store)
            back = self._time.now + self._delay()
            if not self._reaches(side.gateway_id, "from") or back > give_up:
                served = None
            at = back if served is not None else max(give_up, self._time.now)
            self._time.at(at, lambda: side.do(lambda: answer(served)))

        self._time.after(self._delay(), arrive)

    def beat(self, side: Side, gateway_id: str, what: Callable[[Side], None]) -> None:
        other = self.living.get(gateway_id)
        if other is not None and self._has_link(side, other) and not self._is_cut(side, other):
            self._time.after(self._delay(), lambda: other.do(lambda: what(other)))

    def tell_peer(self, side: Side, gateway_id: str, what: Callable[[Side], None]) -> bool:
        """Queue something on a link; it arrives in order, while both keep their epochs."""
        other = self.living.get(gateway_id)
        if other is None or not self._has_link(side, other):
            return False
        epochs = side.epoch, other.epoch

        def arrive() -> None:
            if (side.epoch, other.epoch) == epochs:
                other.do(lambda: what(other))

        line = self._lines[side.number, other.number]
        line.append(arrive)
        if len(line) == 1:
            self._time.after(self._delay(), partial(self._carry, side, other))
        return True

    def _carry(self, side: Side, other: Side) -> None:
        line = self._lines[side.number, other.number]
        if side.is_dead or other.is_dead:
            line.clear()
        elif self._is_cut(side, other):
            self._time.after(RETRY_SECONDS, partial(self._carry, side, other))
        else:
            line.popleft()()
            if line:
                self._time.after(self._delay(), partial(self._carry, side, other))

    def reaches(self, side: Side, info: MemberInfo) -> bool:
        other = self.living.get(info.gateway_id)
        return other is not None and self._can_talk(side, other)

    def call_out(self, side: Side, contractor: str, negotiation_id: str) -> None:
        agent = self.contractors[contractor]
        self._tell_agent(side, agent, lambda: agent.hear_call(negotiation_id))

    def tell_award(self, side: Side, contractor: str, negotiation_id: str) -> None:
        agent, key = self.contractors[contractor], self._key_of[negotiation_id]
        self._tell_agent(side, agent, lambda: self.awarded(key, negotiation_id, contractor))

    def tell_outcome(self, side: Side, call: Call, outcome: Mapping[str, Any]) -> None:
        agent = self.initiators[call.initiator]
        self._tell_agent(side, agent, lambda: agent.hear_outcome(call.msg_id, outcome))

    def _tell_agent(self, side: Side, agent: Agent, hear: Callable[[], None]) -> None:
        """Bring something to an agent over its home, again until it is there."""

        def again() -> None:
            self._time.after(RETRY_SECONDS, lambda: side.do(attempt))

        def attempt() -> None:
            home = self.living.get(agent.home)
            if home is None or (home is not side and not self._can_talk(side, home)):
                again()
            else:
                self._time.after(self._delay(), lambda: home.do(partial(arrive, home)))

        def arrive(home: Side) -> None:
            if agent.home == home.gateway_id:
                hear()
            else:
                again()

        attempt()

    # What agents have around them.

    def tell_home(self, agent: Agent, what: Callable[[Side], None]) -> None:
        def arrive() -> None:
            home = self.living.get(agent.home)
            if home is None:
                self._time.after(RETRY_SECONDS, arrive)
            else:
                home.do(lambda: what(home))

        self._time.after(self._delay(), arrive)

    def move(self, agent: Agent) -> bool:
        old = self.living.get(agent.home)
        staying = [side for side in self.living.values() if not side.is_leaving]
        if self._is_upgrade and old is not None:  # who has just started is not ready
            staying = [one for one in staying if self._can_talk(one, old)]
        names = [one.gateway_id for one in staying if one is not old]
        if not names:
            return True
        agent.home = self._rng.choice(names)
        new = self.living[agent.home]
        resumes = old is new or (
            old is not None and old.frozen_at is None and self._can_talk(new, old)
        )
        self.note(agent.address, "goes to", new, "and goes on" if resumes else "as a stranger")
        return resumes

    def awarded(self, key: str, negotiation_id: str, winner: str) -> None:
        """Hear that somebody was told of an award."""

    def called_again(self, key: str) -> None:
        """Hear that somebody calls a second time."""

    # What there is in between.

    def _has_link(self, side: Side, other: Side) -> bool:
        known, own = side.membership.members.get(other.gateway_id), other.membership.members
        return (
            known is not None
            and known.epoch == other.epoch
            and side.gateway_id in own
            and own[side.gateway_id].epoch == side.epoch
        )

    def _is_cut(self, side: Side, other: Side) -> bool:
        return (side.gateway_id, other.gateway_id) in self._cut

    def _can_talk(self, side: Side, other: Side) -> bool:
        return self._has_link(side, other) and not self._is_cut(side, other)

    def _reaches(self, gateway_id: str, way: str) -> bool:
        return self._etcd_up and self._etcd_cut.get(gateway_id) not in ("both", way)

    def _delay(self) -> float:
        if self._slow_share and self.draw() < self._slow_share:
            return 1.5 * self.draw()
        return 0.001 + 0.02 * self.draw()

    def note(self, *what: object) -> None:
        """Remember for the story, put into words only if somebody will read it."""
        self._trace.append((round(self._time.now, 2), *what))

    @property
    def story(self) -> str:
        """Return what happened last, in words."""
        return "\n".join(" ".join(" ".join(map(str, what)).split()) for what in self._trace)
