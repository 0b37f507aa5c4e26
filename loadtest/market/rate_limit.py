"""A shared API that takes 100 requests a second, and twenty agents, five of them ten times as loud.

Without a market everybody sends what it has, and the API answers the excess with 429, to loud and
quiet agents alike. With the token market an agent sends only what it has a token for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from gateway.quota import TokenBucket
from policy.jain import evenness
from policy.noise import NoiseMeter, NoiseRule
from policy.token_market import MICRO, TokenBid, TokenLimit, TokenMarket

RATE, BURST = 100.0, 100.0
QUIET, LOUD = 15, 5
TICK = 0.1


@dataclass(frozen=True)
class Traffic:
    """What became of the requests of a minute."""

    refused: int
    """429 of the API."""
    quiet_served: float
    """The part of the requests of quiet agents that passed."""
    loud_served: float
    used: float
    """The part of the rate of the API that was used."""
    jain: float
    """Over what each got of its fair share, at most all of it."""
    multiplier: float
    """The mean price multiplier of the loud."""
    system_served: float
    """The part of the system class's requests that passed at once."""


def traffic(seed: int, *, market: bool, seconds: float = 60.0) -> Traffic:
    """Let them send for a while: a quiet agent 4 requests a second, a loud one 40; fair are 5."""
    chance = Random(f"requests {seed}")
    api = TokenBucket(RATE, BURST, 0.0)
    tokens = TokenMarket(TokenLimit(RATE, BURST, reserve=0.2), 0.0)
    meter = NoiseMeter(NoiseRule(alpha=1.0, cap=10.0, half_life=30.0))
    wants = {f"quiet{n}": 4.0 for n in range(QUIET)} | {f"loud{n}": 40.0 for n in range(LOUD)}
    asked, passed = Counter[str](), Counter[str]()
    refused = system_asked = system_passed = 0
    multipliers: list[float] = []
    if market:
        for agent in wants:
            assert tokens.share(agent, RATE * 0.5 / len(wants)), "the parts are half of the rate"
    for tick in range(round(seconds / TICK)):
        now = tick * TICK
        requests = {agent: _poisson(chance, want * TICK) for agent, want in wants.items()}
        asked.update(requests)
        if market:
            bids = []
            for agent, count in requests.items():
                meter.note(agent, count, now)
                lacking = count - tokens.held(agent) // MICRO
                if lacking > 0:
                    noise = meter.multiplier(agent, now)
                    bids.append(TokenBid(agent, lacking, 1000 + chance.randrange(1000), noise))
                    if agent.startswith("loud"):
                        multipliers.append(noise)
            tokens.sell(bids, now)
        order = [agent for agent, count in requests.items() for _ in range(count)]
        chance.shuffle(order)
        for agent in order:
            if market and not tokens.spend(agent, 1, now):
                continue
            if api.take(now):
                refused += 1
            else:
                passed[agent] += 1
        if tick % 10 == 0:
            system_asked += 1
            if not market or tokens.spend("system", 1, now, system=True):
                ok = not api.take(now)
                refused += not ok
                system_passed += ok
    fair = RATE * seconds / len(wants)
    return Traffic(
        refused,
        _part(passed, asked, "quiet"),
        _part(passed, asked, "loud"),
        sum(passed.values()) / (RATE * seconds),
        evenness(min(1.0, passed[a] / min(fair, asked[a])) for a in wants if asked[a]).index,
        sum(multipliers) / len(multipliers) if multipliers else 1.0,
        system_passed / system_asked,
    )


def _part(passed: Counter[str], asked: Counter[str], kind: str) -> float:
    wanted = sum(count for agent, count in asked.items() if agent.startswith(kind))
    return sum(count for agent, count in passed.items() if agent.startswith(kind)) / wanted


def _poisson(chance: Random, mean: float) -> int:
    count, at = 0, chance.expovariate(1.0)
    while at < mean:
        count, at = count + 1, at + chance.expovariate(1.0)
    return count
