"""The page over HTTP: what is served, to whom, with which headers, and within which bounds."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.auth import Authenticator
from gateway.page import server as page_server
from gateway.page.door import Door
from gateway.page.server import FILES, HEADERS, KINDS, serving
from gateway.page.settings import PageSettings
from gateway.page.viewers import Viewers
from gateway.settings import ServerSettings, SettingsError
from gateway.tokens import mint_development_token
from tests.support.certificates import Authority

SECRET = b"s" * 32


class Fixed:
    """Reports that always say the same."""

    def __init__(self, text: bytes = b'{"figure":1}') -> None:
        self.text = text

    def look(self) -> None:
        pass

    def begin(self) -> bytes:
        return b'{"points":[]}'

    def next(self) -> bytes:
        return self.text


class Site:
    """A page that is served."""

    def __init__(
        self, address: str, viewers: Viewers, tick: asyncio.Event, client: aiohttp.ClientSession
    ) -> None:
        self._address = address
        self._client = client
        self.port = int(address.rstrip("/").rpartition(":")[2])
        self.viewers = viewers
        self.tick = tick

    def get(self, path: str = "", **given: Any) -> Any:
        """Ask for a path, with `async with`."""
        return self._client.get(self._address + path, **given)

    def post(self, path: str = "", **given: Any) -> Any:
        """Send something to a path, with `async with`."""
        return self._client.post(self._address + path, **given)


def authenticator() -> Authenticator:
    return Authenticator(audience="llmx", issuer="llmx", development_secret=SECRET)


@asynccontextmanager
async def site(
    reports: Fixed | None = None, slow_seconds: float = 30.0, **settings: Any
) -> AsyncIterator[Site]:
    given = PageSettings(port=0, **settings)
    tick = asyncio.Event()

    async def pause(_seconds: float) -> None:
        await tick.wait()
        tick.clear()

    viewers = Viewers(reports or Fixed(), given.viewers_max, pause, slow_seconds)
    door = Door(given, authenticator(), time.time)
    async with (
        asyncio.TaskGroup() as tasks,
        aiohttp.ClientSession() as client,
        serving(given, ServerSettings(), door, viewers) as address,
    ):
        running = tasks.create_task(viewers.run())
        try:
            yield Site(address, viewers, tick, client)
        finally:
            running.cancel()


async def lines_of(answer: aiohttp.ClientResponse, count: int) -> list[str]:
    """Return the next lines of a stream that are not empty."""
    found: list[str] = []
    while len(found) < count:
        line = (await answer.content.readline()).decode().strip()
        found += [line] if line else []
    return found


async def test_every_file_is_served_with_its_kind_and_headers_that_forbid_the_rest() -> None:
    names = [path.name for path in FILES.iterdir()]
    assert {"index.html", "page.css", "page.mjs", "icon.svg"} <= set(names)
    async with site() as served:
        for name in ["", *(one for one in names if one != "index.html")]:
            async with served.get(name) as answer:
                path = FILES / (name or "index.html")
                assert answer.status == 200, name
                assert await answer.read() == path.read_bytes()
                assert answer.content_type == KINDS[path.suffix]
                assert {key: answer.headers[key] for key in HEADERS} == HEADERS


async def test_refusals_bear_the_same_headers() -> None:
    async with site(token="always") as served:
        for path, status in (("nowhere", 404), ("../settings.py", 404), ("events", 401)):
            async with served.get(path) as answer:
                assert answer.status == status
                assert {key: answer.headers[key] for key in HEADERS} == HEADERS
        async with served.post(data=b"x" * 100_000) as answer:
            assert answer.status == 405
        async with served.post("events") as answer:
            assert answer.status == 405


def test_the_files_load_nothing_from_elsewhere_and_hold_no_script_or_style_in_the_page() -> None:
    """The policy would stop it; this says so before a browser does."""
    for path in FILES.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name
        assert "innerHTML" not in text and "outerHTML" not in text and "eval(" not in text
    page = (FILES / "index.html").read_text("utf-8")
    assert "style=" not in page and "onclick" not in page and "<style" not in page
    assert page.count("<script") == page.count('<script type="module" src=') == 1


async def test_the_stream_is_server_sent_events() -> None:
    async with site() as served, served.get("events") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        begin = await lines_of(answer, 3)
        assert begin == ["retry: 2000", "event: begin", 'data: {"points":[]}']
        served.tick.set()
        assert await lines_of(answer, 2) == ["event: digest", 'data: {"figure":1}']


async def test_a_viewer_too_many_is_told_to_come_back() -> None:
    async with site(viewers_max=1) as served, served.get("events") as first:
        await lines_of(first, 3)
        async with served.get("events") as second:
            assert second.status == 503 and int(second.headers["Retry-After"]) > 0
            answer = await second.json()
        assert "page.viewers_max" in answer["remedy"]


async def test_a_token_opens_the_stream() -> None:
    token = mint_development_token(SECRET, "agent://olga", roles=["exchange-operator"])
    async with site(token="always") as served:
        async with served.get("events") as answer:
            assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
            assert set(await answer.json()) == {"reason", "remedy"}
        headers = {"Authorization": f"Bearer {token}"}
        async with served.get("events", headers=headers) as answer:
            assert answer.status == 200
            await lines_of(answer, 3)


async def test_the_stream_ends_when_the_gateway_does() -> None:
    async with site() as served, served.get("events") as answer:
        await lines_of(answer, 3)
        served.viewers.close()
        assert await lines_of(answer, 2) == ["event: end", "data: the gateway stops"]
        assert (await answer.content.read()).strip() == b""


async def test_a_viewer_that_does_not_read_is_dropped_and_costs_little() -> None:
    """It is dropped within its patience, and until then nothing piles up for it."""
    reports = Fixed(b'"' + b"x" * 30_000 + b'"')
    async with site(reports, slow_seconds=0.05) as served:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(lazy, ("127.0.0.1", served.port))
            await loop.sock_sendall(lazy, b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(30):
                while not served.viewers.dropped:
                    served.tick.set()
                    await asyncio.sleep(0)
            assert served.viewers.count == 0


async def test_a_connection_too_many_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_server, "CONNECTIONS_MAX", 1)
    async with site() as served, served.get("events") as first:
        await lines_of(first, 3)
        with pytest.raises(aiohttp.ClientConnectionError):
            await served.get()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_a_connection_that_asks_nothing_is_ended(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise 512 of them would keep operators out for as long as somebody likes."""
    monkeypatch.setattr(page_server, "ASK_SECONDS", 0.02)
    async with site() as served, served.get("events") as asking:
        await lines_of(asking, 3)
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(begun)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
        served.tick.set()
        assert await lines_of(asking, 1) == ["event: digest"], "who has asked stays"


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SettingsError, match=f"page.port={port}: Address already in use on .*0 takes a"
        ):
            async with serving(
                PageSettings(port=port),
                ServerSettings(),
                Door(PageSettings(), authenticator(), time.time),
                Viewers(Fixed(), 1),
            ):
                pass


async def test_elsewhere_it_is_served_with_the_certificate_of_the_gateway(tmp_path: Path) -> None:
    certificate, key = Authority().signed("eu").write(tmp_path, "eu")
    pair = ServerSettings(tls_certificate=certificate, tls_key=key)
    settings = PageSettings(port=0, host="0.0.0.0")
    viewers = Viewers(Fixed(), 1)
    async with serving(
        settings, pair, Door(settings, authenticator(), time.time), viewers
    ) as address:
        assert address.startswith("https://0.0.0.0:")
        port = int(address.rstrip("/").rpartition(":")[2])
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"https://127.0.0.1:{port}/", ssl=False) as answer,
        ):
            assert answer.status == 200


async def test_a_viewer_that_goes_leaves_its_place_at_once() -> None:
    """Not with the next digest: a page that is loaded again has the place of its former self."""
    async with site(viewers_max=1) as served, asyncio.timeout(10):
        came = 0
        while came < 3:
            async with served.get("events") as answer:
                if answer.status == 200:
                    await lines_of(answer, 3)
                    came += 1
