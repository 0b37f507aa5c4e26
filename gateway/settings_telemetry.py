"""The settings of what an operator sees beside logs: classes in metrics, traces, the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings_groups import MIB, Count, Group, Word

Pairs = Annotated[str, Field(min_length=1, max_length=65_536, pattern=r"^\S+$")]


class TelemetrySettings(Group):
    """What an operator sees of a gateway beside its logs."""

    tenant_classes: Pairs | None = Field(
        default=None,
        description="Classes of tenants in the metrics, `tenant=class`, several with commas; 8 "
        "classes at most, all other tenants are of the class default",
    )
    audit: Path | None = Field(
        default=None,
        description="File that says who did what and what was decided, each line sealed with the "
        "one before; without one there is no audit",
    )
    audit_messages: bool = Field(
        default=True,
        description="Say of each message that it was admitted or refused; off, the audit has "
        "sessions, decisions, commands and profiles",
    )
    audit_key_file: Path | None = Field(
        default=None,
        description="File with a key of 32 bytes or more; with it nobody without the key can "
        "seal lines anew",
    )
    audit_file_bytes_max: Annotated[int, Field(ge=64 * 1024, le=64 * 1024 * MIB)] = Field(
        default=64 * MIB, description="Bytes after which another file begins"
    )
    audit_files_max: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Files that are kept beside the current one; none keeps all"
    )
    audit_flush_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] | None = Field(
        default=1.0,
        description="Seconds that lines may wait to be flushed to the disk, which is what a power "
        "cut may take; 0 flushes each batch, none leaves it to the system",
    )
    audit_waiting_max: Count = Field(
        default=100_000,
        description="Lines that wait for the disk; of more it is only told how many there were",
    )
    traces: Literal["none", "otlp", "console", "file"] = Field(
        default="none",
        description="Where spans go: otlp is a collector at `telemetry.traces_endpoint`, console "
        "is standard error, file is `telemetry.traces_file`. Needs the extra `traces`",
    )
    traces_endpoint: Word = Field(
        default="http://127.0.0.1:4317",
        description="The collector, OTLP over gRPC; https:// takes TLS with the system's roots",
    )
    traces_file: Path | None = Field(
        default=None, description="File that spans are appended to, a line of JSON each"
    )
    traces_ratio: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=1.0, description="Part of the traces that is kept, by their ids"
    )
    traces_flush_seconds: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        default=2.0,
        description="Seconds that a gateway which stops goes on exporting spans that wait; those "
        "that a collector has not taken by then are lost",
    )
    traces_waiting_max: Annotated[int, Field(ge=128, le=1_000_000)] = Field(
        default=8_192, description="Spans that wait to be exported; of more the newest are lost"
    )
