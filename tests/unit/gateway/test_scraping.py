"""The page of metrics comes and goes at once."""

from __future__ import annotations

import socket
import threading
import urllib.request
from wsgiref.simple_server import make_server

import pytest
from prometheus_client import CollectorRegistry, Gauge

from gateway.scraping import ScrapePage
from gateway.settings import SettingsError

HOST = "127.0.0.1"
WAIT_SECONDS_MAX = 30.0


def test_a_scrape_reads_what_the_registry_has():
    registry = CollectorRegistry()
    Gauge("llmx_bids", "Bids", registry=registry).set(3)
    page = ScrapePage.served(0, HOST, registry)
    with urllib.request.urlopen(f"http://{HOST}:{page.port}/metrics", timeout=5) as answer:
        assert "llmx_bids 3.0" in answer.read().decode()
    page.close()


def test_a_page_ends_without_waiting_for_its_thread_to_look():
    server = make_server(HOST, 0, lambda environ, respond: [])
    seldom = {"poll_interval": 600.0}
    serving = threading.Thread(target=server.serve_forever, kwargs=seldom, daemon=True)
    serving.start()
    closing = threading.Thread(target=ScrapePage(server).close, daemon=True)
    closing.start()
    closing.join(WAIT_SECONDS_MAX)
    assert not closing.is_alive() and not serving.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, server.server_port), 1)


def test_closing_again_does_nothing():
    page = ScrapePage.served(0, HOST, CollectorRegistry())
    page.close()
    page.close()


def test_a_port_that_is_taken_is_answered_with_what_would_work():
    page = ScrapePage.served(0, HOST, CollectorRegistry())
    with pytest.raises(SettingsError, match=rf"server.metrics_port={page.port}: .* takes a free"):
        ScrapePage.served(page.port, HOST, CollectorRegistry())
    page.close()
