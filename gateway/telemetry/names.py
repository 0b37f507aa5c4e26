"""How agents and tenants are named in what a gateway writes: as they are, or by a short hash.

A hash is the same everywhere, so lines about one agent still belong together, and who knows its
name finds them. It hides names from those who read along; it withstands nobody who can guess them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

HASH_LENGTH = 12
_MADE_HERE = re.compile(r"[A-Za-z0-9-]{1,63}\.\d{1,3}\.[0-9a-f]{16}-[0-9a-f]{10}")


@lru_cache(maxsize=10_000)
def hashed(name: str) -> str:
    """Return what stands for a name; nothing for an empty one."""
    return f"~{sha256(name.encode()).hexdigest()[:HASH_LENGTH]}" if name else ""


def negotiation(negotiation_id: str) -> str:
    """Return the id of a negotiation if a gateway may have made it, else nothing.

    Agents name negotiations too, and can write whatever they like there.
    """
    return negotiation_id if _MADE_HERE.fullmatch(negotiation_id) else ""


def plain(name: str) -> str:
    """Return the name."""
    return name
