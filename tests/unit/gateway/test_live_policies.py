"""Profiles that change while gateways run: in all of them, and never in a negotiation."""

from __future__ import annotations

from structlog.testing import capture_logs

from federation.shelf import Edit, ShelfError
from gateway.live_policies import LivePolicies, Memory
from gateway.policies import Policies
from gateway.refusals import Fault
from llmx.v1.policy_pb2 import AcceptanceProfile, Quorum
from policy.acceptance import Acceptance


class Shared(Memory):
    """A shelf of several gateways in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[LivePolicies] = []
        self.fails = False

    async def change(self, name: str, edit: Edit) -> None:
        if self.fails:
            raise ShelfError("it is away")
        await super().change(name, edit)
        for one in self.listeners:
            one._hear(name, self._books[name])


def gateways(count: int) -> tuple[Shared, list[tuple[Policies, LivePolicies]]]:
    shelf = Shared()
    made = []
    for _ in range(count):
        policies = Policies("flow/high", {})
        live = LivePolicies(policies, shelf)
        shelf.listeners.append(live)
        made.append((policies, live))
    return shelf, made


def resolved(policies: Policies, name: str | None = None) -> Acceptance:
    answer = policies.resolve("acme", name)
    assert isinstance(answer, Acceptance)
    return answer


async def test_a_change_at_one_gateway_is_in_force_at_all() -> None:
    _, ((first, live), (second, _), (third, _)) = gateways(3)
    made = await live.put("acme", AcceptanceProfile(name="fast", quorum=Quorum(count=2)))
    assert isinstance(made, AcceptanceProfile) and made.revision == 1
    assert await live.set_default("acme", "fast") is None
    for policies in (first, second, third):
        assert resolved(policies).label == "fast@1"
    assert await live.set_default("acme", "low") is None
    assert await live.delete("acme", "fast") is None
    for policies in (first, second, third):
        assert isinstance(policies.resolve("acme", "fast"), Fault)


async def test_each_gateway_counts_the_revisions_of_all() -> None:
    _, pair = gateways(2)
    for revision in (1, 2, 3, 4):
        _, live = pair[revision % 2]
        made = await live.put("acme", AcceptanceProfile(name="fast"))
        assert isinstance(made, AcceptanceProfile) and made.revision == revision


async def test_what_a_negotiation_holds_does_not_move() -> None:
    _, ((policies, live),) = gateways(1)
    held = resolved(policies)
    await live.put("acme", AcceptanceProfile(name="flow/high", select="first"))
    assert (held.label, held.select) == ("flow/high@1", "best")
    assert (resolved(policies).label, resolved(policies).select) == ("flow/high@2", "first")


async def test_what_is_wrong_is_a_fault_and_changes_nothing() -> None:
    _, ((policies, live),) = gateways(1)
    faults = [
        await live.put("acme", AcceptanceProfile(name="fast", select="dearest")),
        await live.put("acme", AcceptanceProfile(name="")),
        await live.delete("acme", "flow/high"),
        await live.set_default("acme", "nowhere"),
    ]
    negative = AcceptanceProfile(name="fast")
    negative.window.seconds = -1
    faults.append(await live.put("acme", negative))
    for fault in faults:
        assert isinstance(fault, Fault) and fault.code == "POLICY_INVALID", fault
    assert policies.of("acme") == policies.shared


async def test_a_shelf_that_is_away_is_a_fault() -> None:
    shelf, ((policies, live),) = gateways(1)
    shelf.fails = True
    fault = await live.put("acme", AcceptanceProfile(name="fast"))
    assert isinstance(fault, Fault) and fault.code == "STORE_UNAVAILABLE"
    assert policies.of("acme") == policies.shared


async def test_a_tenant_changes_its_own_profiles_only() -> None:
    _, ((policies, live),) = gateways(1)
    await live.put("acme", AcceptanceProfile(name="fast"))
    assert "fast" in policies.of("acme") and "fast" not in policies.of("umbrella")


async def test_a_profile_of_a_newer_gateway_is_told_and_the_last_good_one_stays() -> None:
    shelf, ((policies, live),) = gateways(1)
    await live.put("acme", AcceptanceProfile(name="fast"))
    with capture_logs() as logs:
        shelf.on_text("acme", b'{"profiles": {"fast": {"revision": 2, "telepathy": true}}}')
    assert resolved(policies, "fast").label == "fast@1"
    assert [log["log_level"] for log in logs] == ["info", "warning"]


async def test_books_that_stood_on_another_shelf_are_heard_from_there() -> None:
    policies = Policies("flow/high", {})
    live, shelf = LivePolicies(policies), Memory()
    live.move_to(shelf)
    shelf.on_text("acme", b'{"default": "low"}')
    assert policies.default_name("acme") == "low"
    shelf.on_text("acme", None)
    assert policies.default_name("acme") == "flow/high"
