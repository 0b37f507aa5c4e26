"""Processes that share a port, and what each has for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.commands.shares import Share, shares_of
from gateway.settings import Settings, SettingsError, load_settings

FOLDER = Path("/run/llmx")
PORTS = [7001, 7002, 7003]


def shares(**given: object) -> list[Share]:
    """Return the shares of three processes."""
    overrides = {name.replace("__", "."): value for name, value in given.items()}
    settings = load_settings(None, {"server.gateway_id": "eu", **overrides})
    return shares_of(settings, 7600, PORTS, FOLDER)


def told(name: str, **given: object) -> list[str | None]:
    return [share.settings.get(name.replace("__", ".")) for share in shares(**given)]


def test_each_is_a_gateway_of_its_own_behind_one_port() -> None:
    assert [share.gateway_id for share in shares()] == ["eu-1", "eu-2", "eu-3"]
    assert told("server__shared_port") == ["7600"] * 3
    assert told("server__port") == ["7001", "7002", "7003"]
    assert told("server__processes") == ["1"] * 3


def test_what_each_is_told_are_settings_that_it_takes() -> None:
    for share in shares(federation__peers="us=us.example:7700", federation__unix="/run/a.sock"):
        settings = load_settings(None, dict(share.settings))
        assert isinstance(settings, Settings)
        assert settings.server.gateway_id == share.gateway_id
        assert settings.federation.is_on


def test_without_a_cluster_they_know_each_other_and_listen_to_nobody_else() -> None:
    first = shares()[0].settings
    assert first["federation.unix"] == "/run/llmx/1.sock"
    assert first["federation.listen"] == "none"
    assert first["federation.peers"] == (
        "eu-2@local=unix:/run/llmx/2.sock=127.0.0.1:7002,"
        "eu-3@local=unix:/run/llmx/3.sock=127.0.0.1:7003"
    )


def test_with_a_list_of_peers_they_are_added_to_it() -> None:
    given = {"federation__peers": "us=us.example:7700", "federation__region": "europe"}
    peers = shares(**given)[2].settings["federation.peers"].split(",")
    assert peers[0] == "us=us.example:7700"
    assert [one.split("=")[0] for one in peers[1:]] == ["eu-1@europe", "eu-2@europe"]


def test_with_etcd_they_find_each_other_there() -> None:
    given = {"federation__etcd": "127.0.0.1:2379"}
    assert told("federation__peers", **given) == [None] * 3
    assert told("federation__listen", **given) == ["127.0.0.1:0"] * 3


def test_others_find_each_where_its_port_was_counted_up() -> None:
    given = {
        "federation__etcd": "127.0.0.1:2379",
        "federation__listen": "0.0.0.0:7700",
        "federation__advertise": "eu.example:7700",
    }
    assert told("federation__listen", **given)[1:] == ["0.0.0.0:7701", "0.0.0.0:7702"]
    assert told("federation__advertise", **given)[2] == "eu.example:7702"


def test_agents_are_sent_to_one_of_them_only_where_that_can_be_named() -> None:
    """Whoever listens everywhere does not know under which name agents find the machine."""
    assert "=" not in told("federation__peers", server__host="0.0.0.0")[0].split("unix:")[-1]
    named = told(
        "federation__peers", server__host="0.0.0.0", federation__agents_address="eu.example:7600"
    )
    assert named[0] is not None and named[0].endswith("3.sock=eu.example:7600")


def test_metrics_are_counted_up_or_take_free_ports_or_are_off() -> None:
    assert told("server__metrics_port", server__metrics_port=9100) == ["9100", "9101", "9102"]
    assert told("server__metrics_port", server__metrics_port=0) == ["0"] * 3
    assert told("server__metrics_port", server__metrics_port="none") == ["none"] * 3


def test_pages_are_counted_up_too_and_are_off_by_default() -> None:
    assert told("page__port", page__port=9200) == ["9200", "9201", "9202"]
    assert told("page__port", page__port=0) == ["0"] * 3
    assert told("page__port") == ["none"] * 3


def test_files_that_one_process_writes_are_numbered() -> None:
    given = {"mailbox__file": "/var/llmx/mail.sqlite", "engine__records": "/var/llmx/records"}
    assert told("mailbox__file", **given)[0] == "/var/llmx/mail-1.sqlite"
    assert told("engine__records", **given)[2] == "/var/llmx/records-3"
    assert told("federation__unix", federation__unix="/run/peer.sock")[1] == "/run/peer-2.sock"
    assert told("mailbox__file") == [None] * 3


def test_profiles_are_kept_in_one_file_for_all_where_there_is_no_etcd() -> None:
    ours = told("engine__policies")
    assert ours[0] is not None and ours[0].endswith("policies.json") and len(set(ours)) == 1
    assert told("engine__policies", engine__policies="/var/llmx/p.json") == [None] * 3, "as given"
    assert told("engine__policies", federation__etcd="127.0.0.1:2379") == [None] * 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"server__unix": "/run/agents.sock"}, "server.unix=/run/agents.sock: several processes"),
        ({"server__metrics_port": 7599}, "server.metrics_port=7599: 3 processes take 7599 to 7601"),
        ({"server__metrics_port": 65_534}, "server.metrics_port=65534: "),
        ({"page__port": 65_534}, "page.port=65534: 3 processes take 65534 to 65536"),
        ({"server__gateway_id": "a" * 62}, "server.gateway_id=aaa.*too long"),
        ({"federation__unix": f"/{'a' * 100}.sock"}, "federation.unix=.*100 bytes"),
        ({"federation__unix": "/run/a,b.sock"}, "federation.unix=.*comma"),
    ],
)
def test_what_several_processes_cannot_have_is_said(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        shares(**given)
