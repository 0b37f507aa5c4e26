"""The file from which a ledger gets its resources, budgets and first credit.

    [[resources]]
    name = "gpu"
    units = 8
    reserve = 0.25            # left out: nothing is kept for the system class

    [[accounts]]
    agent = "agent://alice"
    credits = 100.0

    [[budgets]]
    agent = "agent://alice"   # or: project = "vision"
    credits = 20.0
    seconds = 3600            # left out: one window without end

    [[limits]]                # of an API that agents share: its tokens are a good
    name = "search"
    rate = 10.0               # requests a second
    burst = 50.0
    reserve = 0.2             # the part of the burst for the system class
    purse_max = 0.25          # the part of the burst that one agent may hold
    gateway = "eu-1"          # who keeps it; may be left out where there is one gateway only

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
from gateway.settling.amounts import AmountError, micros_in
from policy.store import Change, Commit, Mint, SetBudget, SetResource

FILE_BYTES_MAX = 1 << 20
ENTRIES_MAX = 10_000
NAME_CHARACTERS_MAX = 128
RATE_MAX = 1e9


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: str = "default"


class _Resource(_Entry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    name: str
    units: int
    reserve: float = 0.0


class _Account(_Entry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    agent: str
    credits: float


class _Budget(_Entry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    credits: float
    agent: str = ""
    project: str = ""
    seconds: float | None = None


class _Limit(_Entry, kw_only=True, frozen=True, forbid_unknown_fields=True):
    name: str
    rate: float
    burst: float
    reserve: float = 0.2
    purse_max: float = 0.25
    gateway: str = ""


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says."""

    resources: tuple[_Resource, ...] = ()
    accounts: tuple[_Account, ...] = ()
    budgets: tuple[_Budget, ...] = ()
    limits: tuple[_Limit, ...] = ()
    """Rate limits that are shared; see `governing.token_limits`."""

    def commits(self, life: str, at: float) -> list[Commit]:
        """Return what brings a ledger there; `life` is unlike that of every other start."""
        made = [
            _commit(
                f"{life}:{entry.name}",
                entry,
                SetResource(entry.name, entry.units, reserve=entry.reserve),
                at,
            )
            for entry in self.resources
        ]
        for account in self.accounts:
            micros = micros_in(str(account.credits))
            made.append(_commit("first", account, Mint(account.agent, micros), at, account.agent))
        for budget in self.budgets:
            name = budget.agent or PROJECT + budget.project
            change = SetBudget(name, micros_in(str(budget.credits)), budget.seconds)
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
    entries: list[_Resource | _Account | _Budget | _Limit]
    entries = [*catalogue.resources, *catalogue.accounts, *catalogue.budgets, *catalogue.limits]
    for entry in entries:
        fault = _fault(entry) or _uncountable(entry)
        if fault:
            raise _unusable(path, fault)
    if len(entries) > ENTRIES_MAX:
        raise _unusable(path, f"it has more than {ENTRIES_MAX} entries")
    return catalogue


def _fault(entry: _Resource | _Account | _Budget | _Limit) -> str:
    match entry:
        case _Resource(name=name, units=units) if not name or not 0 <= units <= 4_096:
            return f"resource {name!r}: a name and 0 to 4096 units are needed"
        case _Resource(name=name, reserve=reserve) if not 0 <= reserve <= 1:
            return f"resource {name!r}: a reserve is a part of the units, 0 to 1"
        case _Account(agent=agent, credits=amount) if not agent or amount <= 0:
            return f"account {agent!r}: an agent and credits above 0 are needed"
        case _Budget(agent=agent, project=project) if bool(agent) == bool(project):
            return "a budget is of an agent or of a project"
        case _Budget(credits=amount, seconds=seconds) if amount < 0 or (seconds or 1) <= 0:
            return "a budget has credits of 0 or more, in a time above 0"
        case _Limit(name=name) if not name or len(name) > NAME_CHARACTERS_MAX:
            return f"limit {name[:80]!r}: a name of 1 to {NAME_CHARACTERS_MAX} characters is needed"
        case _Limit(name=name, rate=rate, burst=burst) if not (
            0 < rate <= RATE_MAX and 1 <= burst <= RATE_MAX
        ):
            return f"limit {name!r}: a rate above 0 and a burst of 1 or more are needed"
        case _Limit(name=name, reserve=reserve, purse_max=most) if not (
            0 <= reserve < 1 and 0 < most <= 1
        ):
            return f"limit {name!r}: a reserve of 0 up to 1, and a purse_max above 0, at most 1"
        case _:
            return ""


def _uncountable(entry: _Resource | _Account | _Budget | _Limit) -> str:
    """Return why the ledger cannot count the credits of an entry exactly, or ""."""
    if isinstance(entry, _Resource | _Limit):
        return ""
    try:
        micros_in(str(entry.credits))
    except AmountError as error:
        return f"credits = {entry.credits}: {error}"
    return ""


def _unusable(path: Path, reason: str) -> SettingsError:
    return SettingsError(
        f'market.catalogue={path}: {reason}; for example [[resources]] name = "gpu" units = 8'
    )
