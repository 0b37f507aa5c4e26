"""What each of several gateway processes on one machine is told beside what all are told.

They are gateways `<id>-1` to `<id>-N`, peers over Unix sockets. Agents find all of them on one
port; each has another one for itself, the same in all its lives, so that an agent, or an operator,
can be sent to just that one. Files that a process must have for itself are numbered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.settings import Settings, SettingsError
from gateway.settings_contradictions import PORT_MAX

ID_CHARACTERS_MAX = 63
EVERYWHERE = ("0.0.0.0", "::", "[::]")
SOCKET_BYTES_MAX = 100
"""Paths of Unix sockets are bounded; 104 bytes with their end on the strictest systems."""


@dataclass(frozen=True, slots=True)
class Share:
    """One of the processes."""

    gateway_id: str
    settings: Mapping[str, str]
    """Dotted names, as `--set` takes them."""


def shares_of(
    settings: Settings, shared_port: int, own_ports: Sequence[int], folder: Path
) -> list[Share]:
    """Return what each process is told, of which each has one of the `own_ports`.

    Their Unix sockets are in `folder`, unless federation.unix says otherwise. Raises
    SettingsError for what several processes cannot have.
    """
    server, federation = settings.server, settings.federation
    count = len(own_ports)
    if server.unix is not None:
        raise SettingsError(
            f"server.unix={server.unix}: several processes cannot share it; leave it out, or use "
            "server.processes=1"
        )
    ids = [f"{server.gateway_id}-{number}" for number in range(1, count + 1)]
    if len(ids[-1]) > ID_CHARACTERS_MAX:
        raise SettingsError(f"server.gateway_id={server.gateway_id}: {ids[-1]} is too long")
    sockets = [_socket(federation.unix, folder, number) for number in range(1, count + 1)]
    siblings = {
        gateway_id: f"{gateway_id}@{federation.region}=unix:{socket}"
        + _agents_address(settings, port)
        for gateway_id, socket, port in zip(ids, sockets, own_ports, strict=True)
    }
    shares = []
    for index, gateway_id in enumerate(ids):
        own = {
            "server.processes": "1",
            "server.gateway_id": gateway_id,
            "server.port": str(own_ports[index]),
            "server.shared_port": str(shared_port),
            "server.metrics_port": _metrics_port(server.metrics_port, shared_port, index, count),
            "page.port": _page_port(settings.page.port, index, count),
            "federation.unix": str(sockets[index]),
        }
        if federation.etcd is None:
            others = [told for other, told in siblings.items() if other != gateway_id]
            own["federation.peers"] = ",".join(filter(None, [federation.peers, *others]))
        if not federation.is_on:
            own["federation.listen"] = "none"  # there is nobody but the siblings
        elif federation.listen is not None:
            own["federation.listen"] = _counted(federation.listen, index)
            if federation.advertise is not None:
                own["federation.advertise"] = _counted(federation.advertise, index)
        if federation.etcd is None and settings.engine.policies is None:
            own["engine.policies"] = str(folder / "policies.json")
        for name, file in (
            ("mailbox.file", settings.mailbox.file),
            ("engine.records", settings.engine.records),
            ("telemetry.audit", settings.telemetry.audit),
            ("telemetry.traces_file", settings.telemetry.traces_file),
        ):
            if file is not None:
                own[name] = str(_numbered(file, index + 1))
        shares.append(Share(gateway_id, own))
    return shares


def _agents_address(settings: Settings, port: int) -> str:
    """Return what a list of peers says of where agents connect to one of the processes."""
    if settings.federation.agents_address is not None:
        return f"={settings.federation.agents_address}"
    # Who listens everywhere does not know by which of its names agents find it.
    return "" if settings.server.host in EVERYWHERE else f"={settings.server.host}:{port}"


def _socket(named: Path | None, folder: Path, number: int) -> Path:
    path = folder / f"{number}.sock" if named is None else _numbered(named, number)
    if len(str(path).encode()) > SOCKET_BYTES_MAX or any(sign in str(path) for sign in ", ="):
        raise SettingsError(
            f"federation.unix={path}: must have {SOCKET_BYTES_MAX} bytes at most, and no "
            "comma, blank or =; for example /run/llmx/peer.sock"
        )
    return path


def _metrics_port(first: int | None, shared: int, index: int, count: int) -> str:
    if not first:
        return "none" if first is None else "0"
    if first + count - 1 > PORT_MAX or first <= shared < first + count:
        raise SettingsError(
            f"server.metrics_port={first}: {count} processes take {first} to {first + count - 1}, "
            f"which must be free and not hold the agents' port {shared}; 0 takes free ones"
        )
    return str(first + index)


def _page_port(first: int | None, index: int, count: int) -> str:
    if not first:
        return "none" if first is None else "0"
    if first + count - 1 > PORT_MAX:
        raise SettingsError(
            f"page.port={first}: {count} processes take {first} to {first + count - 1}; "
            "0 takes free ones"
        )
    return str(first + index)


def _counted(address: str, index: int) -> str:
    """Return an address for one of several: its port is counted up, unless it is any port."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or port == "0":
        return address
    return f"{host}:{int(port) + index}"


def _numbered(file: Path, number: int) -> Path:
    return file.with_name(f"{file.stem}-{number}{file.suffix}")
