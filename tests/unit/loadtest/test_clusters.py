"""What gateways of a cluster are told, and how a scrape is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import clusters
from loadtest.clusters import Wire, cluster, local_etcd, settings_of_members
from loadtest.servers import ServerFailed

FOLDER = Path("/run/llmx")


def test_each_gateway_is_told_of_the_others_and_their_sockets() -> None:
    one, other = settings_of_members(FOLDER, 2, Wire.UNIX, "")
    assert one["server__gateway_id"] == "gateway-1"
    assert one["federation__unix"] == "/run/llmx/gateway-1.sock"
    assert one["federation__peers"] == "gateway-2=unix:/run/llmx/gateway-2.sock"
    assert other["federation__peers"] == "gateway-1=unix:/run/llmx/gateway-1.sock"


def test_over_tcp_each_listens_where_the_others_are_told() -> None:
    one, other = settings_of_members(FOLDER, 2, Wire.TCP, "")
    assert one["federation__peers"] == f"gateway-2={other['federation__listen']}"
    assert "federation__unix" not in one


def test_one_alone_is_in_no_cluster_unless_it_is_in_etcd() -> None:
    (alone,) = settings_of_members(FOLDER, 1, Wire.UNIX, "")
    assert "federation__peers" not in alone and "federation__etcd" not in alone
    (registered,) = settings_of_members(FOLDER, 1, Wire.UNIX, "127.0.0.1:2379")
    assert registered["federation__etcd"] == "127.0.0.1:2379"
    assert "federation__peers" not in registered


@pytest.mark.slow
def test_a_gateway_that_does_not_start_ends_those_that_did(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerFailed, match="no such setting"),
        cluster(tmp_path, 2, None, server__nothing=1),
    ):
        pass


@pytest.mark.slow
def test_an_etcd_that_does_not_serve_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "quiet_ports", lambda count: [1, 1])
    with pytest.raises(ServerFailed, match="etcd does not serve"), local_etcd(tmp_path):
        pass
