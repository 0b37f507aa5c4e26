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
    report_seconds: Seconds = Field(
        default=86_400.0,
        description="Seconds after an award in which its initiator may report what it was worth",
    )
    noise_alpha: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = Field(
        default=0.0,
        description="How much dearer an award is for each fair share beyond the first that its "
        "payer uses; 0: noise costs nothing",
    )
    noise_cap: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = Field(
        default=10.0, description="The highest multiple of the price that noise can cost"
    )
    noise_half_life_seconds: Seconds = Field(
        default=300.0, description="Seconds after which half of what somebody used is forgotten"
    )
    tenants_shown: Count = Field(
        default=32,
        description="Tenants with figures of their own in the metrics; others have none there",
    )
