"""The bounds that parts of a gateway get, out of its settings."""

from __future__ import annotations

from gateway.allowances import AllowanceLimits
from gateway.calls import CallLimits
from gateway.headers import AdmissionLimits
from gateway.known_resources import KnownResources
from gateway.mailbox import MailboxLimits
from gateway.members import MemberLimits
from gateway.settings import (
    ENVELOPE_HEADER_BYTES_MAX,
    LimitSettings,
    MailboxSettings,
    MarketSettings,
)
from gateway.settling.escrow import escrow_of


def member_limits(limits: LimitSettings) -> MemberLimits:
    return MemberLimits(
        agents_max=limits.agents_max,
        allowance=AllowanceLimits(
            rate=limits.rate_per_second,
            burst=limits.burst,
            tenant_rate=limits.tenant_rate_per_second,
            tenant_burst=limits.tenant_burst,
            reserve=limits.rate_reserve,
            quota_messages=limits.quota_messages_per_hour,
            quota_bytes=limits.quota_bytes_per_hour,
            tenant_quota_messages=limits.tenant_quota_messages_per_hour,
            tenant_quota_bytes=limits.tenant_quota_bytes_per_hour,
        ),
        outbox_messages_max=limits.outbox_messages_max,
        outbox_bytes_max=limits.outbox_bytes_max,
        window_messages=limits.window_messages,
        retry_first=limits.retry_initial,
        retry_max=limits.retry_max,
        duplicates_window=limits.duplicates_seconds,
        duplicates_ids_max=limits.duplicates_ids_max,
        once_window=limits.once_seconds,
        once_ids_max=limits.once_ids_max,
    )


def admission_limits(limits: LimitSettings) -> AdmissionLimits:
    return AdmissionLimits(
        envelope_bytes_max=limits.payload_bytes_max + ENVELOPE_HEADER_BYTES_MAX,
        payload_bytes_max=limits.payload_bytes_max,
        recipients_max=limits.envelope_recipients_max,
        capabilities_max=limits.capabilities_max,
        ttl_default=limits.ttl_default,
        ttl_max=limits.ttl_max,
        clock_skew_max=limits.clock_skew_seconds_max,
    )


def call_limits(
    limits: LimitSettings,
    market: MarketSettings,
    mailbox: MailboxSettings,
    resources: KnownResources,
) -> CallLimits:
    return CallLimits(
        limits.deadline_seconds_max,
        limits.linger_seconds,
        market.is_on,
        resources.most_units,
        escrow_of(lasts=market.outlives_gateway, has_journal=mailbox.file is not None),
    )


def mailbox_limits(settings: MailboxSettings) -> MailboxLimits:
    return MailboxLimits(
        settings.messages_per_agent_max,
        settings.bytes_per_agent_max,
        settings.messages_max,
        settings.bytes_max,
        settings.tenant_share,
    )
