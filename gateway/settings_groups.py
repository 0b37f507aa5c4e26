"""The groups of settings: what there is to set, what it may be, and what it is by default.

The description of a field is what the operator reads; `accepted` says what it may be. `none`
stands for "not at all" where a setting may be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.settings_words import may_be_absent

MIB: Final = 1024 * 1024
ENVELOPE_HEADER_BYTES_MAX: Final = 64 * 1024
"""What an envelope may weigh besides its payload."""

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]
Bytes = Annotated[int, Field(ge=1024, le=1024 * MIB)]
QuotaBytes = Annotated[int, Field(ge=1024, le=MIB * MIB)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^\S+$")]


class Group(BaseModel):
    """Settings that belong together; nothing in it changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: object) -> object:
        """Take the word "none", and nothing at all, for absence where that is allowed."""
        if not isinstance(values, Mapping):
            return values
        absent = {name for name, field in cls.model_fields.items() if may_be_absent(field)}
        return {
            name: None if name in absent and _means_none(value) else value
            for name, value in values.items()
        }


def _means_none(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in {"", "none"}


class ServerSettings(Group):
    """Where the gateway listens."""

    gateway_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")] = Field(
        default="local",
        description="Name of this gateway; begins every negotiation id. A-Z a-z 0-9 -",
    )
    host: Word = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 means all")
    port: Port = Field(default=7600, description="Port for agents; 0 takes a free one")
    processes: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1,
        description="Processes that share the port and the work, each a gateway of its own: "
        "`<gateway_id>-1` and so on",
    )
    shared_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None,
        description="Port for agents that other processes of this machine listen on too, beside "
        "`port`; a gateway of several `processes` sets it",
    )
    unix: Path | None = Field(default=None, description="Unix socket to listen on as well")
    tls_certificate: Path | None = Field(
        default=None, description="PEM file; with tls_key turns TLS on"
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of the certificate's private key"
    )
    metrics_port: Port | None = Field(
        default=7601,
        description="Port for Prometheus, on the same host; 0 takes a free one, none is off",
    )
    shutdown_grace: SecondsOrZero = Field(
        default=5.0, description="Seconds that streams get to end after SIGTERM"
    )
    move_to: Word | None = Field(
        default=None,
        description="Where agents go when this gateway stops: `host:port`, several with commas",
    )


class AuthSettings(Group):
    """Whose tokens count."""

    jwks_file: Path | None = Field(
        default=None, description="JWKS file with the issuer's public keys"
    )
    jwks_url: Word | None = Field(
        default=None, description="The same behind https (http on this machine)"
    )
    jwks_refresh: Seconds = Field(
        default=300.0, description="Seconds between two looks at the keys"
    )
    audience: Word = Field(default="llmx", description="What `aud` of a token must hold")
    issuer: Word = Field(default="llmx", description="What `iss` of a token must be")
    development_secret_file: Path | None = Field(
        default=None,
        description="File with a secret of 32 bytes or more; accepts HS256. Not in production",
    )
    leeway: SecondsOrZero = Field(
        default=30.0, description="Seconds that `nbf` and `iat` may be ahead"
    )
    revoked_file: Path | None = Field(
        default=None, description="File of revoked token ids, one a line; re-read when it changes"
    )


