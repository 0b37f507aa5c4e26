"""Opens the operator's page where the settings want one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.auth import Authenticator
from gateway.clock import Clock
from gateway.cluster_parts import Parts
from gateway.cluster_view import ClusterView
from gateway.market import Market
from gateway.page.digest import Ledger, Reporter
from gateway.page.door import Door
from gateway.page.viewers import Viewers
from gateway.records import Recorder
from gateway.settings import Settings

log = structlog.get_logger("llmx.page")


@asynccontextmanager
async def operators_page(
    settings: Settings,
    authenticator: Authenticator,
    view: ClusterView,
    parts: Parts,
    recorder: Recorder,
    market: Market | None,
    now: Clock,
) -> AsyncIterator[str | None]:
    """Serve the page until the block ends; yields its address, None where there is none.

    Raises SettingsError where it cannot be served.
    """
    if settings.page.port is None:
        yield None
        return
    # Here, because aiohttp takes 0.13 s and 15 MB, and most gateways have no page.
    from gateway.page.server import serving

    reporter = Reporter(
        view,
        parts.members,
        parts.negotiations,
        parts.metrics,
        parts.exchange.sessions,
        recorder,
        now,
        lambda: view.known_cluster,
        lambda: None if market is None else ledger_of(market),
    )
    viewers = Viewers(reporter, settings.page.viewers_max)
    door = Door(settings.page, authenticator, now)
    async with serving(settings.page, settings.server, door, viewers) as address:
        looking = asyncio.TaskGroup()
        async with looking:
            task = looking.create_task(viewers.run())
            log.info("the operator's page is open", address=address)
            try:
                yield address
            finally:
                task.cancel()


def ledger_of(market: Market) -> Ledger:
    """Return what became of awards that hold something."""
    settlement = market.settlement
    return Ledger(settlement.settled, settlement.refused, settlement.undone, len(settlement.chains))
