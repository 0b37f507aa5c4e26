"""Who may see and change what of a ledger."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from gateway import ledger_view
from llmx.v1 import ledger_service_pb2 as wire
from llmx.v1.credit_pb2 import Budget
from llmx.v1.resource_pb2 import Resource
from tests.support.ledger_scene import ledger_scene

GIVE = wire.GiveCreditRequest(agent_id="agent://alice", micros=100)
OPERATORS = {
    "GetLedger": wire.GetLedgerRequest(),
    "GiveCredit": GIVE,
    "RefundCredit": wire.RefundCreditRequest(hold_id="h"),
    "SetBudget": wire.SetBudgetRequest(budget=Budget(name="vision")),
    "ListResources": wire.ListResourcesRequest(),
    "SetResource": wire.SetResourceRequest(resource=Resource(name="gpu", units=1)),
    "GetStatement": wire.GetStatementRequest(agent_id="agent://alice"),
}


async def test_what_is_not_ones_own_is_for_operators() -> None:
    async with ledger_scene() as here:
        for name, request in OPERATORS.items():
            code, words = await here.refusal(name, request, "bob")
            assert code == "PERMISSION_DENIED" and "operator" in words


async def test_a_gateway_without_a_ledger_says_so() -> None:
    async with ledger_scene(has_ledger=False) as here:
        for name, request in OPERATORS.items():
            code, words = await here.refusal(name, request)
            assert code == "FAILED_PRECONDITION" and "no ledger" in words


async def test_a_ledger_that_is_away_is_to_be_asked_again() -> None:
    async with ledger_scene() as here:
        here.store.memory.is_away = True
        assert (await here.refusal("GetLedger", wire.GetLedgerRequest()))[0] == "UNAVAILABLE"


async def test_who_asks_while_as_many_wait_as_may_is_to_ask_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger_view, "STATEMENTS_MAX", 0)
    async with ledger_scene() as here:
        code, words = await here.refusal("GetStatement", wire.GetStatementRequest(), "alice")
        assert code == "RESOURCE_EXHAUSTED" and "ask again in a moment" in words


async def test_an_agent_sees_its_own_account() -> None:
    async with ledger_scene() as here:
        await here.ask("GiveCredit", GIVE)
        own = await here.ask("GetStatement", wire.GetStatementRequest(), "alice")
        assert own.account.agent_id == "agent://alice"
        assert own.account.available_micros == 100
        assert [line.available_micros for line in own.lines] == [100]
        assert not own.HasField("budget") and not own.has_more
        named = wire.GetStatementRequest(agent_id="agent://alice", lines_max=1)
        assert (await here.ask("GetStatement", named, "alice")) == own


async def test_a_key_makes_a_change_happen_once() -> None:
    async with ledger_scene() as here:
        request = wire.GiveCreditRequest(agent_id="agent://alice", micros=100, key="monday")
        for _ in range(2):
            answer = await here.ask("GiveCredit", request)
        assert answer.account.available_micros == 100
        taken = wire.GiveCreditRequest(agent_id="agent://alice", micros=-40)
        assert (await here.ask("GiveCredit", taken)).account.available_micros == 60


TOO_LONG = "x" * 300


@pytest.mark.parametrize(
    ("name", "request_", "word"),
    [
        ("GiveCredit", wire.GiveCreditRequest(agent_id="alice", micros=1), "agent_id"),
        ("GiveCredit", wire.GiveCreditRequest(agent_id="agent://a"), "0 credits: give up to 9,007"),
        ("GiveCredit", wire.GiveCreditRequest(agent_id="agent://a", micros=1, key=TOO_LONG), "key"),
        ("RefundCredit", wire.RefundCreditRequest(), "hold_id"),
        ("RefundCredit", wire.RefundCreditRequest(hold_id="h", micros=-1), "0 credits or more"),
        ("SetBudget", wire.SetBudgetRequest(budget=Budget(name="a|b")), "name"),
        ("SetBudget", wire.SetBudgetRequest(budget=Budget(name="a", micros=-1)), "-0.000001 c"),
        ("SetResource", wire.SetResourceRequest(resource=Resource(units=1)), "name"),
        ("SetResource", wire.SetResourceRequest(resource=Resource(name="a", units=9999)), "units"),
        ("GetStatement", wire.GetStatementRequest(agent_id="nobody"), "agent_id"),
        ("GetStatement", wire.GetStatementRequest(lines_max=20_000), "lines_max"),
    ],
)
async def test_a_request_that_cannot_be_is_told_what_could(
    name: str, request_: Message, word: str
) -> None:
    async with ledger_scene() as here:
        code, words = await here.refusal(name, request_)
        assert code == "INVALID_ARGUMENT" and word in words


async def test_a_request_that_is_too_large_is_not_read() -> None:
    async with ledger_scene() as here:
        large = wire.ListResourcesRequest(prefix="x" * 70_000)
        code, words = await here.refusal("ListResources", large)
        assert code == "RESOURCE_EXHAUSTED" and words.startswith("TOO_LARGE")


async def test_what_the_ledger_refuses_is_told_in_its_words() -> None:
    async with ledger_scene() as here:
        request = wire.GiveCreditRequest(agent_id="agent://alice", micros=-5)
        code, words = await here.refusal("GiveCredit", request)
        assert code == "FAILED_PRECONDITION" and words.startswith("CREDIT_SHORT")
        refund = wire.RefundCreditRequest(hold_id="nothing")
        code, words = await here.refusal("RefundCredit", refund)
        assert code == "FAILED_PRECONDITION" and words.startswith("REFUND_TOO_LARGE")


async def test_a_refund_is_all_that_is_left_or_a_part_of_it() -> None:
    async with ledger_scene() as here:
        await here.ask("GiveCredit", GIVE)
        await here.ask(
            "SetResource",
            OPERATORS["SetResource"].__class__(resource=Resource(name="gpu", units=8)),
        )
        hold = await here.award(60)
        part = wire.RefundCreditRequest(hold_id=hold, micros=20)
        assert (await here.ask("RefundCredit", part)).account.available_micros == 60
        rest = wire.RefundCreditRequest(hold_id=hold)
        assert (await here.ask("RefundCredit", rest)).account.available_micros == 100
        assert (await here.refusal("RefundCredit", rest))[0] == "FAILED_PRECONDITION"


async def test_budgets_and_resources_are_made_and_shown() -> None:
    async with ledger_scene() as here:
        budget = Budget(name="agent://alice", micros=50)
        budget.window.FromSeconds(3600)
        stands = (await here.ask("SetBudget", wire.SetBudgetRequest(budget=budget))).budget
        assert (stands.micros, stands.window.ToSeconds(), stands.HasField("resets_at")) == (
            50,
            3600,
            True,
        )
        own = await here.ask("GetStatement", wire.GetStatementRequest(), "alice")
        assert own.budget == stands
        made = wire.SetResourceRequest(resource=Resource(name="gpu", units=8))
        assert (await here.ask("SetResource", made)).resource.units == 8
        listed = await here.ask("ListResources", wire.ListResourcesRequest(prefix="g"))
        assert [one.name for one in listed.resources] == ["gpu"]
        other = await here.ask("ListResources", wire.ListResourcesRequest(), tenant="other")
        assert not other.resources
