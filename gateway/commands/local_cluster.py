"""A cluster on this machine: an etcd, and a gateway for each region, in processes of their own."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.commands.family import Family
from gateway.commands.local_etcd import (
    Binary,
    command_line,
    endpoint_of,
    found_etcd,
    free_ports,
    is_healthy,
)
from gateway.commands.trouble import FAILED, CommandError

ETCD = "etcd"
REGIONS_MAX = 16
REGION = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}")
ETCD_SECONDS = 20.0
READY_SECONDS = 60.0
LOOK_SECONDS = 0.05
ATTEMPTS = 3
"""How often etcd is started when somebody else took the port that was free a moment ago."""

AGENTS_LEAVE, GATEWAYS_LEAVE, ETCD_LEAVES = range(3)
"""The order in which all is put away."""


@dataclass(frozen=True, slots=True)
class LocalGateway:
    """A gateway that was started here."""

    gateway_id: str
    region: str
    address: str
    """Where agents connect."""
    metrics: str
    pid: int
    page: str = ""
    """The operator's page; empty where there is none."""


@dataclass(frozen=True, slots=True)
class LocalEtcd:
    """The etcd that the gateways use."""

    endpoint: str
    version: str = ""
    """Empty for one that somebody else runs."""
    pid: int = 0
    caution: str = ""


def regions_of(text: str) -> list[tuple[str, str]]:
    """Return the gateway id and the region of each gateway in "eu,us,us": eu, us-1, us-2.

    Raises CommandError.
    """
    regions = [part.strip() for part in text.split(",")]
    for region in regions:
        if REGION.fullmatch(region) is None:
            raise CommandError(
                f"--regions {text}: {region!r} is no name of a region",
                "use letters, digits and -, for example eu,us,ap",
            )
        if region == ETCD:
            raise CommandError(f"--regions {text}: etcd has this name already")
    if len(regions) > REGIONS_MAX:
        raise CommandError(f"--regions has {len(regions)} names", f"use {REGIONS_MAX} at most")
    counts, seen = Counter(regions), Counter[str]()
    named = []
    for region in regions:
        seen[region] += 1
        named.append((f"{region}-{seen[region]}" if counts[region] > 1 else region, region))
    if len(dict(named)) < len(named):
        raise CommandError(f"--regions {text}: two gateways would have the same name")
    return named


class LocalCluster:
    """Starts the processes of a cluster in a family, which ends them."""

    def __init__(self, members: Family, folder: Path, *, keeps: bool) -> None:
        """Keep etcd's data in `folder`, and the gateways' stores too if it `keeps` them."""
        self._members = members
        self._folder = folder
        self._keeps = keeps
        self.etcd = LocalEtcd("")
        self.gateways: dict[str, LocalGateway] = {}

    async def start_etcd(self) -> LocalEtcd:
        """Start an etcd and wait until it takes writes. Raises CommandError."""
        binary = await asyncio.to_thread(found_etcd)
        for attempt in range(1, ATTEMPTS + 1):
            client_port, peer_port = free_ports(2)
            endpoint = f"127.0.0.1:{client_port}"
            name = ETCD if attempt == 1 else f"{ETCD}-{attempt}"
            await self._start_etcd(name, binary, client_port, peer_port)
            if await self._until_healthy(name, endpoint):
                pid = self._members.pids[name]
                self.etcd = LocalEtcd(endpoint, binary.version, pid, binary.caution)
                return self.etcd
            self._members.kill(name)
        words = self._members.last_words(name)
        raise CommandError(f"etcd at {binary.path} does not serve: {words}", code=FAILED)

    async def use_etcd(self, address: str) -> LocalEtcd:
        """Use an etcd that runs already. Raises CommandError."""
        endpoint = endpoint_of(address)
        if not await asyncio.to_thread(is_healthy, endpoint):
            raise CommandError(
                f"no etcd answers at {endpoint}",
                "start one there, or leave --etcd out and one is started here",
                FAILED,
            )
        self.etcd = LocalEtcd(endpoint)
        return self.etcd

    async def start_gateways(
        self,
        named: Sequence[tuple[str, str]],
        settings: Mapping[str, str],
        hear: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Start gateways, given as id and region, and wait until all serve.

        `settings` are for all of them; what other processes say meanwhile is given to `hear`.
        Raises CommandError.
        """
        for gateway_id, region in named:
            await self._start_gateway(gateway_id, region, settings)
        regions = dict(named)
        give_up_at = time.monotonic() + READY_SECONDS
        while not regions.keys() <= self.gateways.keys():
            left = give_up_at - time.monotonic()
            event = await self._members.event(max(left, 0.0), "a gateway")
            if event["event"] == "announced" and event["process"] in regions:
                self._announced(event, regions[event["process"]])
            elif hear is not None:
                hear(event)
        started, self.gateways = self.gateways, {}
        for name in sorted(started, key=[*regions].index):  # as asked for, not as they were ready
            self.gateways[name] = started[name]

    @property
    def addresses(self) -> list[str]:
        """Return where agents connect, in the order of the regions."""
        return [gateway.address for gateway in self.gateways.values()]

    async def _start_etcd(self, name: str, binary: Binary, client: int, peer: int) -> None:
        folder = self._folder / "etcd"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = f"{folder} cannot hold etcd's data: {error.strerror or error}"
            raise CommandError(reason, "name another folder with --state", FAILED) from None
        line = command_line(binary, folder, client, peer)
        await self._members.run(name, *line, turn=ETCD_LEAVES)

    async def _until_healthy(self, name: str, endpoint: str) -> bool:
        """Wait until etcd serves; False when it has ended or takes too long."""
        with_patience = time.monotonic() + ETCD_SECONDS
        while time.monotonic() < with_patience and self._members.lives(name):
            if await asyncio.to_thread(is_healthy, endpoint):
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _start_gateway(self, gateway_id: str, region: str, given: Mapping[str, str]) -> None:
        settings = {
            "server.gateway_id": gateway_id,
            "server.host": "127.0.0.1",
            "server.port": "0",
            "server.metrics_port": "0",
            "federation.etcd": self.etcd.endpoint,
            "federation.region": region,
            "federation.listen": "127.0.0.1:0",
            **given,
        }
        if self._keeps:
            settings["mailbox.file"] = str(self._folder / f"{gateway_id}.sqlite")
        await self._members.start(
            gateway_id,
            *("gateway", "--announce", "json", "--until-eof"),
            settings=settings,
            turn=GATEWAYS_LEAVE,
        )

    def _announced(self, event: Mapping[str, Any], region: str) -> None:
        host, name = event["host"], str(event["process"])
        self.gateways[name] = LocalGateway(
            name,
            region,
            f"{host}:{event['port']}",
            f"http://{host}:{event['metrics_port']}/metrics",
            int(event["pid"]),
            event["page"] or "",
        )
