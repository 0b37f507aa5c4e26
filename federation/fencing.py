"""When a gateway may decide: while nobody else can believe that it should.

An initiator that has lost its gateway calls again elsewhere, and the gateway there *takes over*: it
may make the award of that call. One that others may have taken for gone must not make it too. So a
gateway decides while its lease is *sure*: it cannot have expired yet. When etcd is away for
everybody, nobody can take it for gone, and to stop would be for nothing. But a gateway that is cut
off alone sees the same as one whose etcd is down. The others know better:

- A gateway that has lost sight of etcd says so in its heartbeats. To say so is a *promise*: for
  some heartbeats it will take over nothing, even if etcd is back the next moment. `Word` keeps what
  was promised, and `award_log` asks it before it writes the award of a call that was sent before.
- A gateway whose lease is not sure any more goes on, *blind*, while every member that it knew
  is held by such a promise. `Fence` judges that.

Why two never decide at once. Let H be blind and C want to take over from it.

- H relies on a promise of C for a little less than C keeps it, counted from the heartbeat of H that
  C had answered: C cannot have promised earlier, whatever the network held up. And C takes over
  nothing before all its promises have ended.
- The promises have to follow each other without a gap, from the sure lease on. A fence that had
  to close once stays closed until the lease is sure again, though everybody may promise anew:
  in between somebody may have taken over, and lost sight of etcd after that.
- Who has slept knows nothing of all that. H goes on blind only while it is asked without a gap as
  long as a promise, also where it knows nobody; and a C that has said nothing for as long is bound
  as by a promise when it wakes, and when it starts.
- If H did not know C, because C came when H could not hear of it, there is no promise between
  them. Then etcd was not away for everybody, and H was the only one whom it was away for: the one
  case in which both decide, if all others had lost their leases before.

`tests/simulation` plays it with heirs that take over as soon as they may (`membership_world`), and
with awards (`ownership_world`).

A process that is stopped between the question and the deed may do the deed late. Where that is
too much, the award is written to etcd before it is told.

Pure: nothing here reads a clock; clocks whose pace differs by a twentieth do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

NEVER: Final = float("-inf")
FOREVER: Final = float("inf")
PROMISE_HEARTBEATS: Final = 3
"""For so many heartbeats a gateway takes over nothing after it has said that it sees no etcd."""
RELIED_SHARE: Final = 0.95
"""That part of a promise is relied on: clocks differ in pace."""


class Saying(Protocol):
    """What a member has said in its last heartbeat."""

    @property
    def heard_at(self) -> float:
        """When it came."""

    @property
    def said_at(self) -> float:
        """It was not said before: when the heartbeat of ours was sent that it answered."""

    @property
    def sees_discovery(self) -> bool:
        """False is a promise to take over nothing."""


class Word:
    """What this gateway has promised."""

    def __init__(self, heartbeat_seconds: float) -> None:
        """Have said nothing yet."""
        self._seconds = PROMISE_HEARTBEATS * heartbeat_seconds
        self._said_at = NEVER
        self.binds_until = NEVER
        """Until then it takes over nothing."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Word: binds until {self.binds_until:.3f}>"

    def say(self, now: float, sees_discovery: bool) -> bool:
        """Return what is said in a heartbeat, and be bound by it.

        Who has said nothing for longer than a promise lasts is bound too: it may have slept, and
        does not know what happened meanwhile.
        """
        if not sees_discovery or self._has_slept(now):
            self.binds_until = now + self._seconds
        self._said_at = now
        return sees_discovery

    def binds(self, now: float) -> bool:
        """Tell whether it must not take over anything now."""
        return now < self.binds_until or self._has_slept(now)

    def _has_slept(self, now: float) -> bool:
        return now - self._said_at > self._seconds


class Fence:
    """Whether this gateway may decide."""

    def __init__(self, heartbeat_seconds: float) -> None:
        """Be closed until there is a sure lease."""
        self._relied = RELIED_SHARE * PROMISE_HEARTBEATS * heartbeat_seconds
        self._epoch = 0
        self._is_shut = True
        self._covered: dict[str, float] = {}  # until when each member is held by its promises
        self._asked_at = NEVER

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "shut" if self._is_shut else f"open in epoch {self._epoch}"
        return f"<Fence: {state}, watching {len(self._covered)}>"

    def may_decide(
        self,
        now: float,
        epoch: int,
        sure_until: float,
        blind_until: float,
        members: Mapping[str, Saying],
    ) -> bool:
        """Judge by what is known `now`; to be asked in every heartbeat, and when members change.

        `epoch` is that of the registration, 0 for none, `sure_until` when its lease may have
        expired, `blind_until` when it must not go on blind any more; `members` are all that are
        known, with what each has said last.
        """
        if epoch != self._epoch:
            self._epoch, self._is_shut = epoch, True
            self._covered.clear()
        if not epoch:
            return False
        is_sure = now < sure_until
        has_slept = now - self._asked_at > self._relied
        self._asked_at = now
        if is_sure:
            self._is_shut = False
            for gone in self._covered.keys() - members.keys():
                del self._covered[gone]
        covered = self._covered
        for gateway_id, said in members.items():
            until = covered.setdefault(gateway_id, NEVER)
            # A promise counts when it came while the one before it held, or the lease did.
            if not said.sees_discovery and said.heard_at <= max(until, sure_until):
                covered[gateway_id] = max(until, said.said_at + self._relied)
        if is_sure:
            return True
        if has_slept or now >= blind_until or any(now >= until for until in covered.values()):
            self._is_shut = True
        return not self._is_shut
