"""One gateway over its lives, each doomed to end at a step, on the same port and the same files."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.etcd import free_ports
from tests.support.gateways import Gateway, known_issuer, launched

DIES_SECONDS_MAX = 30.0


class Lives:
    """A gateway that is killed and started again."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        """Describe it; `begin` starts a life."""
        self._folder = folder
        self._settings = settings
        self._doom = folder / "doom"
        self._life: Gateway | None = None
        # Below those that the kernel gives to outgoing connections: nobody takes it meanwhile.
        (self._port,) = free_ports(1)
        self.count = 0

    @property
    def life(self) -> Gateway:
        """Return the gateway as it lives now."""
        assert self._life is not None, "it was begun"
        return self._life

    def doom(self, step: str, negotiation_id: str) -> None:
        """Let this life end when the award of a negotiation reaches the step."""
        self._doom.write_text(f"{step} {negotiation_id}")

    def spare(self) -> None:
        """Let this life go on."""
        self._doom.write_text("")

    async def begin(self) -> None:
        """Begin a life that nothing is to end."""
        self.count += 1
        await asyncio.to_thread(self._begin)

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.spare()
        doomed = (sys.executable, "-m", "loadtest.award_faults.doomed", str(self._doom))
        life = launched(
            self._folder, known_issuer(), self._settings, port=self._port, program=doomed
        )
        try:
            self._life = life.announced()
        except BaseException:
            life.process.kill()
            life.process.wait()
            raise

    async def died(self) -> bool:
        """Wait until this life has ended; False when it does not."""
        process = self.life.process
        try:
            await asyncio.to_thread(process.wait, DIES_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return False
        self._close()
        assert process.returncode == -signal.SIGKILL, self.life.log()[-4_000:]
        return True

    async def end(self) -> None:
        """End this life as an operator does."""
        if self._life is not None and self._life.process.poll() is None:
            await asyncio.to_thread(self._life.stop)
            self._close()

    def _close(self) -> None:
        stdout = self.life.process.stdout
        if stdout is not None:
            stdout.close()