class LimitSettings(Group):
    """What is too much. Each limit has a refusal or an ending that names it."""

    frame_bytes_max: Bytes = Field(default=4 * MIB, description="Bytes in a frame")
    payload_bytes_max: Bytes = Field(default=256 * 1024, description="Bytes in a payload")
    json_depth_max: Annotated[int, Field(ge=4, le=250)] = Field(
        default=64, description="Brackets that may be open at once in a payload"
    )
    envelope_recipients_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=64, description="Addresses in one envelope"
    )
    capabilities_max: Count = Field(default=32, description="Capabilities of an agent")
    topics_max: Count = Field(default=256, description="Topics an agent subscribes to")
    consents_per_agent_max: Count = Field(default=1_000, description="Consents an agent gives")
    groups_per_tenant_max: Count = Field(default=1_000, description="Groups in a tenant")
    group_members_max: Count = Field(default=1_024, description="Agents in a group")
    schemas_per_tenant_max: Count = Field(
        default=1_000, description="Schemas registered in a tenant"
    )
    ttl_default: Seconds = Field(
        default=120.0, description="Seconds a message lives that does not say"
    )
    ttl_max: Seconds = Field(default=3600.0, description="Seconds a message may live")
    clock_skew_seconds_max: Seconds = Field(
        default=300.0, description="Seconds that `ts` of a message may lie in the future"
    )
    rate_per_second: Annotated[float, Field(gt=0, le=10_000_000)] = Field(
        default=2000.0, description="Messages a second that an agent may send in the long run"
    )
    burst: Annotated[float, Field(ge=1, le=10_000_000)] = Field(
        default=4000.0, description="Messages that an agent may send at once"
    )
    tenant_rate_per_second: Annotated[float, Field(gt=0, le=10_000_000)] = Field(
        default=50_000.0,
        description="Messages a second that all agents of a tenant may send in the long run",
    )
    tenant_burst: Annotated[float, Field(ge=1, le=10_000_000)] = Field(
        default=100_000.0, description="Messages that all agents of a tenant may send at once"
    )
    rate_reserve: Annotated[float, Field(ge=0, le=0.9)] = Field(
        default=0.1,
        description="Part of a tenant's burst and quotas that is for agents of class system",
    )
    quota_messages_per_hour: Count | None = Field(
        default=None, description="Messages that an agent may send in an hour"
    )
    quota_bytes_per_hour: QuotaBytes | None = Field(
        default=None, description="Bytes of messages that an agent may send in an hour"
    )
    tenant_quota_messages_per_hour: Count | None = Field(
        default=None, description="Messages that all agents of a tenant may send in an hour"
    )
    tenant_quota_bytes_per_hour: QuotaBytes | None = Field(
        default=None, description="Bytes that all agents of a tenant may send in an hour"
    )
    duplicates_ids_max: Count = Field(
        default=1_000_000, description="Ids remembered to notice repeats"
    )
    duplicates_seconds: Seconds = Field(
        default=300.0, description="Seconds that an id is remembered"
    )
    once_ids_max: Count = Field(
        default=1_000_000, description="Ids of messages sent once, remembered to notice repeats"
    )
    once_seconds: Seconds = Field(
        default=3600.0, description="Seconds that the id of a message sent once is remembered"
    )
    outbox_messages_max: Count = Field(default=10_000, description="Messages waiting for one agent")
    outbox_bytes_max: Bytes = Field(default=16 * MIB, description="Bytes waiting for one agent")
    retry_initial: Seconds = Field(
        default=0.5,
        description="Seconds until an unconfirmed message is sent again; doubles each time",
    )
    retry_max: Seconds = Field(default=10.0, description="Seconds between two attempts at most")
    repeats_per_second: Annotated[float, Field(ge=1, le=10_000_000)] = Field(
        default=5_000.0, description="Messages sent again each second, to all agents together"
    )
    window_messages: Count = Field(
        default=4_096, description="Messages on their way to one agent without acknowledgement"
    )
    heartbeat_seconds: Seconds = Field(
        default=25.0,
        description="Seconds of silence until either side shows that it is alive; "
        "three of them end the stream",
    )
    stream_age_seconds_max: Annotated[float, Field(ge=0, le=30 * 86400, allow_inf_nan=False)] = (
        Field(default=0.0, description="Seconds that a stream may last; 0 for ever")
    )
    sessions_max: Count = Field(default=10_000, description="Streams open at once")
    agents_max: Count = Field(default=100_000, description="Agents known at once")
    reconnect_grace_seconds: SecondsOrZero = Field(
        default=30.0, description="Seconds that an agent without a stream keeps its place"
    )
    negotiations_open_max: Count = Field(default=100_000, description="Negotiations open at once")
    negotiations_open_per_tenant_max: Count = Field(
        default=50_000, description="Negotiations that the agents of one tenant have open at once"
    )
    negotiations_open_per_agent_max: Count = Field(
        default=10_000, description="Negotiations that one agent has open at once"
    )
    negotiations_finished_max: Count = Field(
        default=20_000, description="Finished negotiations that still answer latecomers"
    )
    linger_seconds: SecondsOrZero = Field(
        default=10.0, description="Seconds that a finished negotiation answers latecomers"
    )
    deadline_seconds_max: Seconds = Field(
        default=86400.0, description="Seconds from a call to its deadline at most"
    )


