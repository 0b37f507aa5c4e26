"""Several gateways on this machine that know each other, for measurements.

They name each other in a static list, or find each other in etcd; the links go over Unix sockets
or over TCP. All are started at the same time and stopped by their process ids.
"""

from __future__ import annotations

import asyncio
import enum
import random
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from gateway.commands.family import PROGRAMS_NEED, environment
from gateway.commands.local_etcd import command_line, found_etcd, is_healthy
from loadtest.servers import Server, ServerFailed, cpu_seconds_of
from loadtest.targets import TokenOf, ours

FORMED_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.02
SCRAPE_SECONDS_MAX = 5.0
ETCD_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0
QUIET_PORTS = range(20_000, 32_000)

Scrape = Mapping[str, float]


class Wire(enum.Enum):
    """What links go over."""

    UNIX = "Unix socket"
    TCP = "TCP"


class Cluster:
    """Gateways that serve."""

    def __init__(self, servers: Sequence[Server], token_of: TokenOf) -> None:
        """Take gateways that were started to be one cluster."""
        self.servers = servers
        self.token_of = token_of

    @property
    def addresses(self) -> list[str]:
        """Return where agents connect, gateway by gateway."""
        return [f"127.0.0.1:{server.port}" for server in self.servers]

    def cpu_seconds(self) -> float:
        """Return the CPU time of all gateways so far, with all that they have started."""
        return sum(server.cpu_seconds() for server in self.servers)

    def log_tails(self) -> str:
        """Return the last words of all."""
        return "\n".join(filter(None, (server.log_tail().strip() for server in self.servers)))

    async def formed(self) -> None:
        """Wait until every gateway is linked with every other one. Raises ServerFailed."""
        others = len(self.servers) - 1
        await self._until(
            "the gateways are linked",
            lambda scrapes: all(one.get("llmx_links_open", 0) == others for one in scrapes),
        )

    async def told(self) -> None:
        """Wait until every gateway knows the agents of all others. Raises ServerFailed."""

        def knows_all(scrapes: Sequence[Scrape]) -> bool:
            agents = sum(one["llmx_agents"] for one in scrapes)
            return all(
                one.get("llmx_remote_agents", 0) == agents - one["llmx_agents"] for one in scrapes
            )

        await self._until("all know all agents", knows_all)

    async def _until(self, what: str, is_so: Callable[[Sequence[Scrape]], bool]) -> None:
        if len(self.servers) == 1:
            return
        give_up_at = time.monotonic() + FORMED_SECONDS_MAX
        while not is_so(
            await asyncio.gather(*(asyncio.to_thread(scraped, one) for one in self.servers))
        ):
            if time.monotonic() > give_up_at:
                raise ServerFailed(
                    f"after {FORMED_SECONDS_MAX:g} s it is still not so that {what}; their last "
                    f"words:\n{self.log_tails()}"
                )
            await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def cluster(
    folder: Path,
    count: int,
    core: int | None,
    *,
    wire: Wire = Wire.UNIX,
    etcd: str = "",
    **settings: object,
) -> Iterator[Cluster]:
    """Run so many gateways in a folder that exists, on a core (None: any). Raises ServerFailed.

    One alone is in no cluster, unless it is in `etcd`. `settings` are as `targets.ours` takes them.
    """
    shared = {"server__shutdown_grace": 0.1, "log__level": "warning", **settings}
    targets = [
        ours(folder / "state", 0, **shared, **own)
        for own in settings_of_members(folder, count, wire, etcd)
    ]
    token_of = targets[0].token_of
    assert token_of is not None, "gateways ask for tokens"
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        starting = [
            pool.submit(Server, target.command, core, folder / f"gateway-{number}.log")
            for number, target in enumerate(targets, 1)
        ]
        servers, failure = [], None
        for one in starting:
            try:
                servers.append(stack.enter_context(one.result()))
            except ServerFailed as error:
                failure = error
        if failure is not None:
            raise failure
        try:
            yield Cluster(servers, token_of)
        finally:
            for server in servers:
                server.tell_to_stop()  # all at once; what was entered waits for each


def settings_of_members(folder: Path, count: int, wire: Wire, etcd: str) -> list[dict[str, str]]:
    """Return what each gateway of a cluster is told beside what all are told."""
    names = [f"gateway-{number}" for number in range(1, count + 1)]
    if wire is Wire.UNIX:
        listens = dict.fromkeys(names, "127.0.0.1:0")
        sockets = {name: str(folder / f"{name}.sock") for name in names}
        places = {name: f"unix:{path}" for name, path in sockets.items()}
    else:
        ports = quiet_ports(count)
        listens = {name: f"127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
        sockets, places = {}, listens
    told = []
    for name in names:
        one = {"server__gateway_id": name, "federation__listen": listens[name]}
        if name in sockets:
            one["federation__unix"] = sockets[name]
        if etcd:
            one["federation__etcd"] = etcd
        elif count > 1:
            others = [f"{other}={places[other]}" for other in names if other != name]
            one["federation__peers"] = ",".join(others)
        told.append(one)
    return told


def quiet_ports(count: int) -> list[int]:
    """Return ports that are free, and that the kernel gives to no outgoing connection."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(QUIET_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found += [port] if port not in found else []
    return found


def scraped(server: Server) -> dict[str, float]:
    """Return the metrics of a gateway that have no labels."""
    url = f"http://127.0.0.1:{server.announced['metrics_port']}/metrics"
    with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS_MAX) as answer:
        text: str = answer.read().decode()
    lines = [line.split(" ") for line in text.splitlines() if line and line[0] != "#"]
    return {line[0]: float(line[1]) for line in lines if len(line) == 2 and "{" not in line[0]}


class LocalEtcd:
    """An etcd that runs for a measurement."""

    def __init__(self, endpoint: str, version: str, pid: int) -> None:
        """Take one that serves."""
        self.endpoint = endpoint
        self.version = version
        self._pid = pid

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used so far."""
        return cpu_seconds_of(self._pid)


@contextmanager
def local_etcd(folder: Path) -> Iterator[LocalEtcd]:
    """Run an etcd with its data in a folder. Raises CommandError when there is none."""
    binary = found_etcd()
    client_port, peer_port = quiet_ports(2)
    endpoint = f"127.0.0.1:{client_port}"
    data = folder / "etcd"
    data.mkdir(mode=0o700)
    with (folder / "etcd.log").open("wb") as log:
        process = subprocess.Popen(
            command_line(binary, data, client_port, peer_port),
            stdout=log,
            stderr=log,
            env=environment(folder) | PROGRAMS_NEED,
        )
    try:
        give_up_at = time.monotonic() + ETCD_SECONDS_MAX
        while not is_healthy(endpoint):
            if process.poll() is not None or time.monotonic() > give_up_at:
                words = (folder / "etcd.log").read_text(errors="replace")[-2_000:]
                raise ServerFailed(f"etcd does not serve; its last words:\n{words}")
            time.sleep(LOOK_SECONDS)
        yield LocalEtcd(endpoint, binary.version, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
