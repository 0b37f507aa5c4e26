"""The acceptance profiles that each tenant can name, changed while the gateway runs.

Every tenant starts with what ships and what the settings add. A change makes a new revision;
an open negotiation holds the record it started with, so nothing under way moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.duration_pb2 import Duration

from gateway.refusals import Fault
from llmx.v1.policy_pb2 import AcceptanceProfile
from policy.acceptance import PROFILES, Acceptance, PolicyError, parse, resolve

PROFILES_PER_TENANT_MAX = 256


class Policies:
    """Profiles by tenant and name."""

    def __init__(self, default_name: str, added: Mapping[str, Mapping[str, Any]]) -> None:
        """Add the operator's profiles to those that ship.

        Raises PolicyError for one that cannot be used or a default that is unknown.
        """
        self._shared: dict[str, Acceptance] = dict(PROFILES)
        for name, fields in added.items():
            self._shared[name] = _made(name, dict(fields), self._shared, revision=1)
        self._default = resolve(default_name, self._shared).name
        self._own: dict[str, dict[str, Acceptance]] = {}
        self._own_default: dict[str, str] = {}

    def of(self, tenant: str) -> Mapping[str, Acceptance]:
        """Return the profiles that a tenant can name, by name."""
        own = self._own.get(tenant)
        return self._shared if own is None else self._shared | own

    def default_name(self, tenant: str) -> str:
        """Return the name of the profile for calls that name none."""
        return self._own_default.get(tenant, self._default)

    def resolve(self, tenant: str, policy: str | Mapping[str, Any] | None) -> Acceptance | Fault:
        """Return what a call's `policy` member means to a tenant."""
        try:
            if policy is None:
                policy = self.default_name(tenant)
            elif not isinstance(policy, str) and "profile" not in policy:
                policy = {"profile": self.default_name(tenant), **policy}
            return resolve(policy, self.of(tenant))
        except PolicyError as error:
            return _fault(error, "/payload/policy")

    def put(self, tenant: str, profile: AcceptanceProfile) -> AcceptanceProfile | Fault:
        """Add or change a profile of a tenant; returns it with its revision."""
        known = self.of(tenant)
        own = self._own.setdefault(tenant, {})
        if len(own) >= PROFILES_PER_TENANT_MAX and profile.name not in own:
            return Fault(
                "POLICY_INVALID",
                f"a tenant has at most {PROFILES_PER_TENANT_MAX} profiles",
                "change one that exists",
            )
        before = known.get(profile.name)
        revision = 1 if before is None else before.revision + 1
        try:
            made = _made(profile.name, _fields_of(profile), known, revision)
        except PolicyError as error:
            return _fault(error, "")
        own[profile.name] = made
        return proto_of(made)

    def set_default(self, tenant: str, name: str) -> Fault | None:
        """Make a profile the one for calls that name none."""
        try:
            resolve(name, self.of(tenant))
        except PolicyError as error:
            return _fault(error, "")
        self._own_default[tenant] = name
        return None


def _made(
    name: str, fields: dict[str, Any], known: Mapping[str, Acceptance], revision: int
) -> Acceptance:
    base = fields.pop("profile", None)
    start = resolve(base, known) if base is not None else PROFILES["flow/high"]
    made = parse(fields, start, name=name, revision=revision)
    return made if made.name == name else replace(made, name=name)


def _fault(error: PolicyError, pointer: str) -> Fault:
    return Fault("POLICY_INVALID", f"{error.field}: {error.reason}", error.remedy, pointer)


def _fields_of(profile: AcceptanceProfile) -> dict[str, Any]:
    """Return a profile as `parse` takes it; what the message leaves empty keeps its default."""
    fields: dict[str, Any] = {"confirm": profile.confirm, "min_offers": profile.min_offers}
    rule = profile.quorum.WhichOneof("rule")
    if rule == "count":
        fields["quorum"] = profile.quorum.count
    elif rule == "fraction":
        fields["quorum"] = profile.quorum.fraction
    else:
        fields["quorum"] = "all" if profile.quorum.all else 0
    if profile.HasField("window"):
        fields["window"] = _seconds("window", profile.window)
    if profile.HasField("settle"):
        fields["settle"] = _seconds("settle", profile.settle)
    for field in ("counts", "select", "on_expiry", "final", "late"):
        if text := getattr(profile, field):
            fields[field] = text
    return fields


def _seconds(field: str, duration: Duration) -> float:
    try:
        return duration.ToNanoseconds() / 1e9
    except ValueError:
        raise PolicyError(
            field, "no valid duration", "give seconds and nanos of one sign"
        ) from None


def proto_of(acceptance: Acceptance, name: str = "") -> AcceptanceProfile:
    """Return a profile as the control service tells it; `name` for one known under another."""
    profile = AcceptanceProfile(
        name=name or acceptance.name,
        revision=acceptance.revision,
        counts=acceptance.counts,
        select=acceptance.select,
        on_expiry=acceptance.on_expiry,
        min_offers=acceptance.min_offers,
        final=acceptance.final,
        confirm=acceptance.confirm,
        late=acceptance.late,
    )
    quorum = acceptance.quorum
    if quorum.all:
        profile.quorum.all = True
    elif quorum.fraction:
        profile.quorum.fraction = quorum.fraction
    elif quorum.count:
        profile.quorum.count = quorum.count
    if acceptance.window is not None:
        profile.window.FromNanoseconds(round(acceptance.window * 1e9))
    if acceptance.settle:
        profile.settle.FromNanoseconds(round(acceptance.settle * 1e9))
    return profile
