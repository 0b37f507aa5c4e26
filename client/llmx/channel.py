"""Opens channels to a gateway."""

from __future__ import annotations

from pathlib import Path

import grpc

Tls = bool | str | Path | None
"""None or False: plain text. True: TLS judged by grpc's own roots. A path: by the roots in it."""

FRAME_BYTES_MAX = 32 * 1024 * 1024  # what we take; what we send, the gateway's Welcome says
KEEPALIVE_MS = 30_000  # below the 60 s after which balancers forget a quiet stream
PING_TIMEOUT_MS = 10_000

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", FRAME_BYTES_MAX),
    ("grpc.max_send_message_length", FRAME_BYTES_MAX),
    # Shared subchannels share grpc's own backoff, which would come on top of ours.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(gateway: str, tls: Tls = None) -> grpc.aio.Channel:
    """Return a channel to `gateway`, "host:port" or "unix:path". It connects when used.

    Raises OSError when the file with the root certificates cannot be read.
    """
    if not tls:
        return grpc.aio.insecure_channel(gateway, options=OPTIONS)
    roots = None if tls is True else Path(tls).read_bytes()
    credentials = grpc.ssl_channel_credentials(root_certificates=roots)
    return grpc.aio.secure_channel(gateway, credentials, options=OPTIONS)
