"""The acceptance profiles that each tenant can name.

Every tenant starts with what ships and what the settings add. What was changed since stands in its
book (`policy_books`), which `live_policies` brings here. A change makes a new revision; an open
negotiation holds the record it started with, so nothing under way moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from gateway.policy_books import NOTHING, Book, profile_of
from gateway.refusals import Fault
from llmx.v1.policy_pb2 import AcceptanceProfile
from policy.acceptance import PROFILES, Acceptance, PolicyError, resolve


class Policies:
    """Profiles by tenant and name."""

    def __init__(self, default_name: str, added: Mapping[str, Mapping[str, Any]]) -> None:
        """Add the operator's profiles to those that ship.

        Raises PolicyError for one that cannot be used or a default that is unknown.
        """
        self.shared: dict[str, Acceptance] = dict(PROFILES)
        """What every tenant starts with."""
        for name, fields in added.items():
            try:
                self.shared[name] = profile_of(name, fields, self.shared, revision=1)
            except PolicyError as error:
                field = f'"{name}": {error.field}'
                raise PolicyError(field, error.reason, error.remedy) from None
        self._default = resolve(default_name, self.shared).name
        self._books: dict[str, Book] = {}
        self._known: dict[str, dict[str, Acceptance]] = {}

    def use(self, tenant: str, book: Book) -> None:
        """Let a tenant have what its book says, from now on."""
        self._books[tenant] = book
        self._known[tenant] = self.shared | dict(book.profiles)

    def book(self, tenant: str) -> Book:
        """Return what a tenant's book says."""
        return self._books.get(tenant, NOTHING)

    def of(self, tenant: str) -> Mapping[str, Acceptance]:
        """Return the profiles that a tenant can name, by name."""
        return self._known.get(tenant, self.shared)

    def default_name(self, tenant: str) -> str:
        """Return the name of the profile for calls that name none."""
        return self.book(tenant).default or self._default

    def resolve(self, tenant: str, policy: str | Mapping[str, Any] | None) -> Acceptance | Fault:
        """Return what a call's `policy` member means to a tenant."""
        try:
            if policy is None:
                policy = self.default_name(tenant)
            elif not isinstance(policy, str) and "profile" not in policy:
                policy = {"profile": self.default_name(tenant), **policy}
            return resolve(policy, self.of(tenant))
        except PolicyError as error:
            return fault_of(error, "/payload/policy")


def fault_of(error: PolicyError, pointer: str = "") -> Fault:
    """Return a mistake in a profile as a refusal."""
    return Fault("POLICY_INVALID", f"{error.field}: {error.reason}", error.remedy, pointer)


def fields_in(profile: AcceptanceProfile) -> dict[str, Any]:
    """Return a profile as `parse` takes it; what the message leaves empty keeps its default.

    Raises PolicyError.
    """
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
