"""The settings of a gateway that governs a market: figures, probes, ratings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.settings_groups import Count, Group, Seconds

Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PartAboveZero = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class GovernanceSettings(Group):
    """What the gateway does so that a market stays fair."""

    window_seconds: Seconds = Field(
        default=3600.0,
        description="Seconds of the past that count for shares of awards and for Jain's index",
    )
    probe_rate: Part = Field(
        default=0.0,
        description="Part of the rounds in which the gateway bids itself, to test prices and find "
        "rings; such a bid never wins",
    )
    probe_spread: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = Field(
        default=1.5,
        description="Probes lie between the price level divided and multiplied by this",
    )
    rating_weight: PartAboveZero = Field(
        default=0.1, description="Weight of the newest task in a credit rating"
    )
    rating_floor: PartAboveZero = Field(
        default=0.05, description="The lowest credit rating, so that there is a way back"
    )
    tenants_shown: Count = Field(
        default=32,
        description="Tenants with figures of their own in the metrics; others have none there",
    )
