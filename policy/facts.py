"""What a store keeps, under which keys, and a draft of what a commit does to it.

entry/<key of the commit>      the journal; written once
call/<call>                    its award
hold/<hold>                    a hold that has not ended
purse/<agent>@<place>          an agent's credit at a place
resource/<name>                a resource with its calendar
registered/<name>              that there is one, without it
grant/<budget>                 a budget, and who leases how much of it
share/<budget>@<place>         what one gateway has leased and used
refunded/<hold>                how much of what a hold has paid was given back
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, assert_never

import msgspec

from policy.budgets import Grant, Share
from policy.ledger import Entry, Hold, Posting, Purse, Refunded, Spent
from policy.resources import Registered, Resource
from policy.store import (
    Burn,
    Capture,
    CarryForward,
    Commit,
    Decide,
    Decision,
    GiveBack,
    HoldCredit,
    Lock,
    Mint,
    Refund,
    Release,
    Reopen,
    SetBudget,
    SetResource,
    ShowLock,
    Unlock,
)

Fact = Decision | Entry | Grant | Hold | Purse | Refunded | Registered | Resource | Share

encode: Callable[[Fact], bytes] = msgspec.msgpack.Encoder().encode
decode: Callable[[bytes], Fact] = msgspec.msgpack.Decoder(Fact).decode

Look = Callable[[str], Fact | None]
"""Returns what stands under a key, None for nothing; raises Unread for what is not at hand."""

ENTRIES = "entry/"
CALLS = "call/"
HOLDS = "hold/"
RESOURCES = "resource/"
REGISTERED = "registered/"

_Kept = TypeVar("_Kept", Decision, Entry, Grant, Hold, Purse, Refunded, Registered, Resource, Share)


class Unread(Exception):
    """Facts have to be read from the store before it goes on: all at once.

    They are not at hand, or they are of different times and do not fit together.
    """

    def __init__(self, *keys: str) -> None:
        """Name their keys."""
        super().__init__(*keys)
        self.keys = keys


def entry_key(commit: str) -> str:
    return ENTRIES + commit


def call_key(call: str) -> str:
    return CALLS + call


def hold_key(hold_id: str) -> str:
    return HOLDS + hold_id


def purse_key(agent: str, place: str) -> str:
    return f"purse/{agent}@{place}"


def resource_key(name: str) -> str:
    return RESOURCES + name


def registered_key(name: str) -> str:
    return REGISTERED + name


def grant_key(budget: str) -> str:
    return f"grant/{budget}"


def share_key(budget: str, place: str) -> str:
    return f"share/{budget}@{place}"


def refunded_key(hold_id: str) -> str:
    return f"refunded/{hold_id}"


def sure_keys(commit: Commit, place: str) -> set[str]:
    """Return the keys that a commit from a place is sure to look at, as far as it tells itself."""
    keys = presumed_new(commit)
    for change in commit.changes:
        match change:
            case Lock() | Unlock() | ShowLock():
                keys.add(resource_key(change.resource))
            case SetResource():
                keys.update((resource_key(change.name), registered_key(change.name)))
            case HoldCredit():
                keys.add(purse_key(change.agent, place))
                keys.update(share_key(budget, place) for budget in change.budgets)
            case Capture() | Release() | Refund():
                keys.add(hold_key(change.hold_id))
            case Mint():
                keys.add(purse_key(change.agent, ""))
            case Burn() | GiveBack():
                keys.add(purse_key(change.agent, place))
            case SetBudget():
                keys.add(grant_key(change.name))
            case CarryForward():
                keys.update(map(entry_key, change.entries))
                keys.update(map(call_key, change.calls))
            case Decide() | Reopen():
                keys.add(call_key(change.call))
            case _:
                assert_never(change)
    return keys


def presumed_new(commit: Commit) -> set[str]:
    """Return the keys under which nothing stands unless the commit is a repetition.

    A store need not read them first: what it writes holds only if nothing is there.
    """
    keys = {entry_key(commit.key)}
    for change in commit.changes:
        if type(change) is Decide:
            keys.add(call_key(change.call))
        elif type(change) is HoldCredit:
            keys.add(hold_key(change.hold_id))
    return keys


class Draft:
    """What a commit reads and would write; thrown away when it is refused."""

    def __init__(self, look: Look) -> None:
        """Begin with nothing read."""
        self._look = look
        self.reads: set[str] = set()
        """Every key that was looked at; what was found has to hold still when it is written."""
        self.writes: dict[str, Fact | None] = {}
        """What is to stand under each key; None for nothing."""
        self.postings: list[Posting] = []
        self.spent: list[Spent] = []
        self.locks: dict[str, int] = {}
        self.units: dict[str, tuple[int, ...]] = {}
        self.carried_until: float | None = None
        """When the last of the entries that are carried forward was written."""

    def get(self, key: str, kind: type[_Kept]) -> _Kept | None:
        """Return what stands under a key now, with what was put there before."""
        self.reads.add(key)
        fact = self.writes[key] if key in self.writes else self._look(key)
        assert fact is None or isinstance(fact, kind), "a key tells what stands under it"
        return fact

    def put(self, key: str, fact: Fact) -> None:
        """Let a fact stand under a key."""
        self.reads.add(key)
        self.writes[key] = fact

    def take_off(self, key: str) -> None:
        """Let nothing stand under a key."""
        self.reads.add(key)
        self.writes[key] = None

    def purse(self, agent: str, place: str) -> Purse:
        """Return the purse of an agent at a place; an empty one if there is none."""
        return self.get(purse_key(agent, place), Purse) or Purse(agent, place)

    def put_purse(self, purse: Purse) -> None:
        """Let a purse hold what it holds now."""
        self.put(purse_key(purse.agent, purse.place), purse)
