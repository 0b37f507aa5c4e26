"""What a run of chaos is made of; everything that depends on its length stands here."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS_OF_A_LONG_RUN = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how many, how often."""

    seed: int
    seconds: float
    """How long faults and traffic last; then all is healed and the run waits for quiet."""
    agents: int
    rate: float = 1.0
    """Messages and calls that each agent sends a second."""
    in_flight_max: int = 32
    """How many of them wait for an answer, for each agent."""
    messages_max: int = 500_000

    @property
    def is_long(self) -> bool:
        return self.seconds >= SECONDS_OF_A_LONG_RUN

    @property
    def ttl_seconds(self) -> tuple[float, float]:
        """Return between what the times to live are drawn."""
        return (20.0, 60.0) if self.is_long else (3.0, 8.0)

    @property
    def grace_seconds(self) -> float:
        """Return how long a session can be resumed; some absences are longer."""
        return 5.0 if self.is_long else 1.2

    @property
    def outbox_messages_max(self) -> int:
        """Return how many messages wait for an agent before its stream is ended as too slow."""
        return 100 if self.is_long else 30

    @property
    def quiet_seconds_max(self) -> float:
        """Return how long the end of everything is awaited."""
        return 240.0 if self.is_long else 60.0

    @property
    def line_fault_seconds(self) -> float:
        """Return the mean time between two faults of lines."""
        return 12.5 / self.agents if self.is_long else 4.0 / self.agents

    @property
    def gateway_fault_seconds(self) -> float:
        """Return the mean time between two faults of the gateway."""
        return 25.0 if self.is_long else 2.0

    @property
    def deadly_seconds(self) -> float:
        """Return until when the gateway is killed; after that its memory is watched."""
        return self.seconds * (0.5 if self.is_long else 0.7)

    @property
    def longest_fault_seconds(self) -> float:
        return 8.0 if self.is_long else 2.0
