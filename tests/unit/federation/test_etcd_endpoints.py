"""Which endpoint is asked, how it is reached, and whether etcd can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.etcd import endpoints as module
from federation.etcd.endpoints import Endpoints, EtcdState, EtcdTls

TLS = EtcdTls(b"ca", b"certificate", b"key")


def made(*names: str, at: list[float] | None = None, tls: EtcdTls | None = None) -> Endpoints:
    clock = at or [0.0]
    return Endpoints(names, tls, 2.0, lambda: clock[0])


def test_nothing_is_reachable_before_something_has_answered() -> None:
    clock = [5.0]
    etcd = made("a", "b", at=clock)
    assert etcd.state == EtcdState(False, 5.0, "a", "nothing was asked yet")
    clock[0] = 7.0
    etcd.answered(0)
    assert etcd.state == EtcdState(True, 7.0, "a", "")
    assert repr(etcd) == "<etcd reachable for 0.0 s, asking a>"


def test_etcd_is_away_when_none_of_the_endpoints_answers() -> None:
    clock = [0.0]
    etcd = made("a", "b", at=clock)
    etcd.answered(0)
    clock[0] = 1.0
    etcd.failed(0, "silence")
    assert etcd.state == EtcdState(True, 0.0, "b", "silence")
    clock[0] = 2.0
    etcd.failed(1, "refused")
    clock[0] = 3.0
    etcd.failed(0, "refused")
    assert etcd.state == EtcdState(False, 2.0, "b", "refused")
    assert repr(etcd) == "<etcd not reachable (refused) for 1.0 s, asking b>"
    etcd.answered(1)
    assert etcd.state == EtcdState(True, 3.0, "b", "")


def test_two_calls_that_fail_together_turn_to_the_next_endpoint_once() -> None:
    etcd = made("a", "b", "c")
    etcd.failed(0, "silence")
    etcd.failed(0, "silence")
    assert etcd.current == 1


def test_what_went_wrong_is_forgotten_when_the_endpoint_that_is_asked_answers() -> None:
    etcd = made("a", "b")
    etcd.answered(0)
    etcd.failed(0, "silence")
    etcd.answered(0)  # a call that was under way there
    assert etcd.state.fault == "silence"
    etcd.answered(1)
    assert etcd.state.fault == ""


@pytest.mark.parametrize(
    ("endpoint", "tls", "target", "secure"),
    [
        ("host:2379", None, "host:2379", None),
        ("http://host:2379", None, "host:2379", None),
        ("host:2379", TLS, "host:2379", TLS),
        ("https://host:2379", TLS, "host:2379", TLS),
        ("https://host:2379", None, "host:2379", EtcdTls()),
        ("unix:/run/etcd", None, "unix:/run/etcd", None),
        ("unix:///run/etcd", None, "unix:/run/etcd", None),
    ],
)
def test_an_endpoint_is_written_as_etcd_writes_it_or_as_grpc_does(
    endpoint: str, tls: EtcdTls | None, target: str, secure: EtcdTls | None
) -> None:
    assert module._parted(endpoint, tls) == (target, secure)


@pytest.mark.parametrize(
    ("names", "tls", "reason"),
    [
        ([], None, "one endpoint"),
        (["http://host:2379"], TLS, "no TLS"),
        (["ftp://host:2379"], None, "say host:port"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused_at_once(
    names: list[str], tls: EtcdTls | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        made(*names, tls=tls)


def test_half_a_pair_is_refused_and_keys_are_not_shown() -> None:
    with pytest.raises(ValueError, match="needs its key"):
        EtcdTls(certificate=b"certificate")
    assert "secret" not in repr(EtcdTls(None, b"certificate", b"secret"))


def test_tls_is_read_from_files(tmp_path: Path) -> None:
    for name in ("ca", "certificate", "key"):
        (tmp_path / name).write_text(name)
    assert EtcdTls.read(*(tmp_path / name for name in ("ca", "certificate", "key"))) == TLS
    assert EtcdTls.read(None, None, None) == EtcdTls()


def test_a_connection_that_shows_no_life_is_noticed() -> None:
    """Without the first of these the two others noticed nothing within 48 s."""
    options = dict(module._options(2.0, None))
    assert options["grpc.http2.ping_timeout_ms"] == 2_000
    assert options["grpc.keepalive_timeout_ms"] == 2_000
    assert int(options["grpc.keepalive_time_ms"]) > 5_000, "servers end what pings more often"


def test_a_server_that_is_back_is_dialled_within_a_second() -> None:
    assert dict(module._options(2.0, None))["grpc.max_reconnect_backoff_ms"] == 1_000


def test_a_server_may_bear_another_name_than_its_address() -> None:
    tls = EtcdTls(b"ca", server_name="etcd.example")
    assert dict(module._options(2.0, tls))["grpc.ssl_target_name_override"] == "etcd.example"


async def test_a_closed_client_opens_no_channel() -> None:
    etcd = made("a")
    assert etcd.channel(0) is etcd.channel(0)
    await etcd.close()
    with pytest.raises(AssertionError, match="closed"):
        etcd.channel(0)
