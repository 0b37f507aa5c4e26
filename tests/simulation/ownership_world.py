"""Gateways, agents and etcd in a weather drawn from a seed, and what must hold in it.

- Of one call nobody is told two awards: not contractors by accepts, not its initiator by outcomes.
  With one exception, which takes two failures: an award was told unwritten because nobody could see
  etcd, *and* its gateway was lost before it could write it, so that its initiator called again
  elsewhere. It is counted.
- No gateway decides while it is registered no more, if one that it knows could have taken its
  place: one that is dead, or has seen etcd for longer than a promise lasts.
- When all has healed, every call ends, every gateway knows all others, and every award that was
  told stands in etcd, or the gateway that told it has said that it does not.
- Where gateways only leave, as in a rolling upgrade, every call is awarded without a second one.

`python -m tests.simulation.ownership_world --seeds 10000` plays more than the tests do.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, get_args

from tests.simulation.directories import Broken
from tests.simulation.directory_side import Violation
from tests.simulation.ownership_agents import Agent
from tests.simulation.ownership_roads import Carriage
from tests.simulation.ownership_side import (
    AWARDS,
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    LOOK_SECONDS,
    SIGHT_SECONDS,
    Side,
)
from tests.simulation.play import silent_logs

Weather = Literal[
    "all", "etcd is well", "nobody is lost", "gateways leave", "etcd is away", "etcd stumbles"
]

STORM_SECONDS = 16.0
HEALED_SECONDS_MAX = 40.0
EXPIRY_SECONDS = 0.5
PROMISE_SECONDS = 3 * HEARTBEAT_SECONDS
SLACK_SECONDS = 2 * LOOK_SECONDS + 0.5
"""Between two looks, and on the way, a gateway cannot know."""
LEAVE_SECONDS = 1.5
"""Time for agents to notice that they shall go elsewhere."""


class World(Carriage):
    """What one seed draws."""

    def __init__(self, seed: int, weather: Weather = "all") -> None:
        """Draw everything that is drawn beforehand."""
        super().__init__(random.Random(seed))
        self.seed = seed
        self.weather = weather
        self.writes_awards = self.draw() < 0.75
        self._number = self._minted = 0
        self._ended_at: dict[str, float] = {}
        self._opened: dict[str, list[str]] = defaultdict(list)
        self._awards: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self.again: set[str] = set()
        self._unwritten: dict[str, Side] = {}
        """Who has told an award before it was written."""
        self.decisions = self.blind = self.doubles = self.inherited = 0
        if weather == "gateways leave":
            self._is_upgrade, self._slow_share = True, 0.0

    # What must hold.

    def decides(self, side: Side, negotiation_id: str) -> None:
        self.decisions += 1
        self._check_place(side, negotiation_id)

    def carries_out(self, side: Side, negotiation_id: str, outcome: Mapping[str, Any]) -> None:
        self.note(side, "tells", negotiation_id, outcome["state"], len(outcome["winners"]))
        if outcome["winners"] and self.writes_awards and not self._stands(negotiation_id):
            self.blind += 1
            self._unwritten[negotiation_id] = side
            self._check_place(side, negotiation_id)
            if self._is_sure(side):
                raise Violation(f"{side} tells {negotiation_id} unwritten, and its lease is sure")

    def _stands(self, negotiation_id: str) -> bool:
        records = self.store.under(AWARDS)
        return any(negotiation_id.encode() in pair.value for pair in records)

    def _is_sure(self, side: Side) -> bool:
        return self._time.now < side.sure_until

    def _check_place(self, side: Side, negotiation_id: str) -> None:
        """Raise when somebody could have taken the place of a gateway that decides."""
        now = self._time.now
        if self._etcd_up:
            self.store.expire(now)
        pair = self.store.pairs.get(side.own_key)
        if pair is not None and pair.create_revision == side.epoch:
            return
        for name in side.membership.members:
            other = self.living.get(name)
            quiet = self._ended_at.get(name, now) if other is None else other.frozen_at
            if quiet is not None and now - quiet > PROMISE_SECONDS + SLACK_SECONDS:
                raise Violation(f"{side} decides {negotiation_id}, and {name} was long quiet")
            sees = other is not None and now - other.answered_at < SIGHT_SECONDS
            if other is not None and quiet is None and sees:
                since = now - max(other.sees_since, side.sure_until - LEASE_SECONDS)
                if since > PROMISE_SECONDS + SLACK_SECONDS:
                    raise Violation(f"{side} decides {negotiation_id}, and {other} sees etcd")

    def awarded(self, key: str, negotiation_id: str, winner: str) -> None:
        awards = self._awards[key]
        if (negotiation_id, winner) in awards:
            return
        awards.add((negotiation_id, winner))
        self.note(key, "is awarded to", winner, "in", negotiation_id)
        if len(awards) == 1 or not (self.writes_awards or self.weather == "gateways leave"):
            return
        tellers = [self._unwritten[one] for one, _ in awards if one in self._unwritten]
        if not any(map(self._is_kept_from_etcd, tellers)) or len(self._opened[key]) == 1:
            raise Violation(f"{key} has two awards: {sorted(awards)}")
        self.doubles += 1

    def _is_kept_from_etcd(self, side: Side) -> bool:
        """Tell whether a process cannot write what it has told."""
        return side.is_dead or side.frozen_at is not None or side.gateway_id in self._etcd_cut

    def called_again(self, key: str) -> None:
        self.note(key, "is called again")
        self.again.add(key)

    def mint(self, side: Side, key: str) -> str:
        self._minted += 1
        negotiation_id = f"{side.gateway_id}.0.{self._minted}-t"
        self._key_of[negotiation_id] = key
        self._opened[key].append(negotiation_id)
        self.note(side, "opens", negotiation_id, "for", key)
        return negotiation_id

    # The weather.

    def _start(self, gateway_id: str) -> None:
        if gateway_id not in self.living:
            self._number += 1
            side = Side(self, gateway_id, self._number, writes_awards=self.writes_awards)
            self.living[gateway_id] = side
            self._ended_at.pop(gateway_id, None)
            self.note(side, "starts")
            side.look()

    def _call(self) -> None:
        initiator = self._rng.choice(list(self.initiators.values()))
        self.note(initiator.address, "calls")
        initiator.call(self._rng.choice(("flow/low", "flow/high")))

    def _crash(self) -> None:
        side = self._any_side()
        if side is not None:
            self.note(side, "crashes")
            self._end(side, self._rng.choice((0.5, 5.0, 12.0)) * self.draw())

    def _leave(self) -> None:
        """Let a gateway hand over what it has, and end a little later; one at a time."""
        side, others = self._any_side(), len(self.living) - 1
        is_one = not any(one.is_leaving for one in self.living.values())
        if side is not None and side.frozen_at is None and others and is_one:
            self.note(side, "leaves")
            side.is_leaving = True
            self._time.after(LEAVE_SECONDS + self.draw(), partial(self._left, side))

    def _left(self, side: Side) -> None:
        if not side.is_dead and side.frozen_at is None:
            self.inherited += len(side.known)
            if self._reaches(side.gateway_id, "to"):
                self.store.revoke(side._lease)
            self._end(side, 1.0 + 3.0 * self.draw())

    def _end(self, side: Side, back_in: float) -> None:
        side.is_dead = True
        del self.living[side.gateway_id]
        self._ended_at[side.gateway_id] = self._time.now
        self._time.after(back_in, partial(self._start, side.gateway_id))

    def _freeze(self) -> None:
        side = self._any_side()
        if side is not None and side.frozen_at is None:
            self.note(side, "freezes")
            side.frozen_at = self._time.now
            self._time.after(1.0 + 2.0 * LEASE_SECONDS * self.draw(), partial(self._thaw, side))

    def _thaw(self, side: Side) -> None:
        if side.frozen_at is not None:
            self.note(side, "thaws")
            side.thaw()

    def _cut_from_etcd(self) -> None:
        chosen = self._rng.sample(self._names, self._rng.randint(1, len(self._names)))
        way = self._rng.choice(("both", "both", "to", "from"))
        self.note("cut from etcd:", *chosen, way)
        for name in chosen:
            self._etcd_cut[name] = way
        self._time.after(self._long(), partial(self._mend_etcd, chosen))

    def _mend_etcd(self, chosen: list[str]) -> None:
        self.note("mended to etcd:", *chosen)
        for name in chosen:
            self._etcd_cut.pop(name, None)

    def _cut_apart(self) -> None:
        one, other = self._rng.sample(self._names, 2)
        ways = self._rng.choice((((one, other), (other, one)), ((one, other),)))
        self.note("cut apart:", *ways)
        self._cut.update(ways)
        self._time.after(self._long(), lambda: self._cut.difference_update(ways))

    def _etcd_down(self) -> None:
        """Let etcd be away; it was killed and its leases begin anew, or it was frozen."""
        if self._etcd_up:
            self.note("etcd is away")
            self._etcd_up = False
            self._time.after(self._long(), self._etcd_back)

    def _etcd_back(self) -> None:
        if not self._etcd_up:
            self.note("etcd is back")
            self._etcd_up = True
            if self.draw() < 0.6:
                self.store.restart(self._time.now)

    def _lose_line(self) -> None:
        """Let an agent's connection break, so that it goes elsewhere."""
        agents: list[Agent] = [*self.initiators.values(), *self.contractors.values()]
        if self.living:
            self._rng.choice(agents).move()

    def _long(self) -> float:
        return self._rng.choice((1.0, LEASE_SECONDS, 3 * LEASE_SECONDS)) * (0.5 + self.draw())

    def _expire(self) -> None:
        if self._etcd_up:
            self.store.expire(self._time.now)
        self._time.after(EXPIRY_SECONDS, self._expire)

    def _any_side(self) -> Side | None:
        """Return a process, often one that has much to lose."""
        sides = list(self.living.values())
        busy = [side for side in sides if side.table.open_count]
        return self._rng.choice(self._rng.choice((sides, busy or sides))) if sides else None

    # The run.

    def run(self) -> World:
        """Play the seed to its end. Raises Broken."""
        try:
            self._storm()
            self._heal()
        except Exception as error:
            raise Broken(self.seed, error, self.story) from error
        return self

    def _storm(self) -> None:
        choose, at = self._rng.choice, self._time
        for name in self._names:
            self._start(name)
        self._expire()
        at.run_until(at.now + 1.0)
        for agent in (*self.initiators.values(), *self.contractors.values()):
            at.after(self.draw(), agent.look)
        stumbles = self.weather == "etcd stumbles"
        etcd = self.weather in ("all", "nobody is lost")
        lost = self.weather in ("all", "etcd is well", "etcd is away")
        if self.weather == "etcd is away":
            self._etcd_up = False
        often = {
            self._leave: choose((1, 2))
            if self.weather == "gateways leave"
            else lost and choose((0, 0, 1)),
            self._crash: lost and choose((0, 1, 1, 2)),
            self._freeze: (lost or stumbles) and choose((0, 1, 2)),
            self._lose_line: 5
            if stumbles or self.weather == "etcd is away"
            else lost and choose((0, 1, 3)),
            self._cut_apart: lost and choose((0, 1, 2)),
            self._cut_from_etcd: (etcd or stumbles) and choose((0, 1, 2)),
            self._etcd_down: stumbles or (etcd and choose((0, 0, 1))),
        }
        calls = [STORM_SECONDS * self.draw() for _ in range(choose((1, 2, 4)))]
        for moment in calls:
            at.after(moment, self._call)
        for move, count in often.items():
            for _ in range(count):
                near = choose(calls) + 1.5 * self.draw()
                at.after(choose((near, STORM_SECONDS * self.draw())), move)
        at.run_until(at.now + STORM_SECONDS)

    def _heal(self) -> None:
        """Let everything work until all calls have ended and all gateways know each other."""
        self.note("all heals")
        self._slow_share = 0.0
        self._etcd_cut.clear()
        self._cut.clear()
        self._etcd_back()
        for side in self.living.values():
            self._thaw(side)
        until = self._time.now + HEALED_SECONDS_MAX
        while (fault := self._fault()) is not None:
            if self._time.now >= until:
                raise Violation(fault)
            self._time.run_until(self._time.now + 1.0)
        if self._is_upgrade:
            self._check_upgrade()

    def _fault(self) -> str | None:
        """Return what is not as it should be in the end."""
        there = {name: side.epoch for name, side in self.living.items()}
        for name, side in self.living.items():
            known = {one: info.epoch for one, info in side.membership.members.items()}
            if known | {name: side.epoch} != there or not side.may_decide():
                return f"{side} knows {known}, there is {there}"
        for initiator in self.initiators.values():
            if initiator.is_waiting:
                return f"{initiator.address} has not heard of all its calls"
        if len(self.living) < len(self._names):
            return "not everybody is back"
        for negotiation_id, side in self._unwritten.items():
            if not (side.is_dead or side.gate.doubled or self._stands(negotiation_id)):
                return f"{negotiation_id} was told and never written"
        return None

    def _check_upgrade(self) -> None:
        """Raise when something was lost though gateways have only left, one after the other."""
        if self.again:
            raise Violation(f"{sorted(self.again)} had to be called again")
        for initiator in self.initiators.values():
            for msg_id, issue in initiator.issues.items():
                (outcome,) = issue.outcomes
                expected = len(self.contractors) if issue.policy == "flow/high" else 1
                if not outcome["winners"] or outcome["offers"] < expected:
                    raise Violation(f"an offer for {msg_id} of {initiator.address} was lost")


def main(arguments: list[str] | None = None) -> int:
    """Play seeds; returns 1 at the first that fails, after its last events."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.ownership_world")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of them")
    parser.add_argument("--weather", default="all", choices=get_args(Weather))
    chosen = parser.parse_args(arguments)
    began = time.perf_counter()
    decisions = blind = doubles = inherited = 0
    with silent_logs():
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            try:
                world = World(seed, chosen.weather).run()
            except Broken as broken:
                sys.stdout.write(f"{broken}\n")
                return 1
            decisions += world.decisions
            blind += world.blind
            doubles += world.doubles
            inherited += world.inherited
    seconds = time.perf_counter() - began
    sys.stdout.write(
        f"{chosen.seeds} seeds from {chosen.first} hold, {chosen.seeds / seconds:.0f} a second: "
        f"{decisions} decisions, {inherited} negotiations inherited, {blind} awards told blind, "
        f"{doubles} calls with a second award\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
