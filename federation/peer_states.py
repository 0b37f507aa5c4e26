"""What peering is told about other gateways, and what it tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from federation.link import LinkLimits


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A gateway that shall be linked, as the membership knows it."""

    address: str
    """Where it listens, "host:port" or "unix:/path"; several of them, divided by commas, are
    tried in that order."""
    epoch: int
    """0 when the membership does not know it."""
    region: str

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.address.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class PeeringLimits:
    """The bounds of all links of a gateway, and how patient it is."""

    link: LinkLimits = field(default_factory=LinkLimits)
    heartbeat_seconds: float = 1.0
    relay_after_seconds: float = 2.0
    """How long two gateways cannot reach each other before others carry their frames."""
    dial_seconds_max: float = 5.0
    """From the first packet to the other side's PeerHello."""
    redial_first_seconds: float = 0.1
    redial_most_seconds: float = 2.0
    """Bounds of the first wait between two attempts, and of every further one."""


@dataclass(frozen=True, slots=True)
class PeerView:
    """What another gateway has said of itself in its heartbeats."""

    heard_at: float
    """When the last heartbeat came; minus infinity when none ever did."""
    sees_discovery: bool
    connected: frozenset[str]
    """Whom it has a living stream with."""
    said_at: float = float("-inf")
    """It was not said before: when the heartbeat was sent that it answered."""


UNHEARD = PeerView(float("-inf"), sees_discovery=False, connected=frozenset())


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link, for an operator."""

    gateway_id: str
    region: str
    state: str
    """"open", "relayed by X" or "down"."""
    round_trip: float
    """Seconds between the two and back; 0 while it is not known."""
    queued: int
    """Messages in no frame yet."""
    unconfirmed: int
    """Messages that were sent and are not confirmed."""
    sent: int
    """Messages sent in this pair of epochs; repeats do not count."""
    received: int
    """Messages received in this pair of epochs."""
    resumed: int
    """How often the link went on where a stream had broken."""
    since: float
    """When it came into its state."""
