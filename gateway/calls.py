"""From the payload of a call for proposals to the `Call` that the engine opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.call_fairness import fairness_of, with_fairness
from gateway.call_stakes import stakes_of
from gateway.codec import reply_by
from gateway.policies import Policies
from gateway.refusals import Fault
from gateway.settling.escrow import Escrow
from policy.call import Call
from policy.issues import IssueError, issues_of
from policy.protocols import PROTOCOLS, Protocol
from policy.utility import UtilityError, compile_utility

DEFAULT = "contract-net"
"""The protocol of a call that names none."""
OPTIONS = "options"
"""The property for protocols that are not shipped, and so have none of their own."""


def unknown(tenant: str, resource: str) -> int | None:
    """Know of no resource how many units it has."""
    return None


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The bounds of a call."""

    deadline_seconds_max: float
    linger_seconds: float
    has_ledger: bool = False
    """Can awards hold resources and credit?"""
    most_units: Callable[[str, str], int | None] = unknown
    """How many units of a tenant's resource one award can have; None when nobody knows."""
    escrow: Escrow = "plain"
    """What becomes of calls whose price waits for a report."""


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
    protocols: Mapping[str, Protocol] = PROTOCOLS,
) -> Call | Fault:
    """Return the call that `body` asks for, or why it cannot be opened."""
    protocol = protocols.get(body.get("protocol", DEFAULT))
    if protocol is None:
        return Fault(
            "UNKNOWN_PROTOCOL",
            "the gateway does not speak this negotiation protocol",
            f"leave protocol out, or set it to one of {', '.join(sorted(protocols))}",
            "/payload/protocol",
        )
    stray = _stray_option(body, protocol, protocols)
    if stray is not None:
        return stray
    deadline = reply_by(body, now)
    if deadline is None or not _is_near(deadline, limits, now):
        return _deadline_invalid(body, limits)
    acceptance = policies.resolve(tenant, body.get("policy"))
    if isinstance(acceptance, Fault):
        return acceptance
    utility = body.get("utility", "")
    if utility:
        try:
            compile_utility(utility)
        except UtilityError as error:
            return Fault("UTILITY_INVALID", error.reason, error.remedy, "/payload/utility")
    try:
        issues = issues_of(body["issues"]) if "issues" in body else ()
    except IssueError as error:
        return Fault("OPTIONS_INVALID", error.reason, error.remedy, "/payload/issues")
    direction = body.get("direction", "procure")
    stakes = stakes_of(
        body,
        direction,
        has_ledger=limits.has_ledger,
        most_units=partial(limits.most_units, tenant),
        escrow=limits.escrow,
        now=now,
    )
    if isinstance(stakes, Fault):
        return stakes
    fairness = fairness_of(body)
    if isinstance(fairness, Fault):
        return fairness
    window = acceptance.window
    return Call(
        negotiation_id=negotiation_id,
        initiator=initiator,
        msg_id=msg_id,
        eligible=eligible,
        acceptance=acceptance,
        opened_at=now,
        closes_at=deadline if window is None else min(deadline, now + window),
        direction=direction,
        decider=body.get("decider", "engine"),
        decide_within=float(body.get("decide_within", 30)),
        utility=utility,
        reserve=_number(body, "reserve"),
        max_awards=int(body.get("max_awards", 1)),  # 2.0 is an integer in JSON Schema
        confirm_within=float(body.get("confirm_within", 10)),
        report_within=_number(body, "report_within"),
        round=int(body.get("round", 1)),
        linger=limits.linger_seconds,
        deadline=deadline,
        protocol=protocol.name,
        options=with_fairness(protocol.name, body.get(protocol.property, NONE), fairness),
        issues=issues,
        stakes=stakes,
        fairness=fairness,
    )


def _number(body: Mapping[str, Any], member: str) -> float | None:
    """Return a number as a float, because a record that is read again knows no other."""
    return float(body[member]) if body.get(member) is not None else None


NONE: Mapping[str, object] = {}
AGENT_PREFIX = "agent://"


def why_not_revise(
    body: Mapping[str, Any], invited: Sequence[str], limits: CallLimits, now: float
) -> Fault | None:
    """Return why a call that names an open negotiation cannot be its next round, or None.

    Whether there is a next round is for its protocol to say.
    """
    deadline = reply_by(body, now)
    if deadline is None or not _is_near(deadline, limits, now):
        return _deadline_invalid(body, limits)
    if any(not address.startswith(AGENT_PREFIX) for address in invited):
        return Fault(
            "INVALID_ADDRESS",
            "another round is for agents that offered in the one before, by their names",
            f"name each with {AGENT_PREFIX}; leave negotiation_id out to open a negotiation",
            "/envelope/to",
        )
    return None


def _is_near(deadline: float, limits: CallLimits, now: float) -> bool:
    return now < deadline <= now + limits.deadline_seconds_max


def _deadline_invalid(body: Mapping[str, Any], limits: CallLimits) -> Fault:
    return Fault(
        "DEADLINE_INVALID",
        "the deadline has passed, or is too far away",
        f"choose reply_within above 0 and at most {limits.deadline_seconds_max:g} seconds",
        "/payload/deadline" if "deadline" in body else "/payload/reply_within",
    )


def _stray_option(
    body: Mapping[str, Any], protocol: Protocol, protocols: Mapping[str, Protocol]
) -> Fault | None:
    """Return what is wrong with options of another protocol, which would say nothing here."""
    own = protocol.property
    for other in protocols.values():
        if other.property in body and other.property != own:
            owners = (one.name for one in protocols.values() if one.property == other.property)
            return _stray(other.property, " and ".join(owners), protocol)
    if OPTIONS in body and own != OPTIONS:
        return _stray(OPTIONS, "a protocol that is not shipped", protocol)
    return None


def _stray(name: str, owner: str, protocol: Protocol) -> Fault:
    return Fault(
        "OPTIONS_INVALID",
        f"{name} belongs to {owner}, and the call is for {protocol.name}",
        f"leave {name} out, or name its protocol",
        f"/payload/{name}",
    )
