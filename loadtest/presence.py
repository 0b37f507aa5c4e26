"""Measure what it costs that every gateway knows where every agent is.

    python -m loadtest.presence
    python -m loadtest.presence --agents 10000 --gateways 4 --out result.json

The gateways are simulated in this process: the product's own announcers and directories, with
serialised messages between them and no network. Times are CPU seconds of this process, so "until
all know everything" is what the busiest gateway has to compute; the network adds what its bytes
take. The memory of one gateway is measured in a process of its own, which hears from a file what
the others tell.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from federation.announcer import Announcer
from federation.commons import Commons
from federation.directory import Applied, Directory
from federation.entries import AgentAt, AgentConsent
from federation.regional_topics import RegionalTopics
from llmx.v1.peering_pb2 import DirectoryUpdate, PeerMessage

REGIONS = ("eu", "us", "ap")
REGIONAL = ("local/*",)
TENANTS = 20
KINDS = 200
"""Agents that are alike can do one of so many things."""
CHANGES = 1_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CHILD_SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many agents there are, where, and how alike."""

    agents: int
    gateways: int
    is_distinct: bool = False
    """Can every agent do, and hear, what no other one can?"""

    @property
    def each(self) -> int:
        """Return how many agents one gateway has."""
        return self.agents // self.gateways


class Gateway:
    """What one gateway knows of agents."""

    def __init__(self, index: int) -> None:
        """Start empty."""
        self.name = f"gateway-{index:02}"
        self.region = REGIONS[index % len(REGIONS)]
        commons = Commons(self.name)
        self.announcer = Announcer(self.name, self.region, commons, RegionalTopics(REGIONAL))
        self.directory = Directory(commons)

    def fill(self, plan: Plan, index: int) -> None:
        """Let the agents come whose home this gateway is, and tell nobody yet."""
        for tenant, agent_id, capabilities, topics, consents in population(plan, index):
            self.announcer.put(
                tenant,
                agent_id,
                generation=1,
                capabilities=capabilities,
                topics=topics,
                consents=consents,
            )
        self.announcer.drain()

    def snapshot_for(self, region: str) -> list[bytes]:
        """Return what a gateway of a region hears when it joins."""
        return wrapped(self.announcer.snapshot(region))

    def hear(self, sender: str, messages: Iterable[bytes]) -> Applied:
        """Take in what another gateway tells; returns what came of the last message."""
        applied = Applied([], [], [], [], [])
        for message in messages:
            applied = self.directory.apply(sender, PeerMessage.FromString(message).directory)
            assert not applied.wants_snapshot, "nothing is lost here"
        return applied


def population(
    plan: Plan, gateway: int
) -> Iterator[tuple[str, str, list[str], list[str], list[AgentConsent]]]:
    """Yield the agents of one gateway: the same ones each time."""
    chance = random.Random(gateway)
    for number in range(gateway * plan.each, (gateway + 1) * plan.each):
        kind = number if plan.is_distinct else chance.randrange(KINDS)
        capabilities = [f"capability-{kind}-{index}" for index in range(4)]
        topics = [f"topic/{kind}/{index}" for index in range(3)] + [f"local/{kind % 20}"]
        consents = [AgentConsent(f"{number:016x}", "*")] if chance.random() < 0.1 else []
        tenant = f"tenant-{chance.randrange(TENANTS)}"
        yield tenant, f"agent://contractor-{number:06}", capabilities, topics, consents


