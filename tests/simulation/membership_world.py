"""A cluster of gateways and its etcd, in a weather drawn from a seed.

Gateways crash and start anew, freeze for longer than a lease, leave, and come for the first time;
etcd goes down, freezes, restarts, forgets what was compacted; gateways are cut off from it, both
ways or one, and from each other; what they say is held up for seconds; their clocks differ in
offset and pace. All the while agents act in negotiations, anywhere.

Always: of each negotiation at most one gateway is the owner that acts; when another one has acted,
an earlier one never does again. Then all heals, and everybody agrees on who there is and who owns
what, and every negotiation is decided by the one who does.

`python -m tests.simulation.membership_world --seeds 10000` plays more than the tests do.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from functools import partial

from tests.simulation.membership_network import Network
from tests.simulation.membership_side import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    LIFE_SECONDS,
    Side,
)

STORM_SECONDS = 22.0
HEALED_SECONDS = LIFE_SECONDS + LEASE_SECONDS + 4 * HEARTBEAT_SECONDS
SETTLE_SECONDS = 0.4
EXPIRY_SECONDS = 0.5
ACT_SECONDS = 0.2
NEGOTIATIONS_MAX = 5
GATEWAYS_MAX = 7


class Violation(Exception):
    """What must not be."""


class Disagreement(Exception):
    """What may be for a while."""


class Broken(AssertionError):
    """A seed failed; says which, and what happened last."""

    def __init__(self, seed: int, error: Exception, trace: str) -> None:
        self.seed = seed
        super().__init__(f"{trace}\nseed {seed}: {error!r}")


class World(Network):
    """What one seed draws."""

    def __init__(self, seed: int) -> None:
        """Draw the manner of the weather."""
        self.seed = seed
        super().__init__(random.Random(seed))
        self._number = 0
        self._negotiations: list[str] = []
        self._owners: dict[str, list[tuple[Side, int]]] = {}
        self.decisions = 0
        self.takeovers = 0
        self.blind = 0

    def decided(self, negotiation_id: str, side: Side) -> None:
        """See to it that nobody decides who must not any more."""
        owners, owner = self._owners[negotiation_id], (side, side.epoch)
        self.decisions += 1
        if owners and owners[-1] == owner:
            return
        self.note(side, "begins to decide", negotiation_id, "in epoch", side.epoch)
        if owner in owners:
            raise Violation(f"{side} decides {negotiation_id} again, after {owners[-1][0]} did")
        before = owners[-1][0] if owners else side
        owners.append(owner)
        self.takeovers += len(owners) > 1
        for other in self.living.values():
            if other is side or other.is_frozen or not other.owns(negotiation_id):
                continue
            if other.may_decide():
                raise Violation(f"{side} and {other} decide {negotiation_id}, before: {before}")

    # The weather.

    def _start(self, gateway_id: str) -> None:
        if gateway_id in self.living:
            return
        self._number += 1
        pace = 1.0 + 0.02 * (2 * self._draw() - 1)
        side = Side(self, gateway_id, self._number, 1000 * self._draw(), pace)
        self.living[gateway_id] = side
        self.note(side, "starts")
        side.start()

    def _come(self) -> None:
        if self._number < GATEWAYS_MAX:
            self._start(f"n{self._number}")

    def _crash(self) -> None:
        side = self._any_side()
        if side is not None:
            self.note(side, "crashes")
            self._end(side)
            side.is_dead = True

    def _leave(self) -> None:
        side = self._any_side()
        if side is not None and not side.is_frozen:
            self.note(side, "leaves")
            side.leave()
            self._end(side)

    def _end(self, side: Side) -> None:
        del self.living[side.gateway_id]
        self.blind += side.blind
        if self._draw() < 0.7:
            back = partial(self._start, side.gateway_id)
            self._time.after(self._rng.choice((0.5, 3.0, 8.0)) * self._draw(), back)

    def _freeze(self) -> None:
        side = self._any_side()
        if side is not None and not side.is_frozen:
            self.note(side, "freezes")
            side.is_frozen = True
            self._time.after(1.0 + 8.0 * self._draw(), partial(self._thaw, side))

    def _thaw(self, side: Side) -> None:
        if side.is_frozen:
            self.note(side, "thaws")
            side.thaw()

    def _cut_from_etcd(self) -> None:
        names = list(self.living)
        if names:
            chosen = self._rng.sample(names, self._rng.randint(1, len(names)))
            way = self._rng.choice(("both", "both", "to", "from"))
            self.note("cut from etcd:", *chosen, way)
            for gateway_id in chosen:
                self._etcd_cut[gateway_id] = way
            self._time.after(self._long(), partial(self._mend_etcd, chosen))

    def _flicker(self) -> None:
        """Let one gateway, or all, be cut off from etcd, or not be any more."""
        names = list(self.living)
        chosen = names if self._draw() < 0.4 else names and [self._rng.choice(names)]
        if self._draw() < 0.6:
            self.note("cut from etcd:", *chosen)
            self._etcd_cut.update(dict.fromkeys(chosen, "both"))
        else:
            self._mend_etcd(chosen)

    def _dim(self) -> None:
        """Cut all off from etcd; then one sees it again, and perhaps only for a while."""
        names = list(self.living)
        self.note("cut from etcd:", *names)
        self._etcd_cut.update(dict.fromkeys(names, "both"))
        self._rng.shuffle(names)
        when = (0.8 + 1.2 * self._draw()) * LEASE_SECONDS
        for gateway_id in names[: self._rng.choice((1, 1, len(names)))]:
            self._time.after(when, partial(self._mend_etcd, [gateway_id]))
            if self._draw() < 0.5:
                again = when + 1.5 * LEASE_SECONDS * self._draw()
                self._time.after(again, partial(self._cut_off, gateway_id))
            when += 3.0 * self._draw()

    def _cut_off(self, gateway_id: str) -> None:
        if self._is_stormy:
            self.note("cut from etcd:", gateway_id)
            self._etcd_cut[gateway_id] = "both"

    def _mend_etcd(self, chosen: list[str]) -> None:
        self.note("mended to etcd:", *chosen)
        for gateway_id in chosen:
            self._etcd_cut.pop(gateway_id, None)
            for number in range(1, 10):
                self._time.after(0.5 * number, partial(self._press, gateway_id))

    def _press(self, gateway_id: str) -> None:
        """Let agents act in every negotiation through one gateway."""
        side = self.living.get(gateway_id)
        if side is not None and not side.is_frozen and self._is_stormy:
            for negotiation_id in self._negotiations:
                side.act(negotiation_id)

    def _split(self) -> None:
        """Cut some gateways off from etcd and from all others."""
        names = list(self.living)
        if names:
            lost = set(self._rng.sample(names, self._rng.randint(1, max(1, len(names) - 1))))
            self.note("split off:", *sorted(lost))
            ways = {
                way
                for one in lost
                for other in names
                if other not in lost
                for way in ((one, other), (other, one))
            }
            self._cut.update(ways)
            self._etcd_cut.update(dict.fromkeys(lost, "both"))
            seconds = self._long()
            self._time.after(seconds, partial(self._mend_etcd, sorted(lost)))
            self._time.after(seconds, lambda: self._cut.difference_update(ways))

    def _cut_apart(self) -> None:
        names = list(self.living)
        if len(names) > 1:
            one, other = self._rng.sample(names, 2)
            ways = self._rng.choice((((one, other), (other, one)), ((one, other),)))
            self.note("cut apart:", *ways)
            self._cut.update(ways)
            self._time.after(self._long(), lambda: self._cut.difference_update(ways))

    def _etcd_down(self) -> None:
        """Let etcd be away; it was killed and starts anew, or was frozen and goes on."""
        if self._etcd_up:
            is_killed = self._draw() < 0.6
            self.note("etcd is", "killed" if is_killed else "frozen")
            self._etcd_up = False
            for side in self.living.values():
                side.is_watching = False
            self._time.after(self._long(), partial(self._etcd_back, is_killed))

    def _etcd_back(self, was_killed: bool) -> None:
        if not self._etcd_up:
            self.note("etcd is back")
            self._etcd_up = True
            if was_killed:
                self.store.restart(self._time.now)

    def _etcd_elects(self) -> None:
        self.note("etcd has another leader")
        self.store.restart(self._time.now)

    def _long(self) -> float:
        return self._rng.choice((1.0, LEASE_SECONDS, 4 * LEASE_SECONDS)) * (0.5 + self._draw())

    def _expire(self) -> None:
        """Let leases end, as etcd does twice a second."""
        if self._etcd_up:
            self.store.expire(self._time.now)
            self._tell_watchers()
        self._time.after(EXPIRY_SECONDS, self._expire)

    def _act(self) -> None:
        """Let agents act: in a new negotiation, or in any, through any gateway."""
        side = self._any_side()
        if side is not None and not side.is_frozen:
            if side.epoch and (len(self._negotiations) < 2 or self._draw() < 0.05):
                self._open(side)
            if self._negotiations:
                side.act(self._rng.choice(self._negotiations))
        if self._is_stormy:
            self._time.after(ACT_SECONDS, self._act)

    def _open(self, side: Side) -> None:
        negotiation_id = f"{side.gateway_id}.0.{len(self._negotiations)}"
        if len(self._negotiations) < NEGOTIATIONS_MAX:
            side.open(negotiation_id)
            self._negotiations.append(negotiation_id)
            self._owners[negotiation_id] = []

    def _any_side(self) -> Side | None:
        return self._rng.choice(list(self.living.values())) if self.living else None

    # The run.

    def run(self) -> World:
        """Play the seed to its end. Raises Broken."""
        try:
            self._storm()
            self._heal()
        except Exception as error:
            raise Broken(self.seed, error, self._story()) from error
        return self

    def _storm(self) -> None:
        rng, at = self._rng, self._time
        for number in range(rng.choice((1, 2, 3, 3, 4))):
            at.after(2.0 * self._draw() * rng.choice((0, 1)), partial(self._start, f"g{number}"))
        self._expire()
        self._act()
        begin = at.now + rng.choice((0.5, 2.0, 4.0))
        is_dim = rng.random() < 0.6
        moves = [
            move
            for move, count in (
                (self._crash, rng.choice((0, 1, 2))),
                (self._leave, rng.choice((0, 0, 1))),
                (self._freeze, rng.choice((0, 1, 2))),
                (self._come, rng.choice((0, 1, 2, 3))),
                (self._cut_from_etcd, rng.choice((0, 1, 2))),
                (self._split, rng.choice((0, 0, 1, 2))),
                (self._flicker, rng.choice((0, 4, 10)) if is_dim else 0),
                (self._dim, rng.choice((0, 1, 1, 2)) if is_dim else 0),
                (self._cut_apart, rng.choice((0, 1, 2))),
                (self._etcd_down, rng.choice((0, 0, 1))),
                (self._etcd_elects, rng.choice((0, 0, 1))),
            )
            for _ in range(count)
        ]
        end = at.now + STORM_SECONDS
        for move in moves:
            at.at(begin + (end - begin) * self._draw(), move)
        at.run_until(end)

    def _heal(self) -> None:
        """Let everything work, and wait until nobody has to wait any more."""
        self.note("all heals")
        self._calm()
        self._etcd_back(was_killed=True)
        for side in self.living.values():
            self._thaw(side)
        if not self.living:
            self._start("g0")
        self._come = self._crash = lambda: None  # type: ignore[method-assign]  # it is over
        patient_until = self._time.now + HEALED_SECONDS
        while not self._is_agreed(self._time.now > patient_until):
            pass
        self.blind += sum(side.blind for side in self.living.values())

    def _is_agreed(self, is_late: bool) -> bool:
        """Tell whether everybody agrees; raises if that takes too long."""
        self._time.run_until(self._time.now + LEASE_SECONDS)
        try:
            self._check()
        except Disagreement as error:
            if is_late:
                raise Violation(f"{error}, though all is well since long") from error
            return False
        return True

    def _check(self) -> None:
        """Raise if not everybody agrees on who there is, and who decides what."""
        there = {name: side.epoch for name, side in self.living.items()}
        for name, side in self.living.items():
            known = {one: info.epoch for one, info in side.standing.membership.members.items()} | {
                name: side.epoch
            }
            if known != there or not side.epoch:
                raise Disagreement(f"{side} knows {known}, there is {there}")
            if not side.may_decide():
                raise Disagreement(f"{side} may not decide, and all is well")
        for _ in range(2):  # the second time the one who took over decides
            self._act_everywhere()
        before = self.decisions
        self._act_everywhere()
        for negotiation_id in self._negotiations:
            owners = [side for side in self.living.values() if side.owns(negotiation_id)]
            decided = self._owners[negotiation_id]
            if len(owners) != 1 or not decided or decided[-1][0] is not owners[0]:
                raise Disagreement(f"{negotiation_id} is owned by {[str(one) for one in owners]}")
        if self.decisions != before + len(self.living) * len(self._negotiations):
            raise Disagreement("not every act gets to the owner")

    def _act_everywhere(self) -> None:
        for side in self.living.values():
            for negotiation_id in self._negotiations:
                side.act(negotiation_id)
        self._time.run_until(self._time.now + SETTLE_SECONDS)

    def _story(self) -> str:
        return "\n".join(" ".join(" ".join(map(str, what)).split()) for what in self._trace)


def main(arguments: list[str] | None = None) -> int:
    """Play seeds; returns 1 at the first that fails, after its last events."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.membership_world")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of them")
    chosen = parser.parse_args(arguments)
    began = time.perf_counter()
    decisions = takeovers = blind = 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        try:
            world = World(seed).run()
        except Broken as broken:
            sys.stdout.write(f"{broken}\n")
            return 1
        decisions += world.decisions
        takeovers += world.takeovers
        blind += world.blind
    seconds = time.perf_counter() - began
    sys.stdout.write(
        f"{chosen.seeds} seeds from {chosen.first} hold, {chosen.seeds / seconds:.0f} a second: "
        f"{decisions} decisions, {blind} of them blind, {takeovers} takeovers\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
