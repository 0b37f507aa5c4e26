"""The members of an etcd cluster: where they are, how they are reached, which one is asked now.

An endpoint is `host:port`, `http://host:port`, `https://host:port` or `unix:/path`. Each has a
channel of its own for as long as the client lives, so that turning to the next one breaks nothing
that is still under way on the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import grpc

RECONNECT_SECONDS = 1.0
"""How long grpc waits at most before it dials again; its default cost seconds."""
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
"""What one answer may weigh; grpc's own bound is below what a range of 1,000 keys may be."""


@dataclass(frozen=True, slots=True)
class EtcdTls:
    """How to believe the server, and what to show it."""

    ca: bytes | None = None
    """PEM of who signs servers; None for those that the system believes."""
    certificate: bytes | None = None
    """PEM of our certificate, for servers that want one."""
    key: bytes | None = field(default=None, repr=False)
    """PEM of its key."""
    server_name: str = ""
    """The name in the server's certificate, when it is not the one that is dialled."""

    def __post_init__(self) -> None:
        """Refuse half of a pair."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate needs its key, and a key its certificate")

    @classmethod
    def read(cls, ca: Path | None, certificate: Path | None, key: Path | None) -> Self:
        """Read the files."""
        ca_pem, certificate_pem, key_pem = (
            None if path is None else path.read_bytes() for path in (ca, certificate, key)
        )
        return cls(ca_pem, certificate_pem, key_pem)


@dataclass(frozen=True, slots=True)
class EtcdState:
    """Can etcd be reached? For health and metrics."""

    reachable: bool
    """False until the first answer, and whenever none of the endpoints gave one when asked last."""
    since: float
    """Since when that is so, on the client's clock."""
    endpoint: str
    """The endpoint that is asked now."""
    fault: str
    """What went wrong last; empty when nothing did since the last answer."""


class Endpoints:
    """Which endpoint is asked, and how it went."""

    def __init__(
        self,
        endpoints: Sequence[str],
        tls: EtcdTls | None,
        detect_seconds: float,
        now: Callable[[], float],
    ) -> None:
        """Begin with the first; a connection that shows no life for so long is given up."""
        if not endpoints:
            raise ValueError("name one endpoint of etcd at least")
        self._addresses = [_parted(endpoint, tls) for endpoint in endpoints]
        self._names = list(endpoints)
        self._detect_seconds = detect_seconds
        self._now = now
        self._channels: dict[int, grpc.aio.Channel] = {}
        self._at = 0
        self._failures = 0
        self.is_closed = False
        self.state = EtcdState(False, now(), self._names[0], "nothing was asked yet")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._names)

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = self.state
        seconds = self._now() - state.since
        how = "reachable" if state.reachable else f"not reachable ({state.fault})"
        return f"<etcd {how} for {seconds:.1f} s, asking {state.endpoint}>"

    @property
    def current(self) -> int:
        """Return the number of the endpoint that is asked now."""
        return self._at

    def name(self, number: int) -> str:
        """Return what the settings call it."""
        return self._names[number]

    def channel(self, number: int) -> grpc.aio.Channel:
        """Return the channel to it, opened when it is first wanted."""
        assert not self.is_closed, "the client is closed"
        channel = self._channels.get(number)
        if channel is None:
            target, tls = self._addresses[number]
            options = _options(self._detect_seconds, tls)
            channel = (
                grpc.aio.insecure_channel(target, options)
                if tls is None
                else grpc.aio.secure_channel(target, _credentials(tls), options)
            )
            self._channels[number] = channel
        return channel

    def answered(self, number: int) -> None:
        """Note that this one gave an answer."""
        self._failures = 0
        state = self.state
        if not state.reachable:
            self.state = EtcdState(True, self._now(), self._names[self._at], "")
        elif state.fault and number == self._at:
            self.state = replace(state, fault="")

    def failed(self, number: int, fault: str) -> None:
        """Note that this one gave none, and turn to the next, unless somebody else already has."""
        self._failures += 1
        if number == self._at:
            self._at = (self._at + 1) % len(self._names)
        state = replace(self.state, endpoint=self._names[self._at], fault=fault)
        if state.reachable and self._failures >= len(self._names):
            state = replace(state, reachable=False, since=self._now())
        self.state = state

    async def close(self) -> None:
        """Close the channels; what is under way on them is cancelled."""
        self.is_closed = True
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()


def _parted(endpoint: str, tls: EtcdTls | None) -> tuple[str, EtcdTls | None]:
    scheme, separator, rest = endpoint.partition("://")
    if not separator:
        return endpoint, tls
    match scheme:
        case "https":
            return rest, tls or EtcdTls()
        case "http" if tls is None:
            return rest, None
        case "http":
            raise ValueError(
                f"{endpoint} says that there is no TLS, and the settings say how to do it"
            )
        case "unix":
            return f"unix:{rest}", tls
        case _:
            raise ValueError(f"{endpoint}: say host:port, https://host:port or unix:/path")


def _credentials(tls: EtcdTls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)


def _options(detect_seconds: float, tls: EtcdTls | None) -> list[tuple[str, int | str]]:
    milliseconds = round(detect_seconds * 1_000)
    options: list[tuple[str, int | str]] = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", milliseconds),  # how long one attempt to connect may take
        ("grpc.max_reconnect_backoff_ms", round(RECONNECT_SECONDS * 1_000)),
        # The server ends connections that are pinged more often than every 5 s.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", milliseconds),
        # Without this one the two above notice nothing (measured: 48 s of silence on 1.85).
        ("grpc.http2.ping_timeout_ms", milliseconds),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        (
            "grpc.use_local_subchannel_pool",
            1,
        ),  # no waiting because another client could not connect
        ("grpc.enable_http_proxy", 0),
    ]
    if tls is not None and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options
