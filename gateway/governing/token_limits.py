"""Which rate limits are shared, and who keeps them: from the catalogue to the desk of a gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.catalogue import Catalogue
from gateway.clock import Clock
from gateway.governing.keeping import Keeper
from gateway.governing.token_book import PURSES, TokenBook
from gateway.governing.token_desk import TokenDesk
from gateway.known_budgets import KnownBudgets
from gateway.settings import SettingsError
from policy.noise import NoiseRule
from policy.store import Store
from policy.token_market import TokenLimit


@dataclass(frozen=True, slots=True)
class SharedLimit:
    """A limit that agents of a tenant share."""

    tenant: str
    name: str
    limit: TokenLimit
    gateway: str
    """Who keeps it."""


class SharedLimits:
    """The limits that one gateway knows, and those of them that it keeps."""

    def __init__(self, catalogue: Catalogue, gateway_id: str) -> None:
        """Know what the catalogue says; a limit that names no gateway is kept here."""
        self._gateway_id = gateway_id
        self._limits: dict[tuple[str, str], SharedLimit] = {}
        self._nameless = ""
        self.desk: TokenDesk | None = None
        """What keeps those of this gateway, once it runs."""
        self.address_of: Callable[[str], str] = lambda gateway_id: ""
        """Tells where agents reach another gateway; "" when that is not known."""
        for said in catalogue.limits:
            self._nameless = self._nameless or ("" if said.gateway else said.name)
            limit = TokenLimit(said.rate, said.burst, said.reserve, said.purse_max)
            keeper = said.gateway or gateway_id
            key = said.tenant, said.name
            if key in self._limits:
                raise SettingsError(
                    f"market.catalogue: tenant {said.tenant!r} has two limits {said.name!r}; "
                    "give each a name of its own"
                )
            self._limits[key] = SharedLimit(said.tenant, said.name, limit, keeper)

    def join(self, address_of: Callable[[str], str]) -> None:
        """Be one of several gateways. Raises SettingsError for a limit that all would keep."""
        self.address_of = address_of
        if self._nameless:
            raise SettingsError(
                f"market.catalogue: limit {self._nameless!r} is kept by one gateway of a cluster; "
                f'say which, for example gateway = "{self._gateway_id}"'
            )

    def of(self, tenant: str) -> Sequence[SharedLimit]:
        """Return the limits of a tenant, by name."""
        own = (one for one in self._limits.values() if one.tenant == tenant)
        return sorted(own, key=lambda one: one.name)

    def keeps(self, limit: SharedLimit) -> bool:
        """Tell whether this gateway keeps a limit."""
        return limit.gateway == self._gateway_id

    def find(self, tenant: str, name: str) -> SharedLimit | None:
        """Return one limit."""
        return self._limits.get((tenant, name))

    def books(self, noise: NoiseRule, keeper: Keeper, now: Clock) -> list[TokenBook]:
        """Return the books of the limits that this gateway keeps."""
        return [
            TokenBook(one.tenant, one.name, one.limit, noise, keeper, now)
            for one in self._limits.values()
            if self.keeps(one)
        ]

    def keep(
        self, books: Iterable[TokenBook], ledger: Store, budgets: KnownBudgets, now: Clock
    ) -> TokenDesk:
        """Begin to serve agents."""
        self.desk = TokenDesk(books, ledger, budgets, now)
        return self.desk


def hear_purses(books: Iterable[TokenBook], name: str, text: bytes | None) -> None:
    """Let the book that a text is of take it up."""
    if name.startswith(PURSES):
        for book in books:
            if book.key == name:
                book.hear(text)
