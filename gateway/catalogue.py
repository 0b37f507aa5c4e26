"""The file from which a ledger gets its resources, budgets and first credit.

    [[resources]]
    name = "gpu"
    units = 8

    [[accounts]]
    agent = "agent://alice"
    credits = 100.0

    [[budgets]]
    agent = "agent://alice"   # or: project = "vision"
    credits = 20.0
    seconds = 3600            # left out: one window without end

Each entry may have a `tenant`; "default" when absent. Read once, when the gateway starts: resources
and budgets become what the file says, and an account gets its first credit once, for ever.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.commits import PROJECT
from gateway.settings import SettingsError
from policy.stakes import MICROS
from policy.store import Change, Commit, Mint, SetBudget, SetResource

FILE_BYTES_MAX = 1 << 20
ENTRIES_MAX = 10_000


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: str = "default"


class _Resource(_Entry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    name: str
    units: int


class _Account(_Entry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    agent: str
    credits: float


class _Budget(_Entry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    credits: float
    agent: str = ""
    project: str = ""
    seconds: float | None = None


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says."""

    resources: tuple[_Resource, ...] = ()
    accounts: tuple[_Account, ...] = ()
    budgets: tuple[_Budget, ...] = ()

    def commits(self, life: str, at: float) -> list[Commit]:
        """Return what brings a ledger there; `life` is unlike that of every other start."""
        made = [
            _commit(f"{life}:{entry.name}", entry, SetResource(entry.name, entry.units), at)
            for entry in self.resources
        ]
        for account in self.accounts:
            micros = round(account.credits * MICROS)
            made.append(_commit("first", account, Mint(account.agent, micros), at, account.agent))
        for budget in self.budgets:
            name = budget.agent or PROJECT + budget.project
            change = SetBudget(name, round(budget.credits * MICROS), budget.seconds)
            made.append(_commit(f"{life}:{name}", budget, change, at))
        return made


def _commit(what: str, entry: _Entry, change: Change, at: float, whose: str = "") -> Commit:
    assert isinstance(change, SetResource | SetBudget | Mint), "nothing else is in the file"
    field = "agent" if isinstance(change, Mint) else "name"
    owned = msgspec.structs.replace(change, **{field: f"{entry.tenant}|{getattr(change, field)}"})
    return Commit(f"catalogue:{entry.tenant}:{what}{whose}", at, (owned,))


def read_catalogue(path: Path) -> Catalogue:
    """Return what a file says. Raises SettingsError for what cannot be."""
    try:
        with path.open("rb") as stream:
            said: Mapping[str, Any] = tomllib.loads(stream.read(FILE_BYTES_MAX).decode("utf-8"))
        catalogue = msgspec.convert(said, Catalogue)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise _unusable(path, str(error)) from error
    entries: list[_Resource | _Account | _Budget]
    entries = [*catalogue.resources, *catalogue.accounts, *catalogue.budgets]
    for entry in entries:
        fault = _fault(entry)
        if fault:
            raise _unusable(path, fault)
    if len(catalogue.commits("", 0.0)) > ENTRIES_MAX:
        raise _unusable(path, f"it has more than {ENTRIES_MAX} entries")
    return catalogue


def _fault(entry: _Resource | _Account | _Budget) -> str:
    match entry:
        case _Resource(name=name, units=units) if not name or not 0 <= units <= 4_096:
            return f"resource {name!r}: a name and 0 to 4096 units are needed"
        case _Account(agent=agent, credits=amount) if not agent or amount <= 0:
            return f"account {agent!r}: an agent and credits above 0 are needed"
        case _Budget(agent=agent, project=project) if bool(agent) == bool(project):
            return "a budget is of an agent or of a project"
        case _Budget(credits=amount, seconds=seconds) if amount < 0 or (seconds or 1) <= 0:
            return "a budget has credits of 0 or more, in a time above 0"
        case _:
            return ""


def _unusable(path: Path, reason: str) -> SettingsError:
    return SettingsError(
        f'market.catalogue={path}: {reason}; for example [[resources]] name = "gpu" units = 8'
    )
