"""Budgets: how much may be promised and paid in an hour, or for a project.

What counts in a window is what was captured of holds made in it, and what of them is still held;
the sum never exceeds the grant (`BUDGET_EXHAUSTED`, with the time of the next window). A project
is a budget of one window that does not end.

In a cluster each gateway *leases* a share of the grant and counts on it alone. The sum of the
shares never exceeds the grant, so neither does what is used, at any moment and whoever crashes.
Who runs short leases more; when nothing is left, what others have not used is taken from their
shares.

    Grant   what the operator gave, and who has leased how much of it in this window
    Share   what one gateway has leased and used
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

SECONDS_MAX = 366 * 86_400.0
"""The longest window that comes again."""


class Grant(msgspec.Struct, frozen=True, gc=False, tag="grant"):
    """A budget."""

    name: str
    micros: int
    """What may be used in one window."""
    seconds: float | None = 3600.0
    """How long a window lasts; None for a project, which has one."""
    window: int = 0
    """The number of the window that the leases are of."""
    leased: Mapping[str, int] = msgspec.field(default_factory=dict)
    """What each gateway may use in that window."""

    def window_at(self, at: float) -> int:
        """Return the number of the window that a time is in; windows begin with 1970."""
        return window_at(self.seconds, at)

    def resets_at(self, window: int) -> float | None:
        """Return when the window after this one begins; None when there is none."""
        return None if self.seconds is None else (window + 1) * self.seconds

    @property
    def free(self) -> int:
        """Return what nobody has leased."""
        return self.micros - sum(self.leased.values())


class Share(msgspec.Struct, frozen=True, gc=False, tag="share"):
    """What one gateway has of a grant in a window."""

    window: int = 0
    leased: int = 0
    used: int = 0
    seconds: float | None = None
    """How long the window lasts, so that its end is known without looking at the grant."""

    def at_window(self, window: int, seconds: float | None) -> Share:
        """Return the share in a window; in a new one nothing is leased and nothing used."""
        return self if self.window == window else Share(window, seconds=seconds)

    def is_over(self, at: float) -> bool:
        """Tell whether another window has begun."""
        return window_at(self.seconds, at) > self.window


def window_at(seconds: float | None, at: float) -> int:
    """Return the number of the window of so many seconds that a time is in."""
    return 0 if seconds is None else int(at // seconds)


def at_window(grant: Grant, window: int) -> Grant:
    """Return the grant in a window, with what is leased in that one only."""
    return grant if grant.window == window else replace(grant, window=window, leased={})


def leased(grant: Grant, share: Share, place: str, micros: int, chunk: int) -> tuple[Grant, Share]:
    """Lease `micros` to a place, or up to `chunk` if there is plenty; less if there is less."""
    assert grant.window == share.window, "both are of this window"
    more = min(grant.free, max(micros, min(chunk, grant.free // 2)))
    if more <= 0:
        return grant, share
    leases = {**grant.leased, place: grant.leased.get(place, 0) + more}
    return replace(grant, leased=leases), replace(share, leased=share.leased + more)


def handed_back(grant: Grant, share: Share, place: str, micros: int) -> tuple[Grant, Share]:
    """Take up to `micros` of what a place has leased and not used."""
    assert grant.window == share.window, "both are of this window"
    less = min(micros, share.leased - share.used)
    leases = {**grant.leased, place: grant.leased[place] - less}
    return replace(grant, leased=leases), replace(share, leased=share.leased - less)
