"""What the settings of federation make."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from federation.membership import MemberInfo
from federation.peering import OwnGateway, Peering, PeeringLimits
from gateway.cluster_parts import etcd_client, peer_server, peer_tls, static_discovery
from gateway.settings import FederationSettings, SettingsError
from tests.support.certificates import Authority

OWN = MemberInfo("eu", "europe", "127.0.0.1:1", "127.0.0.1:2")


def peering() -> Peering:
    return Peering(
        OwnGateway("eu", 1, "llmx", "europe"),
        PeeringLimits(),
        lambda: 0.0,
        hear=lambda gateway_id, messages: None,
        begun=lambda gateway_id: None,
        ended=lambda gateway_id, messages: None,
        sees_discovery=lambda: True,
    )


def served(settings: FederationSettings) -> str:
    """Return where others find a gateway with these settings."""

    async def serve() -> str:
        server, address = peer_server(peering(), settings, peer_tls(settings))
        await server.stop(None)
        return address

    return asyncio.run(serve())


def test_a_list_names_the_others_with_their_regions() -> None:
    settings = FederationSettings(
        region="europe", peers="us@america=10.0.0.2:7700,ap=10.0.0.3:7700"
    )
    discovery = static_discovery(OWN, settings)
    assert {
        one.gateway_id: (one.region, one.peer_address) for one in discovery.members.values()
    } == {
        "us": ("america", "10.0.0.2:7700"),
        "ap": ("europe", "10.0.0.3:7700"),
    }
    assert discovery.own.epoch > 0 and discovery.own.region == "europe"


def test_a_gateway_that_names_itself_in_the_list_is_not_its_own_neighbour() -> None:
    settings = FederationSettings(peers="eu=10.0.0.1:7700,us=10.0.0.2:7700")
    assert list(static_discovery(OWN, settings).members) == ["us"]


def test_others_find_a_gateway_where_it_listens_unless_it_says_otherwise(tmp_path: Path) -> None:
    address = served(FederationSettings(listen="127.0.0.1:0"))
    assert address.startswith("127.0.0.1:") and not address.endswith(":0")
    assert served(FederationSettings(advertise="eu.example:7700")) == "eu.example:7700"
    socket = tmp_path / "peer"
    assert served(FederationSettings(unix=socket)).startswith(f"unix:{socket},127.0.0.1:")


def test_gateways_of_one_machine_need_no_port(tmp_path: Path) -> None:
    socket = tmp_path / "peer"
    assert served(FederationSettings(listen=None, unix=socket)) == f"unix:{socket}"


def test_a_socket_that_cannot_be_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"federation\.unix=.*a path in a folder"):
        served(FederationSettings(unix=tmp_path / "nowhere" / "peer"))


def test_a_list_may_tell_where_agents_connect(tmp_path: Path) -> None:
    settings = FederationSettings(peers="us=10.0.0.2:7700=us.example:7600,ap=10.0.0.3:7700")
    members = static_discovery(OWN, settings).members
    assert {one.gateway_id: one.agents_address for one in members.values()} == {
        "us": "us.example:7600",
        "ap": "",
    }


def test_an_address_that_cannot_be_listened_on_is_a_setting_that_is_wrong() -> None:
    with pytest.raises(SettingsError, match=r"federation\.listen=.*for example"):
        served(FederationSettings(listen="nowhere.invalid:1"))


def test_links_are_secured_when_all_three_files_are_there(tmp_path: Path) -> None:
    assert peer_tls(FederationSettings()) is None
    authority = Authority()
    signed = authority.signed("eu")
    certificate, key = signed.write(tmp_path, "eu")
    ca = tmp_path / "ca"
    ca.write_bytes(authority.certificate)
    given = {"ca": ca, "certificate": certificate, "key": key}
    tls = peer_tls(FederationSettings(**given))
    assert tls is not None
    shown = tls.current
    assert (shown.ca, shown.certificate) == (authority.certificate, signed.certificate)
    assert shown.key == signed.key
    for name, path in given.items():
        bad = tmp_path / f"bad-{name}"
        bad.write_bytes(b"nonsense")
        for wrong in (bad, tmp_path / "nowhere"):
            with pytest.raises(SettingsError, match=r"federation\.certificate=.*PEM"):
                peer_tls(FederationSettings(**{**given, name: wrong}))
        assert path.exists()


def test_etcd_is_asked_as_the_user_of_the_settings(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("geheim\nnothing\n")
    settings = FederationSettings(
        etcd="10.0.0.1:2379,10.0.0.2:2379", etcd_user="llmx", etcd_password_file=password
    )
    client = etcd_client(settings, lambda: 0.0)
    assert client.state.endpoint == "10.0.0.1:2379" and "geheim" not in repr(client)
