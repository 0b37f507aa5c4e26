"""What a scrape shows of a ledger."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.metrics import Metrics
from policy.store import Commit, HoldCredit, Lock, Mint, SetBudget, SetResource
from tests.unit.gateway.test_market import running


async def test_a_scrape_shows_what_the_ledger_did(tmp_path: Path) -> None:
    """With labels of enumerations only: no agent, no tenant, no resource is one."""
    metrics, registry = Metrics(), CollectorRegistry()
    registry.register(metrics)

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    async with running(store="file", file=tmp_path / "ledger.db") as (market, parts):
        market.figures.register(metrics)
        now = parts.now
        for key, changes in {
            "mint": (Mint("alice", 2_500_000), SetBudget("hour", 1_000_000)),
            "gpu": (SetResource("default|gpu", 8),),
            "award": (
                Lock("l", "default|gpu", 2, now, now + 60.0),
                HoldCredit("h", "alice", 250_000, now + 60.0, budgets=("hour",)),
            ),
            "short": (HoldCredit("i", "alice", 9_000_000, now + 60.0),),
        }.items():
            await market.store.commit(Commit(key, now, changes))
        await market.archive.look()
        assert shown("llmx_ledger_changes_total", change="hold") == 1
        assert shown("llmx_ledger_changes_total", change="lock") == 1
        assert shown("llmx_settlements_refused_total", code="CREDIT_SHORT") == 1
        assert shown("llmx_credits_moved_total", movement="minted") == 2.5
        assert shown("llmx_credits_moved_total", movement="held") == 0.25
        assert shown("llmx_locks_open") == 1
        assert shown("llmx_locks_fencing") == 1
        assert shown("llmx_budget_leases") == 1
        assert shown("llmx_budgets_leased_credits", part="used") == 0.25
        assert shown("llmx_budgets_leased_credits", part="unused") is not None
        assert shown("llmx_ledger_difference_credits", of="accounts") == 0
        swaps = shown("llmx_ledger_swaps_total")
        assert swaps is not None and swaps >= 3
        written = shown("llmx_ledger_operations_total", kind="write")
        assert written is not None and written >= 6
        names = {
            (label, value)
            for family in metrics.collect()
            if family.name.startswith(("llmx_ledger", "llmx_settle", "llmx_credit", "llmx_budget"))
            for sample in family.samples
            for label, value in sample.labels.items()
        }
        assert names
        assert {label for label, _ in names} <= {"code", "change", "movement", "kind", "part", "of"}


async def test_before_the_first_look_nothing_is_said_of_the_sums() -> None:
    metrics, registry = Metrics(), CollectorRegistry()
    registry.register(metrics)
    async with running(store="memory") as (market, _):
        market.archive.audited = None
        market.figures.register(metrics)
        told = registry.get_sample_value("llmx_ledger_difference_credits", {"of": "accounts"})
        assert told is None
        assert registry.get_sample_value("llmx_settlements_total") == 0
