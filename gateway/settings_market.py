"""The settings of what awards can hold: resources and credit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings_groups import Group


class MarketSettings(Group):
    """Where resources and credit are kept, for calls whose awards hold some."""

    store: Literal["none", "memory", "file", "etcd"] = Field(
        default="none",
        description="Where the ledger is: none refuses calls with resources or credit, memory ends "
        "with the gateway, file is `market.file`, etcd is for gateways that share federation.etcd",
    )
    file: Path | None = Field(
        default=None, description="SQLite file on a local disk for the ledger of one gateway"
    )
    catalogue: Path | None = Field(
        default=None,
        description="TOML file with the resources, budgets and first credit that there shall be "
        "when the gateway starts",
    )

    journal_seconds: Annotated[float, Field(ge=3600, le=10 * 366 * 86_400)] = Field(
        default=30 * 86_400.0,
        description="Seconds that each entry of the journal is kept; older ones are put together",
    )

    @property
    def is_on(self) -> bool:
        """Tell whether there is a ledger."""
        return self.store != "none"

    @property
    def outlives_gateway(self) -> bool:
        """Tell whether the ledger is there when the gateway is not."""
        return self.store in ("file", "etcd")
