"""What is wrong with a key set, a secret or a list of revoked tokens.

It stands alone so that a command that makes a token imports nothing of what judges tokens.
"""

from __future__ import annotations


class KeysError(Exception):
    """A key set that cannot be had or read."""

    def __init__(self, reason: str, remedy: str) -> None:
        """Say what is wrong and what would be right."""
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy
