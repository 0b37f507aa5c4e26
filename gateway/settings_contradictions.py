"""Settings that are right alone and wrong together, each with what would work."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final, Protocol

from gateway.settings_federation import PEER, FederationSettings
from gateway.settings_groups import (
    ENVELOPE_HEADER_BYTES_MAX,
    AuthSettings,
    EngineSettings,
    LimitSettings,
    MailboxSettings,
    ServerSettings,
)
from gateway.settings_market import MarketSettings
from gateway.settings_telemetry import TelemetrySettings
from gateway.settings_words import as_text

PORT_MAX: Final = 65_535
EVERYWHERE: Final = ("", "0.0.0.0", "::")


class Given(Protocol):
    """The groups that are looked at."""

    @property
    def server(self) -> ServerSettings:
        """Where it listens."""

    @property
    def auth(self) -> AuthSettings:
        """Whose tokens count."""

    @property
    def limits(self) -> LimitSettings:
        """What is too much."""

    @property
    def engine(self) -> EngineSettings:
        """How negotiations are decided."""

    @property
    def mailbox(self) -> MailboxSettings:
        """What waits."""

    @property
    def federation(self) -> FederationSettings:
        """Whom it is with."""

    @property
    def market(self) -> MarketSettings:
        """What awards hold."""

    @property
    def telemetry(self) -> TelemetrySettings:
        """What is seen of it."""


def contradictions(settings: Given) -> Iterator[tuple[str, str, str]]:
    """Yield settings that are right alone and wrong together, with what would work."""
    server, auth, limits = settings.server, settings.auth, settings.limits
    if (server.tls_certificate is None) != (server.tls_key is None):
        yield "server", "tls_certificate", "needs tls_key beside it; give both, or none"
    if auth.jwks_file is not None and auth.jwks_url is not None:
        yield "auth", "jwks_url", "there is a jwks_file too; give one of them"
    yield from _of_federation(server, settings.federation)
    yield from _of_telemetry(settings.telemetry)
    yield from _of_market(settings.market, settings.mailbox, settings.federation)
    if settings.engine.policies is not None and settings.federation.etcd is not None:
        yield "engine", "policies", "federation.etcd keeps the profiles; leave out one of the two"
    if limits.payload_bytes_max > limits.frame_bytes_max:
        yield (
            "limits",
            "payload_bytes_max",
            f"must be at most frame_bytes_max, {limits.frame_bytes_max}",
        )
    if limits.ttl_default > limits.ttl_max:
        yield "limits", "ttl_default", f"must be at most ttl_max, {as_text(limits.ttl_max)}"
    yield from _limits_that_nobody_meets(limits)
    if limits.once_seconds < limits.ttl_max:
        yield (
            "limits",
            "once_seconds",
            f"must be at least ttl_max, {as_text(limits.ttl_max)}, or a repeat is a new message",
        )
    mailbox = settings.mailbox
    if mailbox.file is None and not mailbox.fsync:
        yield "mailbox", "fsync", "there is no mailbox.file to flush; name one, or leave it out"
    if server.move_to is not None:
        reason = _no_way(server.move_to, server)
        if reason:
            yield "server", "move_to", f"{reason}, for example gateway-2.example:7600"
    if limits.retry_initial > limits.retry_max:
        yield "limits", "retry_initial", f"must be at most retry_max, {as_text(limits.retry_max)}"


def _limits_that_nobody_meets(limits: LimitSettings) -> Iterator[tuple[str, str, str]]:
    """Yield bounds that would refuse one message of the largest size for ever."""
    for_all = 1 - limits.rate_reserve
    weight = limits.payload_bytes_max + ENVELOPE_HEADER_BYTES_MAX
    for name, value, least in (
        ("tenant_burst", limits.tenant_burst, 1 / for_all),
        ("quota_bytes_per_hour", limits.quota_bytes_per_hour, weight),
        ("tenant_quota_messages_per_hour", limits.tenant_quota_messages_per_hour, 1 / for_all),
        ("tenant_quota_bytes_per_hour", limits.tenant_quota_bytes_per_hour, weight / for_all),
    ):
        if value is not None and value < least:
            yield "limits", name, f"must be at least {ceil(least)}, for one message to pass"


def _no_way(addresses: str, server: ServerSettings) -> str:
    """Return why agents cannot go to `addresses`; empty when they can."""
    for address in addresses.split(","):
        reason = _no_address(address)
        if reason:
            return reason
        host, _, port = address.rpartition(":")
        if (host.strip("[]"), int(port)) == (server.host.strip("[]"), server.port):
            return "must be another gateway, not this one"
    return ""


def _no_address(address: str) -> str:
    """Return why nobody can be found at an address; empty when somebody can."""
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or "/" in bare or (":" in bare) == (bare == host):
        return "must be host:port, several with commas"
    if not port.isascii() or not port.isdecimal() or not 1 <= int(port) <= PORT_MAX:
        return "the port must be 1 to 65,535"
    return ""


def _no_place(address: str) -> str:
    """Return why no gateway can be found at an address; a Unix socket is one too."""
    return "" if address.startswith("unix:/") else _no_address(address)


def _of_federation(
    server: ServerSettings, federation: FederationSettings
) -> Iterator[tuple[str, str, str]]:
    if federation.is_on and server.gateway_id == ServerSettings().gateway_id:
        yield "server", "gateway_id", "needs a name of its own in a cluster, for example eu-1"
    if federation.is_on and federation.listen is None and federation.unix is None:
        yield "federation", "listen", "needs unix, if it is none; for example 127.0.0.1:0"
    is_told = federation.etcd is not None  # a list names it as others find it
    if is_told and federation.advertise is None and _is_everywhere(federation.listen):
        yield (
            "federation",
            "listen",
            (
                "is every address of this machine, and none that others could dial; name one, or "
                "set federation.advertise beside it, for example eu-1.example:7601"
            ),
        )
    if federation.etcd is not None and federation.peers is not None:
        yield "federation", "peers", "there is etcd too; give one of them"
    yield from _addresses_of_nobody(federation)
    if (federation.etcd_user is None) != (federation.etcd_password_file is None):
        yield "federation", "etcd_user", "needs etcd_password_file beside it; give both, or none"
    if (federation.etcd_certificate is None) != (federation.etcd_key is None):
        yield "federation", "etcd_certificate", "needs etcd_key beside it; give both, or none"
    if len({one is None for one in (federation.certificate, federation.key, federation.ca)}) > 1:
        yield "federation", "certificate", "needs key and ca beside it; give all three, or none"


def _is_everywhere(listen: str | None) -> bool:
    """Tell whether a port is open on all addresses of the machine."""
    host = (listen or "127.0.0.1:0").rpartition(":")[0]
    return host.strip("[]") in EVERYWHERE


def _addresses_of_nobody(federation: FederationSettings) -> Iterator[tuple[str, str, str]]:
    peers = [PEER.fullmatch(part) for part in (federation.peers or "").split(",") if part]
    ids = [match["gateway"] for match in peers if match is not None]
    if (
        None in peers
        or len(set(ids)) != len(ids)
        or any(
            _no_place(match["address"]) or (match["agents"] and _no_address(match["agents"]))
            for match in peers
            if match is not None
        )
    ):
        reason = "must be id=host:port or id@region=host:port, several with commas, each id once, "
        yield "federation", "peers", f"{reason}for example us-1@us=us-1.example:7601"
    for name, addresses, instance in (
        ("etcd", federation.etcd, "127.0.0.1:2379"),
        ("advertise", federation.advertise, "eu-1.example:7601"),
        ("agents_address", federation.agents_address, "eu-1.example:7600"),
    ):
        for address in () if addresses is None else addresses.split(","):
            reason = _no_address(address) if name == "etcd" else _no_place(address)
            if reason:
                yield "federation", name, f"{reason}, for example {instance}"
                break


def _of_market(
    market: MarketSettings, mailbox: MailboxSettings, federation: FederationSettings
) -> Iterator[tuple[str, str, str]]:
    if market.store == "file" and market.file is None:
        yield "market", "store", "needs market.file; name a file on a local disk"
    if market.file is not None and market.file == mailbox.file:
        yield "market", "file", "must be another file than mailbox.file"
    if market.file is not None and market.store != "file":
        yield "market", "file", 'needs market.store beside it; set that to "file"'
    if market.store == "etcd" and federation.etcd is None:
        yield "market", "store", "needs federation.etcd; or keep the ledger in a file"
    if market.store in ("file", "memory") and federation.is_on:
        yield "market", "store", "gateways of a cluster share one ledger; set it to etcd, or none"
    if market.catalogue is not None and not market.is_on:
        yield "market", "catalogue", "needs market.store beside it; for example memory"


def _of_telemetry(telemetry: TelemetrySettings) -> Iterator[tuple[str, str, str]]:
    if telemetry.traces == "file" and telemetry.traces_file is None:
        yield "telemetry", "traces", "needs telemetry.traces_file; name a file, or export to otlp"
    if telemetry.traces != "file" and telemetry.traces_file is not None:
        yield "telemetry", "traces_file", 'needs telemetry.traces beside it; set that to "file"'
    if telemetry.audit is None and telemetry.audit_key_file is not None:
        yield "telemetry", "audit_key_file", "needs telemetry.audit; name the file of the audit"
