"""The acceptance profiles of tenants, and what changes reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import policy_books
from gateway.policies import Policies, fault_of, fields_in, proto_of
from gateway.policy_books import book_of
from gateway.refusals import Fault
from llmx.v1.policy_pb2 import AcceptanceProfile, Quorum
from policy.acceptance import ALL, PROFILES, TIME_ONLY, Acceptance, PolicyError, parse


def shipped(**added: Mapping[str, Any]) -> Policies:
    return Policies("flow/high", added)


def resolved(known: Policies, policy: Any = None, tenant: str = "acme") -> Acceptance:
    answer = known.resolve(tenant, policy)
    assert isinstance(answer, Acceptance), answer
    return answer


BOOKS: dict[tuple[int, str], bytes] = {}


def changed(known: Policies, tenant: str, edit: Any, *arguments: Any) -> Fault | None:
    """Change a tenant's book, as `live_policies` does."""
    try:
        text = edit(BOOKS.get((id(known), tenant)), known.shared, *arguments)
    except PolicyError as error:
        return fault_of(error)
    BOOKS[id(known), tenant] = text
    known.use(tenant, book_of(text, known.shared))
    return None


def put(known: Policies, profile: AcceptanceProfile, tenant: str = "acme") -> AcceptanceProfile:
    fault = changed(known, tenant, policy_books.put, profile.name, fields_in(profile))
    assert fault is None, fault
    return proto_of(known.of(tenant)[profile.name])


def refused(known: Policies, profile: AcceptanceProfile, tenant: str = "acme") -> Fault:
    try:
        fields = fields_in(profile)
    except PolicyError as error:
        return fault_of(error)
    fault = changed(known, tenant, policy_books.put, profile.name, fields)
    assert fault is not None
    return fault


def set_default(known: Policies, tenant: str, name: str) -> Fault | None:
    return changed(known, tenant, policy_books.set_default, name)


@pytest.fixture(autouse=True)
def no_books() -> None:
    BOOKS.clear()


def test_a_call_that_names_no_policy_gets_the_default() -> None:
    assert resolved(Policies("flow/low", {})) == PROFILES["flow/low"]


def test_a_default_may_be_named_by_its_short_name() -> None:
    known = Policies("medium", {})
    assert known.default_name("acme") == "flow/medium"
    assert resolved(known).name == "flow/medium"


def test_overrides_without_a_profile_start_from_the_default_of_the_tenant() -> None:
    known = shipped()
    assert set_default(known, "acme", "flow/low") is None
    changed = resolved(known, {"confirm": True})
    assert changed.select == "first" and changed.confirm
    assert resolved(known, {"confirm": True}, "umbrella").select == "best"


def test_profiles_of_the_operator_are_there_for_every_tenant() -> None:
    known = shipped(house={"profile": "flow/low", "quorum": 2})
    for tenant in ("acme", "umbrella"):
        house = resolved(known, "house", tenant)
        assert (house.label, house.quorum.count, house.select) == ("house@1", 2, "first")


def test_an_operators_mistake_is_told_at_the_start() -> None:
    with pytest.raises(PolicyError, match='"house": settle'):
        shipped(house={"settle": -1})
    with pytest.raises(PolicyError, match="no profile has this name"):
        shipped(house={"profile": "nowhere"})
    with pytest.raises(PolicyError):
        Policies("nowhere", {})


@pytest.mark.parametrize("policy", ["nowhere", {"profile": "nowhere"}, {"quorum": 2.5}, {"x": 1}])
def test_a_policy_that_cannot_be_meant_is_a_fault_that_points_at_it(policy: Any) -> None:
    fault = shipped().resolve("acme", policy)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.pointer) == ("POLICY_INVALID", "/payload/policy")


def test_each_change_of_a_profile_is_a_new_revision() -> None:
    known = shipped()
    assert put(known, AcceptanceProfile(name="fast", select="first")).revision == 1
    assert put(known, AcceptanceProfile(name="fast", select="best")).revision == 2
    assert resolved(known, "fast").label == "fast@2"


