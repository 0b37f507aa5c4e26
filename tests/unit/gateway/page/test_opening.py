"""The page is opened where the settings want it, and closed with its gateway."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp

from gateway.auth import Authenticator
from gateway.market import Market
from gateway.page import opening
from gateway.page.digest import Ledger
from gateway.page.opening import ledger_of, operators_page
from gateway.settings import Settings, load_settings
from tests.support.admin_view import FakeView
from tests.support.gateway_parts import Parts


def market_of(parts: Parts) -> Market:
    """Return a market whose ledger is in memory."""
    settings = load_settings(None, {"market.store": "memory"}).market
    return Market(settings, "gw", parts.members, parts.negotiations, lambda: parts.now)


def opened(settings: Settings, market: Market | None = None) -> Any:
    """Return the page of a gateway without streams."""
    parts: Any = Parts()
    parts.exchange = SimpleNamespace(sessions=set())
    view: Any = FakeView("gw")
    view.known_cluster = None
    checks = Authenticator(audience="llmx", issuer="llmx", development_secret=b"s" * 32)
    return operators_page(settings, checks, view, parts, parts.recorder, market, lambda: parts.now)


async def test_there_is_none_by_default() -> None:
    async with opened(Settings()) as address:
        assert address is None


async def test_a_gateway_shows_itself_until_it_stops() -> None:
    settings = load_settings(None, {"page.port": "0"})
    async with aiohttp.ClientSession() as client:
        async with opened(settings, market_of(Parts())) as address:
            assert address.startswith("http://127.0.0.1:")
            async with client.get(address + "events") as answer:
                line = b""
                while not line.startswith(b"data: "):
                    line = await answer.content.readline()
            digest = json.loads(line[6:])["digest"]
        try:
            async with client.get(address):
                raise AssertionError("somebody answers still")
        except aiohttp.ClientConnectionError:
            pass
    assert digest["graph"]["gateway"] == "gw"
    assert digest["ledger"] == {"settled": 0, "refused": 0, "undone": 0, "working": 0}


def test_the_ledger_is_told_in_figures() -> None:
    market = market_of(Parts())
    market.settlement.settled, market.settlement.refused = 4, 2
    assert ledger_of(market) == Ledger(settled=4, refused=2, undone=0, working=0)


def test_a_gateway_without_a_page_does_not_load_the_library_of_it() -> None:
    """15 MB and 0.13 s at each start, for who wants no page."""
    tree = ast.parse(Path(opening.__file__).read_text("utf-8"))
    loaded = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert "gateway.page.viewers" in loaded and "gateway.page.server" not in loaded
    users = [
        path.name
        for path in Path(opening.__file__).parents[1].rglob("*.py")
        if "aiohttp" in path.read_text("utf-8")
    ]
    assert sorted(users) == ["opening.py", "server.py"]
