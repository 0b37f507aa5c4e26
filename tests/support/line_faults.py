"""What goes wrong on the line between an agent and a gateway."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.fault_proxy import FaultProxy, Way
from tests.support.weather import Cut, Weather


class LineFault:
    """Something that happens to one or more lines; any machine can have it."""

    name = "line fault"

    def __init__(self, proxies: Sequence[FaultProxy]) -> None:
        """Happen to the lines through these proxies."""
        self.proxies = proxies

    def is_available(self) -> bool:
        return True

    async def inject(self) -> None:
        for proxy in self.proxies:
            self.disturb(proxy)

    async def heal(self) -> None:
        for proxy in self.proxies:
            proxy.heal()

    def disturb(self, proxy: FaultProxy) -> None:
        """Do it to one line."""
        proxy.cut()


class LinesCut(LineFault):
    """The connections end, at once or within a frame."""

    def __init__(
        self, proxies: Sequence[FaultProxy], how: Cut, way: Way, *, within_frame: bool
    ) -> None:
        """Cut the lines so."""
        super().__init__(proxies)
        where = f" within a frame {way.value}" if within_frame else ""
        self.name = f"cut by {how.value}{where}"
        self._how, self._way, self._within = how, way, within_frame

    def disturb(self, proxy: FaultProxy) -> None:
        proxy.cut(self._how, way=self._way, within_frame=self._within)


class LinesStalled(LineFault):
    """Nothing comes through for a while.

    Downwards and not silently it is an agent that stops reading.
    """

    def __init__(
        self, proxies: Sequence[FaultProxy], seconds: float, way: Way | None, *, silently: bool
    ) -> None:
        """Stall the lines for so long, one way or both (None)."""
        super().__init__(proxies)
        self.name = f"stalled {way.value if way else 'both ways'}{', silently' * silently}"
        self._seconds, self._way, self._silently = seconds, way, silently

    def disturb(self, proxy: FaultProxy) -> None:
        proxy.stall(self._seconds, self._way, silently=self._silently)


class LinesRefused(LineFault):
    """There is no connection, and there will be none."""

    name = "refused"

    def disturb(self, proxy: FaultProxy) -> None:
        proxy.refuse()


class FoulWeather(LineFault):
    """Frames suffer by chance."""

    name = "foul weather"

    def __init__(self, proxies: Sequence[FaultProxy], weather: Weather) -> None:
        """Let it be so on the lines until it is healed."""
        super().__init__(proxies)
        self._weather = weather

    def disturb(self, proxy: FaultProxy) -> None:
        proxy.weather = self._weather