def test_a_tenant_may_change_a_profile_that_ships_for_itself_only() -> None:
    known = shipped()
    put(known, AcceptanceProfile(name="flow/high", select="first"))
    assert resolved(known).select == "first" and resolved(known).revision == 2
    assert resolved(known, tenant="umbrella") == PROFILES["flow/high"]


def test_what_a_negotiation_holds_does_not_move_when_its_profile_changes() -> None:
    known = shipped()
    held = resolved(known, "flow/low")
    put(known, AcceptanceProfile(name="flow/low", select="best"))
    assert held == PROFILES["flow/low"] and resolved(known, "flow/low") != held


def test_a_refused_change_changes_nothing() -> None:
    known = shipped()
    put(known, AcceptanceProfile(name="fast"))
    for wrong in (
        AcceptanceProfile(name="fast", select="dearest"),
        AcceptanceProfile(name="fast", quorum=Quorum(fraction=float("nan"))),
        AcceptanceProfile(name="fast", on_expiry="decide_if"),
        AcceptanceProfile(name="x" * 65),
        AcceptanceProfile(name=""),
    ):
        fault = refused(known, wrong)
        assert fault.code == "POLICY_INVALID"
    assert resolved(known, "fast").revision == 1
    assert known.of("acme").keys() == PROFILES.keys() | {"fast"}


@pytest.mark.parametrize("seconds", [10**18, -(10**18), -1])
@pytest.mark.parametrize("field", ["window", "settle"])
def test_a_duration_that_nobody_can_wait_is_refused(field: str, seconds: int) -> None:
    profile = AcceptanceProfile(name="slow")
    getattr(profile, field).seconds = seconds
    fault = refused(shipped(), profile)
    assert fault.reason.startswith(field)


def test_a_default_must_exist_and_is_one_tenants_own() -> None:
    known = shipped()
    assert isinstance(set_default(known, "acme", "mine"), Fault)
    put(known, AcceptanceProfile(name="mine", confirm=True))
    assert set_default(known, "acme", "mine") is None
    assert isinstance(set_default(known, "umbrella", "mine"), Fault)
    assert resolved(known).name == "mine"
    assert resolved(known, tenant="umbrella").name == "flow/high"


def test_a_quorum_that_names_no_rule_means_time_only() -> None:
    known = shipped()
    put(known, AcceptanceProfile(name="time"))
    put(known, AcceptanceProfile(name="every", quorum=Quorum(all=True)))
    assert resolved(known, "time").quorum == TIME_ONLY
    assert resolved(known, "every").quorum == ALL


MILLISECONDS = st.integers(1, 10_000).map(lambda n: n / 1000)
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "quorum": st.sampled_from([0, 1, 7, 0.07, 0.5, 1.0, "all"]),
        "window": MILLISECONDS,
        "settle": MILLISECONDS,
        "counts": st.sampled_from(["valid", "any"]),
        "select": st.sampled_from(["first", "best", "vickrey"]),
        "on_expiry": st.sampled_from(["decide", "no_award", "decide_if"]),
        "min_offers": st.integers(1, 5),
        "final": st.sampled_from(["required", "optional"]),
        "confirm": st.booleans(),
        "late": st.sampled_from(["reject", "record"]),
    },
)


@given(st.sampled_from([PROFILES[f"flow/{level}"] for level in ("low", "high")]), OVERRIDES)
def test_a_profile_that_is_read_and_put_back_is_the_same(
    base: Acceptance, overrides: dict[str, Any]
) -> None:
    """Otherwise every visit of a control panel would move the windows a little."""
    overrides.setdefault("min_offers", 1)
    acceptance = parse(overrides, base, name="mine", revision=1)
    BOOKS.clear()
    known = shipped()
    assert put(known, proto_of(acceptance)) == proto_of(acceptance)
    assert resolved(known, "mine") == acceptance