def wrapped(updates: Iterable[DirectoryUpdate]) -> list[bytes]:
    """Return updates as they go onto a link."""
    return [PeerMessage(directory=update).SerializeToString() for update in updates]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; returns 0, or 1 with a sentence when it could not be done."""
    options = parse(arguments)
    plan = Plan(options.agents, options.gateways, options.distinct)
    if options.hold:
        json.dump(held(plan, sys.stdin.buffer), sys.stdout)
        return 0
    from loadtest import reliability, report
    from loadtest.presence_table import rows_of

    machine = report.facts()
    try:
        result = {"machine": machine, **measured(plan)}
    except (subprocess.SubprocessError, OSError) as error:
        print(f"presence: {error}", file=sys.stderr)
        return 1
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    command = "python -m loadtest.presence"
    if (plan.agents, plan.gateways) != (100_000, 10):
        command += f" --agents {plan.agents} --gateways {plan.gateways}"
    table = reliability.as_table(command, machine, rows_of(result))
    print(table)
    if options.page is not None:
        reliability.refresh(options.page, "presence", table)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.presence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--agents", type=int, default=100_000, help="in all, %(default)s")
    add("--gateways", type=int, default=10, help="over which they are spread, %(default)s")
    add("--out", type=Path, help="write the whole result to this file, as JSON")
    add("--page", type=Path, help="refresh the table in this page, docs/federation.md")
    add("--hold", action="store_true", help=argparse.SUPPRESS)
    add("--distinct", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name, least, most in (("agents", 100, 1_000_000), ("gateways", 2, 50)):
        if not least <= getattr(options, name) <= most:
            parser.error(f"--{name} must be {least} to {most}")
    return options


def measured(plan: Plan) -> dict[str, Any]:
    """Return every figure; takes about twenty seconds for 100,000 agents."""
    gc.collect()
    gc.freeze()
    gateways = [Gateway(index) for index in range(plan.gateways)]
    for index, gateway in enumerate(gateways):
        gateway.fill(plan, index)
    return {
        "plan": {"agents": plan.agents, "gateways": plan.gateways},
        "start": _all_at_once(gateways),
        "join": _join(gateways),
        "change": _changes(gateways, 1),
        "changes": _changes(gateways, CHANGES),
        "again": _again(gateways),
        "leave": _leave(gateways),
        "memory": {
            "alike": _memory(plan),
            "distinct": _memory(Plan(plan.agents, plan.gateways, is_distinct=True)),
        },
    }


def _all_at_once(gateways: Sequence[Gateway]) -> dict[str, Any]:
    """Let all hear all, as when a whole cluster starts."""
    busy = dict.fromkeys((gateway.name for gateway in gateways), 0.0)
    size = 0
    for receiver in gateways:
        for sender in gateways:
            if sender is receiver:
                continue
            seconds, messages = _timed(sender.snapshot_for, receiver.region)
            busy[sender.name] += seconds
            size += sum(map(len, messages))
            busy[receiver.name] += _timed(receiver.hear, sender.name, messages)[0]
    return {"bytes": size, "cpu_seconds_most": max(busy.values()), "agree": _agree(gateways)}


def _join(gateways: Sequence[Gateway]) -> dict[str, Any]:
    """Let one more come, without agents."""
    newcomer = Gateway(len(gateways))
    told = sum(map(len, newcomer.snapshot_for(gateways[0].region)))
    size, making, hearing, pauses = 0, 0.0, 0.0, [0.0]
    for sender in gateways:
        seconds, messages = _timed(sender.snapshot_for, newcomer.region)
        making = max(making, seconds)
        size += sum(map(len, messages))
        for message in messages:
            seconds, _ = _timed(newcomer.hear, sender.name, [message])
            pauses.append(seconds)
            hearing += seconds
    check = wrapped([gateways[0].announcer.check(newcomer.region)])[0]
    return {
        "bytes_heard": size,
        "bytes_told": told * len(gateways),
        "bytes_an_agent": size / len(newcomer.directory),
        "making_seconds": making,
        "hearing_seconds": hearing,
        "longest_pause": max(pauses),
        "agree": all(
            newcomer.directory.digest_of(one.name) == one.announcer.digest(newcomer.region)
            for one in gateways
        ),
        "check_bytes": len(check),
    }


def _changes(gateways: Sequence[Gateway], together: int) -> dict[str, Any]:
    """Let agents of the first gateway go away, so many of them told at a time."""
    teller, hearers = gateways[0], gateways[1:]
    entries = list(teller.announcer._agents.values())[:CHANGES]
    telling = hearing = 0.0
    size = 0
    for first in range(0, len(entries), together):
        turn = entries[first : first + together]
        seconds, (near, far) = _timed(_told, teller, turn)
        telling += seconds
        for hearer in hearers:
            messages = near if hearer.region == teller.region else far
            size += sum(map(len, messages))
            hearing += _timed(hearer.hear, teller.name, messages)[0]
    count = len(entries)
    return {
        "together": together,
        "bytes_each": size / count / len(hearers),
        "telling_seconds_each": telling / count,
        "hearing_seconds_each": hearing / count / len(hearers),
        "agree": _agree(gateways),
    }


def _told(teller: Gateway, entries: Iterable[AgentAt]) -> tuple[list[bytes], list[bytes]]:
    """Let agents go away or come back, and return what is told of it, near and far."""
    for entry in entries:
        teller.announcer.put(
            entry.tenant,
            entry.agent_id,
            generation=entry.generation,
            capabilities=entry.capabilities,
            topics=entry.topics,
            consents=entry.consents,
            is_away=not entry.is_away,
        )
    changes = teller.announcer.drain()
    return wrapped(changes.near), wrapped(changes.far)


def _again(gateways: Sequence[Gateway]) -> dict[str, Any]:
    """Let one hear again, in a snapshot, what it knows."""
    teller, hearer = gateways[0], gateways[1]
    messages = teller.snapshot_for(hearer.region)
    return {"hearing_seconds": _timed(hearer.hear, teller.name, messages)[0]}


def _leave(gateways: Sequence[Gateway]) -> dict[str, Any]:
    """Let one forget another one that is gone."""
    gone, survivor = gateways[0], gateways[1]
    known = len(survivor.directory)
    seconds, applied = _timed(survivor.directory.forget, gone.name)
    assert len(applied.vanished) == known - len(survivor.directory), "they had no other home"
    return {"agents": len(applied.vanished), "forgetting_seconds": seconds}


def _agree(gateways: Sequence[Gateway]) -> bool:
    return all(
        one.directory.digest_of(other.name) == other.announcer.digest(one.region)
        for one in gateways
        for other in gateways
        if one is not other
    )


def _timed(do: Callable[..., Any], *given: object) -> tuple[float, Any]:
    """Return the CPU seconds that something took, and what it returned."""
    began = time.process_time()
    done = do(*given)
    return time.process_time() - began, done


# ------------------------------------------------------------------------------------ memory


def _memory(plan: Plan) -> dict[str, float]:
    """Measure one gateway, the last, in a process that hears from a file what the others tell."""
    with tempfile.TemporaryFile() as file:
        for index in range(plan.gateways - 1):
            gateway = Gateway(index)
            gateway.fill(plan, index)
            for message in gateway.snapshot_for(Gateway(plan.gateways - 1).region):
                file.write(index.to_bytes(4, "big") + len(message).to_bytes(4, "big") + message)
        file.seek(0)
        command = [sys.executable, "-m", "loadtest.presence", "--hold"]
        command += ["--agents", str(plan.agents), "--gateways", str(plan.gateways)]
        command += ["--distinct"] if plan.is_distinct else []
        done = subprocess.run(
            command, stdin=file, capture_output=True, check=True, timeout=CHILD_SECONDS_MAX
        )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def held(plan: Plan, told: BinaryIO) -> dict[str, float]:
    """Be the last gateway, hear what is told, and return what of it stays in memory."""
    gateway = Gateway(plan.gateways - 1)
    empty = _resident_bytes()
    gateway.fill(plan, plan.gateways - 1)
    own = _resident_bytes()
    while head := told.read(8):
        sender, length = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
        gateway.hear(f"gateway-{sender:02}", [told.read(length)])
    full = _resident_bytes()
    return {
        "bytes": full - empty,
        "own_bytes": own - empty,
        "agents": len(gateway.directory),
        "own_agents": len(gateway.announcer),
        "bytes_an_agent": (full - empty) / plan.agents,
    }


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


if __name__ == "__main__":
    sys.exit(main())
