"""Whether the gateway that is registered under our name is gone.

A gateway that was killed leaves its registration behind until its lease is over, and its next
life need not wait for that. But a process that was started with somebody else's name by mistake
must not take its place. So who lives at the address that is registered counts as living: then, and
where nobody can tell, the lease decides.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from federation.membership import MemberInfo

PROBE_SECONDS_MAX = 0.5


async def is_gone(registered: MemberInfo | None, own: MemberInfo) -> bool:
    """Tell whether a registration is of an earlier life of this gateway, for certain."""
    if registered is None:
        return False  # of another version, and nobody can read where it is
    if registered.peer_address == own.peer_address:
        return True  # this process listens there now
    addresses = [one for one in registered.peer_address.split(",") if one]
    return bool(addresses) and all([await _refuses(address) for address in addresses])


async def _refuses(address: str) -> bool:
    """Tell whether a machine says that nobody listens at an address of its own."""
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            if address.startswith("unix:"):
                _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
            else:
                host, _, port = address.rpartition(":")
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except (OSError, ValueError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return False
