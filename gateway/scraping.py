"""The page that a scrape reads, served by a thread of its own."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from gateway.settings import SettingsError

NUDGE_SECONDS = 0.1


class ScrapePage:
    """A page that is served until it is closed."""

    def __init__(self, server: WSGIServer) -> None:
        """Take a server whose thread runs."""
        self._server = server

    @classmethod
    def served(cls, port: int, host: str, registry: CollectorRegistry) -> Self:
        """Serve it; port 0 takes a free one. Raises SettingsError when the port is taken."""
        try:
            server, _ = start_http_server(port, host, registry)
        except OSError as error:
            raise SettingsError(
                f"server.metrics_port={port}: {error.strerror} on {host}; "
                "--metrics-port 0 takes a free port, none does without"
            ) from error
        return cls(server)

    @property
    def port(self) -> int:
        """Return the port that it is served on."""
        return self._server.server_port

    def close(self) -> None:
        """Stop serving; a repeat does nothing.

        The thread looks every half a second whether it is to end, and whenever somebody connects.
        So somebody connects: a gateway ends half a second sooner.
        """
        ending = threading.Thread(target=self._server.shutdown)
        ending.start()
        while ending.is_alive():
            with suppress(OSError):
                address = self._server.socket.getsockname()[:2]
                socket.create_connection(address, NUDGE_SECONDS).close()
            ending.join(NUDGE_SECONDS)
        self._server.server_close()
