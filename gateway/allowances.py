"""What an agent, and all agents of a tenant together, may send (negotiation.md N-8.2, N-8.3).

There are two kinds of limits, both token buckets. A *rate* bounds messages a second. A *quota*
is the same over an hour, in messages or in bytes: who was silent for an hour may use it up at
once, and what was used comes back evenly. Each binds the agent, and its tenant as a whole.

A message takes from every bucket or from none, so an agent that is too fast takes nothing
from its tenant. The wait that a refusal names is the longest of all; when it is over the
message passes, unless others of the tenant were there first. Every message that is looked at
takes, whatever is found wrong with it then: looking is what the neighbours would pay for.

Of a tenant's buckets a part is reserved: agents of the *system* class may empty them, others
leave the reserve. What a tenant does is told to its own agents only. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import isinf

from gateway.quota import TokenBucket
from gateway.refusals import Fault

HOUR = 3600.0
LIMIT_NAMES = ("agent_rate", "tenant_rate", "agent_quota", "tenant_quota")

REASONS = {
    "agent_rate": "the agent sends faster than its rate",
    "tenant_rate": "the agents of the tenant together send faster than its rate",
    "agent_quota": "the agent has used up its quota of {unit}",
    "tenant_quota": "the agents of the tenant have together used up its quota of {unit}",
}


@dataclass(frozen=True, slots=True)
class AllowanceLimits:
    """The bounds that every agent and every tenant gets."""

    rate: float
    """Messages a second."""
    burst: float
    tenant_rate: float = 50_000.0
    tenant_burst: float = 100_000.0
    reserve: float = 0.1
    """The part of a tenant's buckets that only the system class may take."""
    quota_messages: int | None = None
    """Messages an hour; None for as many as the rate lets through."""
    quota_bytes: int | None = None
    tenant_quota_messages: int | None = None
    tenant_quota_bytes: int | None = None


class Limit:
    """One bucket, and what it counts."""

    __slots__ = ("_in_bytes", "bucket", "name", "unit")

    def __init__(self, name: str, unit: str, bucket: TokenBucket) -> None:
        """Name whose limit it is: one of LIMIT_NAMES. `unit` is "messages" or "bytes"."""
        self.name = name
        self.unit = unit
        self.bucket = bucket
        self._in_bytes = unit == "bytes"

    def cost(self, size: int) -> float:
        """Return what a message of `size` bytes takes."""
        return size if self._in_bytes else 1.0

    def keep(self, system: bool) -> float:
        """Return what a message leaves in the bucket."""
        return 0.0 if system else self.bucket.reserved

    def wait(self, now: float, size: int, system: bool) -> float:
        """Return the seconds until a message of `size` bytes may pass."""
        return self.bucket.wait(now, self.cost(size), self.keep(system))

    def fault(self, wait: float, size: int, system: bool) -> Fault:
        """Return the refusal of a message that came `wait` seconds too early."""
        code = "RATE_EXCEEDED" if self.name.endswith("rate") else "QUOTA_EXCEEDED"
        reason = REASONS[self.name].format(unit=self.unit)
        if isinf(wait):
            most = self.bucket.burst - self.keep(system)
            return Fault(code, f"{reason}, and ever would", f"send at most {most:.0f} {self.unit}")
        return Fault(code, reason, f"wait {wait:.3f} seconds and send again", retry_after=wait)


class Purse:
    """The limits of one agent, or those that the agents of a tenant share."""

    __slots__ = ("agents", "quotas", "rate")

    def __init__(self, rate: Limit, quotas: tuple[Limit, ...]) -> None:
        """Hold limits whose buckets are full."""
        self.rate = rate
        self.quotas = quotas
        self.agents = 0
        """How many share it."""