class EngineSettings(Group):
    """How negotiations are decided and kept."""

    shards: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, description="Loops that share the work"
    )
    shard_queue_max: Count = Field(default=10_000, description="Acts waiting for one shard")
    default_policy: Word = Field(
        default="flow/high", description="Profile of a call that names none"
    )
    profiles: dict[str, dict[str, str | int | float | bool]] = Field(
        default_factory=dict,
        description="More acceptance profiles: `[engine.profiles.NAME]` and what differs; "
        "JSON in the environment",
    )
    policies: Path | None = Field(
        default=None,
        description="File for profiles that are changed while gateways run; several processes "
        "share it. With federation.etcd they are kept there",
    )
    protocols: Word | None = Field(
        default=None,
        description="More negotiation protocols, `module:NAME`, several with commas; their "
        "modules are found on PYTHONPATH",
    )
    records: Path | None = Field(
        default=None, description="File that finished negotiations are appended to, for replay"
    )
    records_kept: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=10, description="Records of finished negotiations kept in memory"
    )


class ValidationSettings(Group):
    """Where payloads are judged that are big or judged by a registered schema."""

    workers: Annotated[int, Field(ge=1, le=64)] = Field(default=1, description="Worker processes")
    inline_bytes_max: Annotated[int, Field(ge=0, le=MIB)] = Field(
        default=8192, description="Bytes up to which shipped schemas are judged without a worker"
    )
    budget_seconds: Seconds = Field(
        default=0.5, description="Seconds that one judgement may take before its worker is replaced"
    )
    queue_max: Count = Field(default=256, description="Payloads waiting for a worker")


class MailboxSettings(Group):
    """What waits for agents that are away, and what survives the gateway."""

    file: Path | None = Field(
        default=None,
        description="SQLite file on a local disk for what waits and what is durable; without one "
        "messages wait in memory and durable ones are refused",
    )
    file_bytes_max: Annotated[int, Field(ge=MIB, le=1024 * 1024 * MIB)] = Field(
        default=4096 * MIB,
        description="Bytes in use in the file above which nothing new is durable",
    )
    fsync: bool = Field(
        default=True,
        description="Flush the disk at each commit; off, a power cut may take the last ones",
    )
    messages_per_agent_max: Count = Field(default=10_000, description="Messages kept for one agent")
    bytes_per_agent_max: Annotated[int, Field(ge=1024, le=1024 * 1024 * MIB)] = Field(
        default=16 * MIB, description="Bytes kept for one agent"
    )
    messages_max: Count = Field(default=200_000, description="Messages kept for all agents")
    bytes_max: Annotated[int, Field(ge=1024, le=1024 * 1024 * MIB)] = Field(
        default=512 * MIB, description="Bytes kept for all agents"
    )
    tenant_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="The part of both that the agents of one tenant may use"
    )
    keep_seconds: Annotated[float, Field(ge=0, le=365 * 86400, allow_inf_nan=False)] = Field(
        default=7 * 86400.0,
        description="Seconds that an agent is known which stays away; then it is forgotten",
    )


class LogSettings(Group):
    """What the gateway writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important line that is written"
    )
    format: Literal["console", "json"] = Field(
        default="console", description="For people, or for programs"
    )
    payloads: bool = Field(
        default=False, description="Write payloads too; they hold what agents tell each other"
    )
    names: Literal["plain", "hashed"] = Field(
        default="plain",
        description="How logs, audit and traces name agents and tenants; hashed, by the first of "
        "their SHA-256",
    )
