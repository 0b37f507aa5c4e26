"""What a cluster is wired from: the parts of its gateway, and what the settings of federation make.

They make the port for other gateways, TLS, the client of etcd, and the members of a list.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import grpc
import msgspec

from federation.discovery import StaticDiscovery
from federation.etcd import EtcdClient, EtcdTls
from federation.membership import MemberInfo
from federation.peer_tls_files import PeerTlsFiles
from federation.peering import Peering
from gateway.absences import Absences
from gateway.admission import Admission
from gateway.clock import Clock
from gateway.control import ControlService
from gateway.durability import Durability
from gateway.exchange import Exchange
from gateway.mailbox import Mailbox
from gateway.members import Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.router import Router
from gateway.settings import FederationSettings, SettingsError
from gateway.settings_federation import PEER
from gateway.telemetry.wiring import Telemetry
from gateway.validation import Validation
from llmx.v1 import peering_service_pb2

PEERING = peering_service_pb2.DESCRIPTOR.services_by_name["PeeringService"].full_name
PEER_FRAME_BYTES_MAX = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a gateway the cluster has to do with."""

    members: Members
    router: Router
    negotiations: Negotiations
    absences: Absences
    mailbox: Mailbox
    admission: Admission
    exchange: Exchange
    control: ControlService
    validation: Validation
    metrics: Metrics
    durability: Durability | None
    telemetry: Telemetry


def peer_server(
    peering: Peering, federation: FederationSettings, tls: PeerTlsFiles | None
) -> tuple[grpc.aio.Server, str]:
    """Return a server for other gateways, and where they find it."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", PEER_FRAME_BYTES_MAX),
            ("grpc.max_send_message_length", PEER_FRAME_BYTES_MAX),
            ("grpc.so_reuseport", 0),
        ]
    )
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = dict(peering.handlers())
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(PEERING, handlers),))
    addresses = []
    if federation.unix is not None:
        addresses.append(f"unix:{federation.unix}")
        try:
            server.add_insecure_port(addresses[0])
        except RuntimeError as error:
            raise SettingsError(
                f"federation.unix={federation.unix}: {error}; it must be a path in a folder that "
                "can be written to, of 100 bytes at most"
            ) from error
    if federation.listen is not None:
        addresses.append(_listening(server, federation.listen, federation.advertise, tls))
    return server, ",".join(addresses)


def _listening(
    server: grpc.aio.Server, listen: str, advertise: str | None, tls: PeerTlsFiles | None
) -> str:
    """Have the server listen; returns where others find it."""
    host = listen.rpartition(":")[0]
    try:
        if tls is None:
            port = server.add_insecure_port(listen)
        else:
            port = server.add_secure_port(listen, tls.server_credentials())
    except RuntimeError as error:
        raise SettingsError(
            f"federation.listen={listen}: {error}; for example 127.0.0.1:0"
        ) from error
    return advertise or f"{host}:{port}"


def peer_tls(federation: FederationSettings) -> PeerTlsFiles | None:
    """Return the files of mutual TLS. Raises SettingsError for such as cannot be used."""
    if federation.ca is None or federation.certificate is None or federation.key is None:
        return None
    try:
        return PeerTlsFiles(federation.ca, federation.certificate, federation.key)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"federation.certificate={federation.certificate}: {error}; it must be a PEM file, "
            "with its key in federation.key and who signed it in federation.ca"
        ) from error


def etcd_client(federation: FederationSettings, now: Clock) -> EtcdClient:
    assert federation.etcd is not None, "there is etcd"
    tls = None
    if federation.etcd_ca is not None or federation.etcd_certificate is not None:
        tls = EtcdTls(
            ca=None if federation.etcd_ca is None else federation.etcd_ca.read_bytes(),
            certificate=None
            if federation.etcd_certificate is None
            else federation.etcd_certificate.read_bytes(),
            key=None if federation.etcd_key is None else federation.etcd_key.read_bytes(),
        )
    password = ""
    if federation.etcd_password_file is not None:
        password = federation.etcd_password_file.read_text("utf-8").splitlines()[0]
    return EtcdClient(
        [one.strip() for one in federation.etcd.split(",") if one.strip()],
        tls=tls,
        user=federation.etcd_user or "",
        password=password,
        now=now,
    )


def static_discovery(own: MemberInfo, federation: FederationSettings) -> StaticDiscovery:
    others = []
    for part in (federation.peers or "").split(","):
        named = PEER.fullmatch(part.strip())
        if named is not None:
            others.append(
                MemberInfo(
                    gateway_id=named["gateway"],
                    region=named["region"] or federation.region,
                    peer_address=named["address"],
                    agents_address=named["agents"] or "",
                )
            )
    epoch = time.time_ns() // 1_000_000  # of two lives of one gateway the later one counts
    return StaticDiscovery(msgspec.structs.replace(own, epoch=epoch), others)
