"""What two gateways must agree on before they talk.

Each says a PeerHello. Whoever finds fault with the other's ends the call and says why; a
`Refusal` with `for_good` will be the same the next time, unless an operator does something.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmx.v1.peering_pb2 import PeerHello

PROTOCOL_VERSION = 1
VERSIONS_APART_MAX = 1
"""During a rolling upgrade the two sides may be one version apart."""


@dataclass(frozen=True, slots=True)
class OwnGateway:
    """Who we are."""

    gateway_id: str
    epoch: int
    """Grows whenever this process or its registration begins anew; 0 while there is none."""
    cluster: str
    region: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a gateway is not talked to."""

    detail: str
    for_good: bool


def hello_of(own: OwnGateway, received_epoch: int, received_number: int) -> PeerHello:
    """Return what we say; the numbers tell how far the link to the other side was handled."""
    return PeerHello(
        cluster=own.cluster,
        gateway_id=own.gateway_id,
        epoch=own.epoch,
        protocol_version=PROTOCOL_VERSION,
        region=own.region,
        received_epoch=received_epoch,
        received_number=received_number,
    )


def fault_of(hello: PeerHello, own: OwnGateway) -> Refusal | None:
    """Return why the one who said `hello` cannot be a peer of ours."""
    if hello.cluster != own.cluster:
        return Refusal(
            f"{own.gateway_id} is of the cluster {own.cluster!r}, {hello.gateway_id!r} of "
            f"{hello.cluster!r}; give both the same federation.cluster",
            for_good=True,
        )
    if abs(hello.protocol_version - PROTOCOL_VERSION) > VERSIONS_APART_MAX:
        return Refusal(
            f"{own.gateway_id} speaks version {PROTOCOL_VERSION} of links, "
            f"{hello.gateway_id!r} {hello.protocol_version}; they may be "
            f"{VERSIONS_APART_MAX} apart, upgrade one after the other",
            for_good=True,
        )
    if hello.gateway_id == own.gateway_id:
        return Refusal(
            f"both are called {own.gateway_id}; give each a server.gateway_id of its own",
            for_good=True,
        )
    if not hello.epoch or not own.epoch:
        unready = hello.gateway_id if own.epoch else own.gateway_id
        return Refusal(f"{unready} has no epoch yet", for_good=False)
    return None
