"""The gRPC server of a gateway: its services, its options, where it listens."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.admin import AdminService
from gateway.control import ControlService
from gateway.exchange import Exchange
from gateway.governing.token_service import TokenService
from gateway.ledger_service import LedgerService
from gateway.market_service import MarketService
from gateway.settings import ServerSettings, SettingsError
from llmx.v1 import (
    admin_service_pb2,
    control_service_pb2,
    exchange_service_pb2,
    ledger_service_pb2,
    market_service_pb2,
    token_service_pb2,
)

EXCHANGE = exchange_service_pb2.DESCRIPTOR.services_by_name["ExchangeService"].full_name
CONTROL = control_service_pb2.DESCRIPTOR.services_by_name["ControlService"].full_name
ADMIN = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
MARKET = market_service_pb2.DESCRIPTOR.services_by_name["MarketService"].full_name
TOKENS = token_service_pb2.DESCRIPTOR.services_by_name["TokenService"].full_name
LEDGER = ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name

FRAME_DISCARD_BYTES_MAX = 128 * 1024 * 1024
"""Frames above the limit and up to this are read, thrown away and refused, and the stream
lives on; beyond it grpc ends the call with RESOURCE_EXHAUSTED."""


def built_server(
    exchange: Exchange,
    control: ControlService,
    sessions_max: int,
    admin: AdminService | None = None,
    ledger: LedgerService | None = None,
    market: MarketService | None = None,
    tokens: TokenService | None = None,
    *,
    shares_port: bool = False,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    server = grpc.aio.server(
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", FRAME_DISCARD_BYTES_MAX),
            ("grpc.max_send_message_length", -1),
            ("grpc.compression_enabled_algorithms_bitset", 1),  # none: a bomb is a small frame
            # Otherwise grpc refuses, without a word, some of a crowd of a thousand that comes back.
            ("grpc.server.max_pending_requests", 4 * sessions_max),
            ("grpc.server.max_pending_requests_hard_limit", 8 * sessions_max),
            # A second gateway on the port is a mistake, unless it is to share it; say so.
            ("grpc.so_reuseport", int(shares_port)),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ],
    )
    # Without (de)serialisers grpc hands over raw bytes, so an envelope is never built twice.
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
        exchange.handle
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(EXCHANGE, {"Exchange": handler}),
            grpc.method_handlers_generic_handler(CONTROL, control.handlers()),
        )
    )
    if admin is not None:
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(ADMIN, admin.handlers()),)
        )
    if ledger is not None:
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(LEDGER, ledger.handlers()),)
        )
    if market is not None:
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(MARKET, market.handlers()),)
        )
    if tokens is not None:
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(TOKENS, tokens.handlers()),)
        )
    readiness = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(readiness, server)
    names = [EXCHANGE, CONTROL, health.SERVICE_NAME, reflection.SERVICE_NAME]
    names += [] if admin is None else [ADMIN]
    names += [] if ledger is None else [LEDGER]
    names += [] if market is None else [MARKET]
    names += [] if tokens is None else [TOKENS]
    reflection.enable_server_reflection(names, server)
    return server, readiness


def listen(server: grpc.aio.Server, settings: ServerSettings) -> int:
    """Bind as the settings say; returns the port that is not shared.

    Raises OSError when it is taken.
    """
    host, port = settings.host, settings.port
    # Of a port that is taken grpc would tell in lines of its own, and not why. Whoever starts
    # processes that share one has looked, and holds the ports of all.
    if port and settings.shared_port is None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host.strip("[]"), port), family=family):
            pass
    if settings.unix is not None:
        server.add_insecure_port(f"unix:{settings.unix}")
    if settings.shared_port is not None:
        _add_port(server, settings, settings.shared_port)
    return _add_port(server, settings, port)


def _add_port(server: grpc.aio.Server, settings: ServerSettings, port: int) -> int:
    address = f"{settings.host}:{port}"
    if settings.tls_certificate is None or settings.tls_key is None:
        return server.add_insecure_port(address)
    pair = _tls_pair(settings.tls_key, settings.tls_certificate)
    return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))


def _tls_pair(key: Path, certificate: Path) -> tuple[bytes, bytes]:
    """Return key and certificate; raises SettingsError when they are none, or not a pair.

    Of these grpc would say, in lines of its own, that it cannot listen.
    """
    read = []
    for name, file, what in (
        ("tls_key", key, "PRIVATE KEY-----"),
        ("tls_certificate", certificate, "-----BEGIN CERTIFICATE-----"),
    ):
        try:
            read.append(file.read_bytes())
        except OSError as error:
            raise SettingsError(f"server.{name}={file}: {error.strerror or error}") from None
        if what.encode() not in read[-1]:
            reason = "there is no private key in it" if name == "tls_key" else "no certificate"
            raise SettingsError(f"server.{name}={file}: {reason}; name a PEM file")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"server.tls_key={key} is not the key of server.tls_certificate={certificate}, or has "
            f"a passphrase: {error}"
        ) from None
    return read[0], read[1]


async def set_readiness(readiness: health.aio.HealthServicer, status: int) -> None:
    for name in ("", EXCHANGE, CONTROL):
        await readiness.set(name, status)
