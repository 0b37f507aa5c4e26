"""Profiles that change while gateways run: in all of them, or in none.

A change goes to the shelf that all gateways share, and each of them, this one included, uses it
once it stands there. The shelf is etcd in a cluster that has it, else the file that
`engine.policies` names, else the memory of this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from federation.shelf import Edit, ShelfError
from gateway import policy_books
from gateway.policies import Policies, fault_of, fields_in, proto_of
from gateway.policy_books import Book, book_of
from gateway.refusals import Fault
from llmx.v1.policy_pb2 import AcceptanceProfile
from policy.acceptance import PolicyError

log = structlog.get_logger("llmx.policies")


class Shelf(Protocol):
    """Where the books of all tenants are kept."""

    on_text: Callable[[str, bytes | None], None]
    """Hears each book once it stands, None when it is gone."""

    async def change(self, name: str, edit: Edit) -> None:
        """Change the book of a tenant. Raises ShelfError, and what `edit` raises."""


class Memory:
    """A shelf that ends with the process, for a gateway that stands alone."""

    def __init__(self) -> None:
        """Start empty."""
        self._books: dict[str, bytes] = {}
        self.on_text: Callable[[str, bytes | None], None] = lambda name, text: None
        """Hears each book."""

    async def change(self, name: str, edit: Edit) -> None:
        """Change the book of a tenant."""
        self._books[name] = edit(self._books.get(name))
        self.on_text(name, self._books[name])


class LivePolicies:
    """Changes the profiles of tenants."""

    def __init__(self, policies: Policies, shelf: Shelf | None = None) -> None:
        """Keep `policies` as the shelf says."""
        self._policies = policies
        self._shelf: Shelf = shelf or Memory()
        self._shelf.on_text = self._hear
        self.on_change: Callable[[str, Book], None] = lambda tenant, book: None
        """Hears which profiles a tenant has from now on."""

    def move_to(self, shelf: Shelf) -> None:
        """Keep books on another shelf from now on, before anybody has changed one."""
        self._shelf = shelf
        shelf.on_text = self._hear

    async def put(self, tenant: str, profile: AcceptanceProfile) -> AcceptanceProfile | Fault:
        """Add or change a profile of a tenant; returns it with its revision."""
        try:
            fields = fields_in(profile)
        except PolicyError as error:
            return fault_of(error)
        book = await self._change(tenant, policy_books.put, profile.name, fields)
        return book if isinstance(book, Fault) else proto_of(book.profiles[profile.name])

    async def delete(self, tenant: str, name: str) -> Fault | None:
        """Delete a profile of a tenant."""
        book = await self._change(tenant, policy_books.delete, name)
        return book if isinstance(book, Fault) else None

    async def set_default(self, tenant: str, name: str) -> Fault | None:
        """Make a profile the one for calls that name none."""
        book = await self._change(tenant, policy_books.set_default, name)
        return book if isinstance(book, Fault) else None

    async def _change(
        self, tenant: str, edit: Callable[..., bytes], *arguments: str | Mapping[str, Any]
    ) -> Book | Fault:
        """Change a book; returns what it says then."""
        shared, written = self._policies.shared, b""

        def edited(text: bytes | None) -> bytes:
            nonlocal written
            written = edit(text, shared, *arguments)
            return written

        try:
            await self._shelf.change(tenant, edited)
        except PolicyError as error:
            return fault_of(error)
        except ShelfError as error:
            remedy = "list the profiles to see whether it was done, and try again"
            return Fault("STORE_UNAVAILABLE", f"profiles cannot be changed: {error}", remedy)
        return book_of(written, shared)

    def _hear(self, tenant: str, text: bytes | None) -> None:
        """Use a book from now on."""
        book = book_of(text, self._policies.shared, self._policies.book(tenant))
        self._policies.use(tenant, book)
        self.on_change(tenant, book)
        log.info(
            "profiles",
            tenant=tenant,
            own=len(book.profiles),
            default=self._policies.default_name(tenant),
        )
        for sentence in book.trouble:
            log.warning("a profile cannot be used", tenant=tenant, reason=sentence)
