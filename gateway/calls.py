"""From the payload of a call for proposals to the `Call` that the engine opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.codec import reply_by
from gateway.policies import Policies
from gateway.refusals import Fault
from policy.call import Call
from policy.utility import UtilityError, compile_utility

PROTOCOL = "contract-net"


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The bounds of a call."""

    deadline_seconds_max: float
    linger_seconds: float


def call_of(
    body: Mapping[str, Any],
    *,
    negotiation_id: str,
    msg_id: str,
    initiator: str,
    tenant: str,
    eligible: tuple[str, ...],
    policies: Policies,
    limits: CallLimits,
    now: float,
) -> Call | Fault:
    """Return the call that `body` asks for, or why it cannot be opened."""
    if body.get("protocol", PROTOCOL) != PROTOCOL:
        return Fault(
            "UNKNOWN_PROTOCOL",
            "the gateway does not speak this negotiation protocol",
            f"leave protocol out, or set it to {PROTOCOL}",
            "/payload/protocol",
        )
    deadline = reply_by(body, now)
    if deadline is None or deadline <= now or deadline > now + limits.deadline_seconds_max:
        return Fault(
            "DEADLINE_INVALID",
            "the deadline has passed, or is too far away",
            f"choose reply_within above 0 and at most {limits.deadline_seconds_max:g} seconds",
            "/payload/deadline" if "deadline" in body else "/payload/reply_within",
        )
    acceptance = policies.resolve(tenant, body.get("policy"))
    if isinstance(acceptance, Fault):
        return acceptance
    utility = body.get("utility", "")
    if utility:
        try:
            compile_utility(utility)
        except UtilityError as error:
            return Fault("UTILITY_INVALID", error.reason, error.remedy, "/payload/utility")
    window = acceptance.window
    return Call(
        negotiation_id=negotiation_id,
        initiator=initiator,
        msg_id=msg_id,
        eligible=eligible,
        acceptance=acceptance,
        opened_at=now,
        closes_at=deadline if window is None else min(deadline, now + window),
        direction=body.get("direction", "procure"),
        decider=body.get("decider", "engine"),
        decide_within=float(body.get("decide_within", 30)),
        utility=utility,
        reserve=body.get("reserve"),
        max_awards=int(body.get("max_awards", 1)),  # 2.0 is an integer in JSON Schema
        confirm_within=float(body.get("confirm_within", 10)),
        report_within=body.get("report_within"),
        round=int(body.get("round", 1)),
        linger=limits.linger_seconds,
        deadline=deadline,
    )
