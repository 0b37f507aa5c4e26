"""Serves the operator's page over HTTP: the files, and the stream of events.

    GET /           the page       GET /page.css, /page.mjs, …   what it is made of
    GET /events     text/event-stream; `Door` says who may have it, `Viewers` what it brings

The files hold nothing of the gateway, so everybody may have them; they are read once, at the
start. Every answer forbids to run, load or frame anything but what came from here.

Bounds: `CONNECTIONS_MAX` connections, of one more there is no talk; one that asks nothing for
`ASK_SECONDS` is ended, so nobody takes all of them for long; heads of 8 KiB; no bodies.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import hdrs, web

from gateway.page.door import Door, Turned
from gateway.page.settings import PageSettings, is_loopback
from gateway.page.viewers import Viewers
from gateway.settings import ServerSettings, SettingsError

FILES: Final = Path(__file__).with_name("files")
KINDS: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
}
CONNECTIONS_MAX: Final = 512
"""More than viewers there may be; a browser opens several to fetch the files."""
ASK_SECONDS = 10.0
SEND_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel keeps for a viewer that does not read, twice; by itself it would be megabytes."""
STOP_SECONDS: Final = 1.0
HEAD_BYTES_MAX: Final = 8_190

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
    "Server": "llmx",
}

log = structlog.get_logger("llmx.page")


class _Wire:
    """One viewer's stream, as `Viewers` uses it."""

    def __init__(self, response: web.StreamResponse, transport: asyncio.Transport) -> None:
        self._response = response
        self._transport = transport

    @property
    def unread(self) -> int:
        return self._transport.get_write_buffer_size()

    async def tell(self, event: bytes) -> None:
        await self._response.write(event)

    def drop(self) -> None:
        self._transport.abort()


class _TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "it is a stream"
        transport.abort()


class PageServer:
    """Answers requests for the page."""

    def __init__(self, door: Door, viewers: Viewers) -> None:
        """Serve those whom the door lets in."""
        self._door = door
        self._viewers = viewers
        self._silent: set[asyncio.Protocol] = set()

    def application(self) -> web.Application:
        """Return what aiohttp serves."""
        application = web.Application(client_max_size=1)
        for path, kind, content in _files():
            application.router.add_get(path, _sender(kind, content))
        application.router.add_get("/events", self._events, allow_head=False)
        application.on_response_prepare.append(self._answering)
        return application

    def expect(self, connection: web.RequestHandler) -> None:
        """End a connection unless something is asked on it soon."""
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(ASK_SECONDS, self._end_if_silent, connection)

    def _end_if_silent(self, connection: web.RequestHandler) -> None:
        if connection in self._silent:
            self._silent.remove(connection)
            connection.force_close()

    async def _answering(self, request: web.Request, response: web.StreamResponse) -> None:
        self._silent.discard(request.protocol)
        response.headers.update(HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        guest = await self._door.admit(request.headers)
        if isinstance(guest, Turned):
            return _turned(guest)
        with self._viewers.place() as has_place:
            if not has_place:
                reason = f"{self._viewers.count} viewers look already"
                remedy = "close one, or let page.viewers_max be more"
                return _turned(Turned(503, reason, remedy, 10.0))
            response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
            response.content_type = "text/event-stream"
            response.charset = "utf-8"
            await response.prepare(request)
            transport = request.transport
            if transport is None:
                return response  # it has gone
            await self._viewers.serve(_Wire(response, transport), lambda: self._door.ended(guest))
            return response


def _files() -> list[tuple[str, str, bytes]]:
    """Return where each file is found, what it is, and its content."""
    found = [
        (f"/{file.name}", KINDS[file.suffix], file.read_bytes())
        for file in sorted(FILES.iterdir())
        if file.suffix in KINDS
    ]
    index = next(one for one in found if one[0] == "/index.html")
    return [("/", *index[1:]), *(one for one in found if one is not index)]


def _sender(kind: str, content: bytes) -> Any:
    async def send(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return send


def _turned(turned: Turned) -> web.Response:
    headers = {}
    if turned.status == web.HTTPUnauthorized.status_code:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    if turned.retry_after:
        headers[hdrs.RETRY_AFTER] = str(max(1, round(turned.retry_after)))
    answer = {"reason": turned.reason, "remedy": turned.remedy}
    return web.json_response(answer, status=turned.status, headers=headers)


@asynccontextmanager
async def serving(
    settings: PageSettings, server: ServerSettings, door: Door, viewers: Viewers
) -> AsyncIterator[str]:
    """Serve the page until the block ends; yields its address.

    Raises SettingsError where it cannot be served.
    """
    assert settings.port is not None, "there is a page"
    secure = None
    if not is_loopback(settings.host):
        secure = _tls(server)
        if secure is None:
            log.warning("the page is served without TLS: tokens of operators travel in the open")
    page = PageServer(door, viewers)
    runner = web.AppRunner(
        page.application(),
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,  # whoever goes leaves its place at once
        keepalive_timeout=15.0,
        lingering_time=0.0,
        shutdown_timeout=STOP_SECONDS,
        max_line_size=HEAD_BYTES_MAX,
        max_field_size=HEAD_BYTES_MAX,
    )
    await runner.setup()
    factory = runner.server
    assert factory is not None, "it was set up just now"

    def accepted() -> asyncio.Protocol:
        if len(factory.connections) >= CONNECTIONS_MAX:
            return _TurnedAway()
        connection = factory()
        page.expect(connection)
        return connection

    listening = _bound(settings.host, settings.port)
    try:
        loop = asyncio.get_running_loop()
        door_of_it = await loop.create_server(accepted, sock=listening, ssl=secure)
        scheme = "http" if secure is None else "https"
        host = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
        try:
            yield f"{scheme}://{host}:{listening.getsockname()[1]}/"
        finally:
            door_of_it.close()
    finally:
        viewers.close()
        await runner.cleanup()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host.strip("[]"), port), family=family)
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]  # it says where it was bound to as well
        raise SettingsError(
            f"page.port={port}: {why} on {host}; 0 takes a free port, none is no page"
        ) from error
    # Connections inherit it.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return bound


def _tls(server: ServerSettings) -> ssl.SSLContext | None:
    if server.tls_certificate is None or server.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.tls_certificate, server.tls_key)
    return context
