"""The settings of a gateway that is one of several, and what is said of those that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.settings import Settings, SettingsError, load_settings
from gateway.settings_federation import PEER, FederationSettings


def fault(**given: Any) -> str:
    """Return what is said of settings of federation; the gateway has a name of its own."""
    overrides = {f"federation.{name}": value for name, value in given.items()}
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"server.gateway_id": "eu-1", **overrides})
    return str(caught.value)


def loaded(**given: Any) -> FederationSettings:
    overrides = {f"federation.{name}": value for name, value in given.items()}
    return load_settings(None, {"server.gateway_id": "eu-1", **overrides}).federation


def test_a_gateway_stands_alone_unless_etcd_or_a_list_names_others() -> None:
    assert not Settings().federation.is_on
    assert loaded(etcd="10.0.0.1:2379").is_on
    assert loaded(peers="us-1=10.0.0.2:7601").is_on


@pytest.mark.parametrize("listen", ["0.0.0.0:7601", "[::]:7601", ":7601"])
def test_who_listens_everywhere_has_to_say_where_others_find_it(listen: str) -> None:
    """They would be told an address that is of their own machine, or of nobody."""
    said = fault(etcd="10.0.0.1:2379", listen=listen)
    assert said.startswith(f"federation.listen={listen}: ") and "federation.advertise" in said
    told = loaded(etcd="10.0.0.1:2379", listen=listen, advertise="eu-1.example:7601")
    assert told.listen == listen
    assert loaded(peers="us-1=10.0.0.2:7601", listen=listen).is_on, "the list says where"


def test_a_gateway_of_a_cluster_has_a_name_of_its_own() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"federation.etcd": "10.0.0.1:2379"})
    assert str(caught.value) == (
        "server.gateway_id=local: needs a name of its own in a cluster, for example eu-1"
    )


@pytest.mark.parametrize(
    ("named", "gateway", "region", "address"),
    [
        ("us-1=us.example:7601", "us-1", None, "us.example:7601"),
        ("us-1@us=us.example:7601", "us-1", "us", "us.example:7601"),
        ("us-1@us=[::1]:7601", "us-1", "us", "[::1]:7601"),
        ("us-2@us=unix:/run/llmx/2", "us-2", "us", "unix:/run/llmx/2"),
    ],
)
def test_a_list_names_gateways_their_regions_and_their_addresses(
    named: str, gateway: str, region: str | None, address: str
) -> None:
    match = PEER.fullmatch(named)
    assert match is not None
    assert (match["gateway"], match["region"], match["address"]) == (gateway, region, address)
    assert loaded(peers=f"{named},ap=ap.example:7601").is_on


@pytest.mark.parametrize(
    "peers",
    [
        "nonsense",
        "us-1",
        "us-1=",
        "us-1=us.example",
        "us-1=us.example:0",
        "us-1=us.example:x",
        "us-1=http://us.example:7601",
        "us.1=us.example:7601",
        "us-1@=us.example:7601",
        "us-1=a:1,us-1=b:2",
    ],
)
def test_a_list_that_names_nobody_is_refused_with_one_that_would_do(peers: str) -> None:
    assert fault(peers=peers) == (
        f"federation.peers={peers}: must be id=host:port or id@region=host:port, several with "
        "commas, each id once, for example us-1@us=us-1.example:7601"
    )


@pytest.mark.parametrize("etcd", ["10.0.0.1:2379", "a:2379,b:2379", "[::1]:2379"])
def test_etcd_may_be_in_several_places(etcd: str) -> None:
    assert loaded(etcd=etcd).etcd == etcd


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("etcd", "localhost", "127.0.0.1:2379"),
        ("etcd", "http://localhost:2379", "127.0.0.1:2379"),
        ("etcd", "a:2379,", "127.0.0.1:2379"),
        ("advertise", "eu-1.example", "eu-1.example:7601"),
        ("agents_address", "eu-1.example", "eu-1.example:7600"),
    ],
)
def test_an_address_without_a_port_is_refused_with_one_that_would_do(
    name: str, value: str, example: str
) -> None:
    others = {} if name == "etcd" else {"etcd": "10.0.0.1:2379"}
    assert fault(**{name: value}, **others) == (
        f"federation.{name}={value}: must be host:port, several with commas, for example {example}"
    )


def test_a_port_that_is_none_is_refused() -> None:
    said = "the port must be 1 to 65,535, for example eu-1.example:7601"
    assert fault(etcd="a:2379", advertise="eu-1:0") == f"federation.advertise=eu-1:0: {said}"


def test_members_come_from_etcd_or_from_a_list_but_not_from_both() -> None:
    said = "there is etcd too; give one of them"
    assert fault(etcd="a:2379", peers="us-1=b:1") == f"federation.peers=us-1=b:1: {said}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"etcd_user": "llmx"},
            "federation.etcd_user=llmx: needs etcd_password_file beside it; give both, or none",
        ),
        (
            {"etcd_password_file": "secret"},
            "federation.etcd_user=none: needs etcd_password_file beside it; give both, or none",
        ),
        (
            {"etcd_certificate": "c.pem"},
            "federation.etcd_certificate=c.pem: needs etcd_key beside it; give both, or none",
        ),
        (
            {"certificate": "c.pem", "key": "k.pem"},
            "federation.certificate=c.pem: needs key and ca beside it; give all three, or none",
        ),
        (
            {"ca": "ca.pem"},
            "federation.certificate=none: needs key and ca beside it; give all three, or none",
        ),
        (
            {"listen": "none"},
            "federation.listen=none: needs unix, if it is none; for example 127.0.0.1:0",
        ),
    ],
)
def test_what_belongs_together_is_given_together(given: dict[str, str], said: str) -> None:
    assert fault(etcd="a:2379", **given) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("cluster", "a/b", "must be a name of A-Z a-z 0-9 -, for example llmx"),
        ("region", "-eu", "must be a name of A-Z a-z 0-9 -, for example local"),
        ("lease_seconds", 1, "must be 2 to 3,600, for example 5"),
        ("lease_seconds", 2.5, "must be 2 to 3,600, for example 5"),
        ("awards", "some", "must be all, durable or none, for example all"),
        ("awards_seconds", 59, "must be 60 to 604,800, for example 3600"),
        ("heartbeat_seconds", 0, "must be above 0 and at most 2,592,000, for example 1"),
        ("queue_messages_max", 0, "must be 1 to 100,000,000, for example 100000"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(
    name: str, value: object, said: str
) -> None:
    assert fault(**{name: value}) == f"federation.{name}={value}: {said}"


def test_by_default_every_award_is_written_before_it_is_told() -> None:
    assert loaded(etcd="a:2379").awards == "all"
