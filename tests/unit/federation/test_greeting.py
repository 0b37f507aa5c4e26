"""Two gateways talk if they are of one cluster and at most one version of the protocol apart."""

from __future__ import annotations

import pytest

from federation.greeting import PROTOCOL_VERSION, OwnGateway, fault_of, hello_of
from llmx.v1.peering_pb2 import PeerHello

OWN = OwnGateway("eu", 5, "blue", "europe")


def hello(**changes: object) -> PeerHello:
    said = hello_of(OwnGateway("us", 6, "blue", "america"), 5, 17)
    for name, value in changes.items():
        setattr(said, name, value)
    return said


def test_a_hello_says_who_we_are_and_how_far_the_link_was_handled() -> None:
    said = hello()
    assert (said.cluster, said.gateway_id, said.epoch, said.region) == ("blue", "us", 6, "america")
    assert (said.received_epoch, said.received_number) == (5, 17)


@pytest.mark.parametrize("apart", [-1, 0, 1])
def test_one_version_more_or_less_is_understood(apart: int) -> None:
    assert fault_of(hello(protocol_version=PROTOCOL_VERSION + apart), OWN) is None


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"cluster": "green"}, "give both the same federation.cluster"),
        ({"protocol_version": PROTOCOL_VERSION + 2}, "upgrade one after the other"),
        ({"gateway_id": "eu"}, "give each a server.gateway_id of its own"),
    ],
)
def test_who_will_never_fit_hears_what_an_operator_has_to_do(
    changes: dict[str, object], part: str
) -> None:
    fault = fault_of(hello(**changes), OWN)
    assert fault is not None
    assert part in fault.detail
    assert fault.for_good


def test_a_gateway_without_an_epoch_may_come_again() -> None:
    fault = fault_of(hello(epoch=0), OWN)
    assert fault is not None
    assert (fault.detail, fault.for_good) == ("us has no epoch yet", False)
    fault = fault_of(hello(), OwnGateway("eu", 0, "blue", "europe"))
    assert fault is not None
    assert (fault.detail, fault.for_good) == ("eu has no epoch yet", False)