class Allowance:
    """What one agent may still send."""

    __slots__ = (
        "_bucket",
        "_keep",
        "_limits",
        "_over",
        "_quotas",
        "_shared",
        "key",
        "mine",
        "tenant",
    )

    def __init__(
        self, key: str, tenant: str, mine: Purse, shared: Purse, over: Counter[str]
    ) -> None:
        """Take from `mine` and `shared`; count in `over` which limits were reached."""
        self.key = key
        self.tenant = tenant
        self.mine = mine
        self._over = over
        self._limits = (mine.rate, shared.rate, *mine.quotas, *shared.quotas)
        self._quotas = bool(mine.quotas or shared.quotas)
        self._bucket = mine.rate.bucket
        self._shared = shared.rate.bucket
        self._keep = shared.rate.bucket.reserved

    def take(self, now: float, size: int, system: bool = False) -> Fault | None:
        """Take what a message of `size` bytes costs; a Fault when that is not there."""
        if self._quotas:
            return self._take_all(now, size, system)
        if not self._bucket.take(now):
            if not self._shared.take(now, 1.0, 0.0 if system else self._keep):
                return None
            self._bucket.give_back(1.0)
        return self._fault(now, size, system)

    def _take_all(self, now: float, size: int, system: bool) -> Fault | None:
        limits = self._limits
        for place, limit in enumerate(limits):
            if limit.bucket.take(now, limit.cost(size), limit.keep(system)):
                for taken in limits[:place]:
                    taken.bucket.give_back(taken.cost(size))
                return self._fault(now, size, system)
        return None

    def _fault(self, now: float, size: int, system: bool) -> Fault:
        """Return the refusal by the limit that has to be waited for longest."""
        waits = [limit.wait(now, size, system) for limit in self._limits]
        wait = max(waits)
        limit = self._limits[waits.index(wait)]
        self._over[limit.name] += 1
        return limit.fault(wait, size, system)


class Allowances:
    """The allowances of everybody on this gateway.

    Quotas outlast the agents: one that leaves and comes back finds what it left.
    """

    def __init__(self, limits: AllowanceLimits, remembered_max: int) -> None:
        """Give everybody `limits`, and remember the quotas of so many who have left."""
        self._limits = limits
        self._remembered_max = remembered_max
        self._tenants: dict[str, Purse] = {}
        self._left: dict[str, Purse] = {}
        self.over = Counter(dict.fromkeys(LIMIT_NAMES, 0))
        """How many messages each limit has refused."""

    def join(self, tenant: str, key: str, now: float) -> Allowance:
        """Return the allowance of an agent; `key` is unique on the gateway and no tenant's name."""
        shared = self._tenants.get(tenant)
        if shared is None:
            shared = self._left.pop(tenant, None) or self._tenant_purse(now)
            self._tenants[tenant] = shared
        shared.agents += 1
        mine = self._left.pop(key, None) or self._agent_purse(now)
        return Allowance(key, tenant, mine, shared, self.over)

    def leave(self, allowance: Allowance) -> None:
        """Let an agent go; the last one of a tenant takes the tenant's allowance with it."""
        self._remember(allowance.key, allowance.mine)
        shared = self._tenants[allowance.tenant]
        shared.agents -= 1
        if not shared.agents:
            self._remember(allowance.tenant, self._tenants.pop(allowance.tenant))

    def _remember(self, key: str, purse: Purse) -> None:
        if not purse.quotas:
            return  # rates are full again before anybody is back
        self._left[key] = purse
        if len(self._left) > self._remembered_max:
            del self._left[next(iter(self._left))]  # who left first has got most back

    def _agent_purse(self, now: float) -> Purse:
        limits = self._limits
        rate = TokenBucket(limits.rate, limits.burst, now)
        per_hour = {"messages": limits.quota_messages, "bytes": limits.quota_bytes}
        return Purse(
            Limit("agent_rate", "messages", rate), _quotas("agent_quota", per_hour, now, 0.0)
        )

    def _tenant_purse(self, now: float) -> Purse:
        limits = self._limits
        rate = TokenBucket(limits.tenant_rate, limits.tenant_burst, now, limits.reserve)
        per_hour = {"messages": limits.tenant_quota_messages, "bytes": limits.tenant_quota_bytes}
        return Purse(
            Limit("tenant_rate", "messages", rate),
            _quotas("tenant_quota", per_hour, now, limits.reserve),
        )


def _quotas(
    name: str, per_hour: dict[str, int | None], now: float, reserve: float
) -> tuple[Limit, ...]:
    return tuple(
        Limit(name, unit, TokenBucket(count / HOUR, count, now, reserve))
        for unit, count in per_hour.items()
        if count is not None
    )
