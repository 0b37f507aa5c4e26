"""The commands of a ledger on the command line."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gateway import cli
from gateway.commands import ledger

COMMANDS = {
    ("ledger",): ("ledger",),
    ("ledger", "of", "agent://alice", "--lines", "7"): ("statement", "agent://alice", 7),
    ("ledger", "give", "agent://a", "2.5", "--key", "k"): ("give", "agent://a", 2_500_000, "k"),
    ("ledger", "give", "agent://alice", "--", "-5"): ("give", "agent://alice", -5_000_000, ""),
    ("ledger", "refund", "h", "0.000001"): ("refund", "h", 1, ""),
    ("ledger", "refund", "h"): ("refund", "h", 0, ""),
    ("ledger", "budget", "vision", "9", "--per", "project"): ("budget", "vision", 9_000_000, None),
    ("ledger", "budget", "agent://a", "9"): ("budget", "agent://a", 9_000_000, 3600.0),
    ("resources", "--prefix", "g"): ("resources", "g"),
    ("resources", "set", "gpu", "8"): ("set_resource", "gpu", 8, None),
    ("resources", "set", "gpu", "8", "--reserve", "0.25"): ("set_resource", "gpu", 8, 0.25),
}


@pytest.mark.parametrize("typed", COMMANDS, ids=" ".join)
def test_every_command_does_what_it_says(
    typed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *given = COMMANDS[typed]
    called = []

    def use(self: object, *arguments: object) -> int:
        called.append(list(arguments))
        return 7

    monkeypatch.setattr(ledger.LedgerCtl, name, use)
    result = CliRunner().invoke(cli.app, ["ctl", *typed])
    assert (result.exit_code, called) == (7, [given])


def test_a_budget_is_per_hour_or_day_or_project() -> None:
    result = CliRunner().invoke(cli.app, ["ctl", "ledger", "budget", "x", "1", "--per", "year"])
    assert result.exit_code == 2


@pytest.mark.parametrize("credits_", ["nan", "inf", "1e30", "0.0000001", "lots"])
def test_what_the_ledger_cannot_count_asks_nobody(credits_: str) -> None:
    result = CliRunner().invoke(cli.app, ["ctl", "ledger", "give", "agent://a", credits_])
    assert result.exit_code == 2
    assert "CREDITS" in result.stderr and "credits_" not in result.stderr
