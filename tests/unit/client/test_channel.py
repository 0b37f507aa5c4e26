"""How channels are opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmx.channel import OPTIONS, open_channel


def test_a_quiet_stream_pings_before_balancers_forget_it():
    options = dict(OPTIONS)
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.http2.ping_timeout_ms"] > 0


async def test_roots_that_cannot_be_read_are_an_os_error(tmp_path: Path):
    with pytest.raises(OSError, match=r"absent\.pem"):
        open_channel("127.0.0.1:1", tmp_path / "absent.pem")


async def test_a_channel_is_plain_or_tls():
    for tls in (None, False, True):
        await open_channel("127.0.0.1:1", tls).close()
