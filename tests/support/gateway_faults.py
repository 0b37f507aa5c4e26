"""What goes wrong with a gateway's process, its disk and its clock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.mortal_gateway import MortalGateway
from tests.support.other_clock import OtherClock

MIB = 1024 * 1024
SMALL_DISK_BYTES_MAX = 256 * MIB
BALLAST = "ballast"
MOUNT_SECONDS_MAX = 10.0


class Killed:
    """The process is killed, and started again on the same port and files."""

    name = "gateway killed"

    def __init__(self, gateway: MortalGateway) -> None:
        """Kill this one."""
        self._gateway = gateway

    def is_available(self) -> bool:
        return True

    async def inject(self) -> None:
        await self._gateway.kill()

    async def heal(self) -> None:
        await self._gateway.restart()


class Frozen:
    """The process gets no processor, as under a debugger or on a machine that swaps."""

    name = "gateway frozen"

    def __init__(self, gateway: MortalGateway) -> None:
        """Freeze this one."""
        self._gateway = gateway

    def is_available(self) -> bool:
        return hasattr(os, "kill") and sys.platform != "win32"

    async def inject(self) -> None:
        self._gateway.freeze()

    async def heal(self) -> None:
        self._gateway.thaw()


class ClockJumped:
    """The gateway dies, and finds another wall clock when it is started again.

    A living gateway reads the wall clock once, so a jump matters between two lives. Healing
    puts the clock right for the next life.
    """

    def __init__(self, gateway: MortalGateway, clock: OtherClock, ahead: float) -> None:
        """Let the clock of `gateway` be so many seconds ahead; negative is behind."""
        self.name = f"clock jumped {ahead:+g} s"
        self._gateway = gateway
        self._clock = clock
        self._ahead = ahead

    def is_available(self) -> bool:
        return True

    async def inject(self) -> None:
        await self._gateway.kill()
        self._clock.jump(self._ahead)
        await self._gateway.restart()

    async def heal(self) -> None:
        self._clock.jump(0.0)


class DiskFull:
    """The disk on which a folder lies has no byte left."""

    name = "disk full"

    def __init__(self, folder: Path) -> None:
        """Fill the disk of `folder`, which must be a small one of its own."""
        self._folder = folder

    def is_available(self) -> bool:
        """Tell whether the folder is a disk of its own, and one small enough to be filled."""
        there = os.statvfs(self._folder)
        return (
            os.path.ismount(self._folder)
            and there.f_blocks * there.f_frsize <= SMALL_DISK_BYTES_MAX
        )

    async def inject(self) -> None:
        assert self.is_available(), "nobody's disk but one of our own is filled"
        with (self._folder / BALLAST).open("ab", buffering=0) as ballast:
            for size in (MIB, 4096, 1):
                with suppress(OSError):
                    while ballast.write(bytes(size)) == size:
                        pass

    async def heal(self) -> None:
        (self._folder / BALLAST).unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: int = 32 * MIB) -> Iterator[bool]:
    """Make `folder` a disk of its own in memory; tells whether this user may do that."""
    folder.mkdir(parents=True, exist_ok=True)
    is_mounted = sys.platform == "linux" and _run(
        "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)
    )
    try:
        yield is_mounted
    finally:
        if is_mounted:
            _run("umount", "--lazy", str(folder))


def _run(*command: str) -> bool:
    try:
        done = subprocess.run(
            command,
            check=False,
            timeout=MOUNT_SECONDS_MAX,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
