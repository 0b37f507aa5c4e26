"""What a scrape asks of settlement and ledger; labels are words of enumerations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.settlement import Settlement
from gateway.settling.archive import Archive
from gateway.settling.counted_shelf import ShelfFigures
from gateway.settling.tally import Tally
from policy.ledger import MICROS

Values = Iterable[tuple[tuple[str, ...], float]]


class SettlingFigures:
    """The figures of one gateway's ledger."""

    def __init__(
        self,
        settlement: Settlement,
        tally: Tally,
        shelf: ShelfFigures,
        archive: Archive,
        now: Clock,
    ) -> None:
        """Read them from who keeps them."""
        self._settlement = settlement
        self._tally = tally
        self._shelf = shelf
        self._archive = archive
        self._now = now

    def register(self, metrics: Metrics) -> None:
        """Have them shown by every scrape."""
        metrics.sums.update(self._sums())
        metrics.gauges.update(self._gauges())
        metrics.labelled_sums.update(
            {
                "llmx_settlements_refused_total": (
                    "Commits that the ledger has refused, by its code.",
                    ("code",),
                    lambda: _values(self._tally.refused),
                ),
                "llmx_ledger_changes_total": (
                    "Changes that the ledger has written, by what they do.",
                    ("change",),
                    lambda: _values(self._tally.changes),
                ),
                "llmx_credits_moved_total": (
                    "Credits that were moved, by how.",
                    ("movement",),
                    lambda: _values(self._tally.moved_micros, MICROS),
                ),
                "llmx_ledger_operations_total": (
                    "Facts that were compared or written in the file or in etcd.",
                    ("kind",),
                    lambda: [
                        (("compare",), self._shelf.compared),
                        (("write",), self._shelf.written),
                    ],
                ),
            }
        )
        metrics.labelled.update(
            {
                "llmx_budgets_leased_credits": (
                    "Shares of budgets that this gateway has in their windows, by use.",
                    ("part",),
                    self._leased,
                ),
                "llmx_ledger_difference_credits": (
                    "By how much the ledger does not add up: zero, by what was compared.",
                    ("of",),
                    self._differences,
                ),
            }
        )

    def _sums(self) -> dict[str, tuple[str, Callable[[], float]]]:
        settlement, tally, shelf = self._settlement, self._tally, self._shelf
        return {
            "llmx_settlements_total": ("Awards that were written.", lambda: settlement.settled),
            "llmx_settlements_undone_total": (
                "Awards that were written, and that nobody wanted any more.",
                lambda: settlement.undone,
            ),
            "llmx_settlements_called_off_total": (
                "Awards of unknown fate that were called off.",
                lambda: tally.voids,
            ),
            "llmx_holds_expired_total": (
                "Holds of credit that ended by their time.",
                lambda: tally.expired,
            ),
            "llmx_ledger_swaps_total": (
                "Writes that were asked of the file or of etcd.",
                lambda: shelf.swaps,
            ),
            "llmx_ledger_reads_total": (
                "Readings that were asked of the file or of etcd.",
                lambda: shelf.reads,
            ),
            "llmx_ledger_conflicts_total": (
                "Writes that somebody else was faster than.",
                lambda: shelf.conflicts,
            ),
            "llmx_ledger_fenced_total": (
                "Writes of a gateway that was not registered any more.",
                lambda: shelf.fenced,
            ),
            "llmx_ledger_carried_total": (
                "Commits that put the old part of the journal together.",
                lambda: self._archive.carried,
            ),
        }

    def _gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        return {
            "llmx_settlements_waiting": (
                "Negotiations that wait for the ledger.",
                lambda: len(self._settlement.chains),
            ),
            "llmx_locks_open": (
                "Locks granted to awards of this gateway that stand.",
                lambda: self._tally.locks_open(self._now()),
            ),
            "llmx_locks_fencing": (
                "The highest number of a lock that was granted here.",
                lambda: self._tally.fencing,
            ),
            "llmx_budget_leases": (
                "Budgets of which this gateway has a share.",
                lambda: self._shelf.leases(self._now()),
            ),
        }

    def _leased(self) -> Values:
        leased, used = self._shelf.leased(self._now())
        return [(("used",), used / MICROS), (("unused",), (leased - used) / MICROS)]

    def _differences(self) -> Values:
        """Tell nothing before the first look, rather than that all is well."""
        found = self._archive.audited
        if found is None:
            return []
        told = [(("accounts",), found.difference_micros / MICROS)]
        if found.held_micros is not None:
            told.append((("holds",), found.held_micros / MICROS))
        return told


def _values(counts: Mapping[str, int], unit: int = 1) -> Values:
    return [((word,), count / unit) for word, count in sorted(counts.items())]
