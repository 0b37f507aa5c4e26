"""Several gateways tell each other where agents are, in a weather drawn from a seed.

Agents come, change, move and leave; gateways crash, start anew, lose their registration and find
it again; links are cut off, stall, overflow. Discovery is slow: each gateway looks at the
membership when chance lets it. At every moment what a gateway has learned is what its directory
says. Then all heals, and within `ROUNDS_MAX` rounds every gateway knows where every agent is,
exactly.

`python -m tests.simulation.directories --seeds 10000` plays more than the tests do.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import deque
from collections.abc import Callable

from llmx.v1.peering_pb2 import DirectoryUpdate
from tests.simulation.directory_side import TENANT, Cable, Side, Soul, Violation
from tests.simulation.directory_truth import check_agreement

TOPICS = ("work", "play", "local/food", "local/music")
STEPS = 110
ROUNDS_MAX = 8


class Broken(AssertionError):
    """A seed failed; says which, and what happened last."""

    def __init__(self, seed: int, error: Exception, trace: str) -> None:
        self.seed = seed
        super().__init__(f"{trace}\nseed {seed}: {error!r}")


class World:
    """What one seed draws."""

    def __init__(self, seed: int) -> None:
        """Draw everything that is drawn beforehand."""
        self.seed = seed
        rng = self._rng = random.Random(seed)
        self._trace: deque[tuple[object, ...]] = deque(maxlen=60)
        self._room = rng.choice((2, 6, 30, 1_000, 1_000))
        self._bytes_max = rng.choice((1, 60, 10_000))
        self._regions = rng.choice((("eu",), ("eu", "us"), ("eu", "us", "ap")))
        self._cables: dict[tuple[str, str], Cable] = {}
        self._cut: set[frozenset[str]] = set()
        self._names = [f"g{number}" for number in range(rng.choice((2, 3, 3, 4, 5)))]
        self._epoch = 0
        self._clock = 0
        self.living: dict[str, Side] = {}
        self.souls = {
            agent_id: Soul(agent_id)
            for agent_id in (f"agent://{name}" for name in "abcdef"[: rng.choice((1, 3, 6))])
        }
        self.told = 0
        """Updates that were delivered."""
        self._moves = self._weather()

    def _weather(self) -> list[Callable[[], None]]:
        """Draw how often what happens."""
        rng = self._rng
        often = {
            self._connect_agent: 12,
            self._change_agent: 8,
            self._part_agent: rng.choice((2, 6)),
            self._end_grace: 2,
            self._drain: 20,
            self._deliver: rng.choice((12, 30)),
            self._check: 2,
            self._look: 14,
            self._crash: rng.choice((0, 1, 3)),
            self._start: 6,
            self._lose_registration: rng.choice((0, 0, 2)),
            self._register_again: 3,
            self._flicker: rng.choice((0, 0, 1)),
            self._cut_off: rng.choice((0, 2)),
            self._mend: 2,
            self._put_group: rng.choice((0, 4)),
            self._put_schema: rng.choice((0, 1)),
            self._swallow: rng.choice((0, 0, 0, 1)),
        }
        return [move for move, count in often.items() for _ in range(count)]

    # ------------------------------------------------------------------ what may happen

    def _connect_agent(self) -> None:
        """Let an agent come, or move; its old home hears of that by the directory alone."""
        side, soul = self._any_side(), self._any_soul()
        if side is not None:
            self._note(f"{soul.agent_id} comes to {side} from {soul.home}")
            soul.home, soul.is_away = side.name, False
            self._draw_topics(soul)
            side.tell_of(soul)

    def _change_agent(self) -> None:
        soul = self._any_soul()
        if soul.home is not None:
            self._draw_topics(soul)
            soul.is_away = self._rng.random() < 0.3
            self._note(f"{soul.agent_id} at {soul.home} hears {sorted(soul.topics)}")
            self.living[soul.home].tell_of(soul)

    def _draw_topics(self, soul: Soul) -> None:
        soul.topics = frozenset(topic for topic in TOPICS if self._rng.random() < 0.4)

    def _part_agent(self) -> None:
        soul = self._any_soul()
        if soul.home is not None:
            self._note(f"{soul.agent_id} leaves {soul.home}")
            self.living[soul.home].give_up(soul.agent_id)
            soul.home = None

    def _end_grace(self) -> None:
        """Let a gateway give up an agent that has no stream there."""
        side, soul = self._any_side(), self._any_soul()
        if side is not None and soul.home != side.name:
            side.give_up(soul.agent_id)

    def _drain(self) -> None:
        side = self._any_side()
        if side is not None:
            self._tell(side)

    def _tell(self, side: Side) -> bool:
        changes = side.announcer.drain()
        for other in side.members:
            cable = self.cable(side, other)
            if cable is None:
                continue
            is_near = self.living[other].region == side.region
            for update in changes.near if is_near else changes.far:
                if not cable.send(update):
                    self._note(f"{side} has no room for an update to {other}")
        return bool(changes)

    def _deliver(self) -> None:
        if self._cables:
            ends = self._rng.choice(list(self._cables))
            self._carry(ends, self._rng.choice((1, 1, 3, 10)))

    def _carry(self, ends: tuple[str, str], most: int) -> bool:
        cable = self._cables[ends]
        if frozenset(ends) in self._cut or not cable.updates:
            return False
        sender, receiver = ends
        for _ in range(min(most, len(cable.updates))):
            update = DirectoryUpdate.FromString(cable.updates.popleft())
            self._note(receiver, "hears", sender, update)
            self.living[receiver].hear(sender, update)
            self.told += 1
        return True

    def _check(self) -> None:
        side = self._any_side()
        if side is not None:
            self._send_checks(side)

    def _send_checks(self, side: Side) -> None:
        for other in side.members:
            cable = self.cable(side, other)
            if cable is not None:
                cable.send(side.announcer.check(self.living[other].region))

    def _look(self) -> None:
        side = self._any_side()
        if side is not None:
            self._look_around(side)

    def _look_around(self, side: Side) -> None:
        """Let a gateway see who is in the cluster now, and begin the links that can begin."""
        seen = {
            other.name: other.epoch
            for other in self.living.values()
            if other.is_registered and other is not side
        }
        for other, epoch in list(side.members.items()):
            if seen.get(other) != epoch:
                self._note(f"{side} sees that {other}:{epoch} is gone")
                self._end_link(side.name, other)
                side.forget(other)
        side.members = seen
        for other in seen:
            self._begin_link(side, self.living[other])

    def _begin_link(self, one: Side, other: Side) -> None:
        knows_both = (
            one.members.get(other.name) == other.epoch and other.members.get(one.name) == one.epoch
        )
        ends = frozenset((one.name, other.name))
        if not knows_both or ends in self._cut or (one.name, other.name) in self._cables:
            return
        self._note(f"{one} and {other} begin a link")
        for here, there in ((one, other), (other, one)):
            cable = self._cables[here.name, there.name] = Cable(self._room)
            here.tell_everything(cable, there.region)

    def _end_link(self, one: str, other: str) -> None:
        self._cables.pop((one, other), None)
        self._cables.pop((other, one), None)

    def _crash(self) -> None:
        side = self._any_side()
        if side is not None:
            self._note(f"{side} crashes")
            del self.living[side.name]
            for soul in self.souls.values():
                if soul.home == side.name:
                    soul.home = None
            for other in self._names:
                self._end_link(side.name, other)

    def _start(self) -> None:
        name = self._rng.choice(self._names)
        if name not in self.living:
            self._epoch += 1
            region = self._rng.choice(self._regions)
            self.living[name] = Side(self, name, region, self._epoch, self._bytes_max)
            self._note(f"{self.living[name]} starts in {region}")

    def _lose_registration(self) -> None:
        """Let the lease of a gateway end that is alive and well; its links end with it."""
        side = self._any_side()
        if side is not None:
            self._note(f"{side} is not registered any more")
            side.is_registered = False
            for other in self._names:
                self._end_link(side.name, other)

    def _register_again(self) -> None:
        side = self._any_side()
        if side is not None and not side.is_registered:
            self._epoch += 1
            side.is_registered, side.epoch = True, self._epoch
            self._note(f"{side} is registered again")

    def _flicker(self) -> None:
        """Let a gateway see another one leave and come back, which notices nothing itself."""
        if self._cables:
            name, other = self._rng.choice(list(self._cables))
            side = self.living[name]
            self._note(f"{side} sees {other} for a moment no more")
            side.forget(other)
            self._cables[other, name].is_forgotten = True
            cable = self._cables[name, other] = Cable(self._room)
            side.tell_everything(cable, self.living[other].region)

    def _cut_off(self) -> None:
        self._cut.add(frozenset(self._rng.sample(self._names, 2)))

    def _mend(self) -> None:
        if self._cut:
            self._cut.remove(self._rng.choice(sorted(self._cut, key=sorted)))

    def _put_group(self) -> None:
        side = self._any_side()
        if side is not None:
            self._clock += self._rng.choice((0, 1, 2))
            members = self._rng.choice(((), ("agent://a",), ("agent://b",)))
            name = self._rng.choice(("drivers", "cooks"))
            group = side.commons.put_group(TENANT, name, "agent://a", members, self._clock)
            self._note(f"{side} puts {group}")
            side.put.append(group)

    def _put_schema(self) -> None:
        side = self._any_side()
        if side is not None:
            schema = self._rng.choice((b"1", b"2", b"3"))
            side.commons.put_schema(TENANT, schema)
            side.registered.append(schema)

    def _swallow(self) -> None:
        """Let a gateway forget to tell a change, as if by a mistake of ours."""
        side = self._any_side()
        if side is not None and side.announcer.has_due:
            for telling in side.announcer._tellings():
                telling.due.clear()
            side.is_forgetful = True
            self._note(f"{side} swallows what it should tell")

    # ------------------------------------------------------------------ the run

    def run(self) -> World:
        """Play the seed to its end. Raises Broken."""
        try:
            for _ in range(2):
                self._start()
            for move in self._rng.choices(self._moves, k=STEPS):
                move()
            self._heal()
            check_agreement(self.living, self.souls.values())
        except Exception as error:
            raise Broken(self.seed, error, self._story()) from error
        return self

    def _heal(self) -> None:
        """Let everything work until nothing happens any more."""
        self._note("all heals")
        self._cut.clear()
        self._room = 1_000
        for cable in self._cables.values():
            cable.room = self._room
        for side in self.living.values():
            for soul in self.souls.values():
                if soul.home is None:
                    side.give_up(soul.agent_id)  # its grace is over
            if not side.is_registered:
                self._epoch += 1
                side.is_registered, side.epoch = True, self._epoch
        for _ in range(ROUNDS_MAX):
            if not self._play_round():
                return
        raise Violation(f"not all is quiet after {ROUNDS_MAX} rounds")

    def _play_round(self) -> bool:
        """Let everybody look, tell and hear; tells whether anything happened but checks."""
        for _ in range(2):  # the first time the later ones do not know the earlier ones
            for side in self.living.values():
                self._look_around(side)
        has_happened = sum(map(self._tell, self.living.values())) > 0
        has_happened |= any(cable.updates for cable in self._cables.values())
        self._carry_all()
        before = self.told
        for side in self.living.values():
            self._send_checks(side)
        checks = sum(len(cable.updates) for cable in self._cables.values())
        self._carry_all()
        return has_happened or self.told > before + checks

    def _carry_all(self) -> None:
        while sum(self._carry(ends, 1_000) for ends in list(self._cables)):
            pass

    def check_question(self, side: Side, other: str) -> None:
        """Raise if a snapshot is asked for though nothing was lost."""
        cable = self._cables.get((other, side.name))
        forgetful = other in self.living and self.living[other].is_forgetful
        is_lossy = cable is not None and (cable.refused or cable.is_forgotten)
        if cable is not None and not is_lossy and not forgetful:
            raise Violation(f"{side} asks {other} for a snapshot, and nothing was lost")

    # ------------------------------------------------------------------ whom it happens to

    def cable(self, side: Side, other: str) -> Cable | None:
        """Return what carries updates from a gateway to another one, if there is a link."""
        return self._cables.get((side.name, other))

    def _any_side(self) -> Side | None:
        return self._rng.choice(list(self.living.values())) if self.living else None

    def _any_soul(self) -> Soul:
        return self._rng.choice(list(self.souls.values()))

    def _note(self, *what: object) -> None:
        self._trace.append(what)  # put into words only if somebody will read it

    def _story(self) -> str:
        return "\n".join(" ".join(" ".join(map(str, what)).split()) for what in self._trace)


def main(arguments: list[str] | None = None) -> int:
    """Play seeds; returns 1 at the first that fails, after its last events."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.directories")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of them")
    chosen = parser.parse_args(arguments)
    began, told = time.perf_counter(), 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        try:
            told += World(seed).run().told
        except Broken as broken:
            sys.stdout.write(f"{broken}\n")
            return 1
    seconds = time.perf_counter() - began
    sys.stdout.write(
        f"{chosen.seeds} seeds from {chosen.first} hold, {chosen.seeds / seconds:.0f} a second: "
        f"{told} updates told\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
