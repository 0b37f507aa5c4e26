"""The `agent` fixture: describe agents that come back quickly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import llmx
from llmx.backoff import Backoff

QUICK = Backoff(first=0.01, longest=0.02)

AgentMaker = Callable[..., llmx.Agent]


@pytest.fixture
def agent() -> AgentMaker:
    """Return a function that describes an agent which reconnects quickly."""

    def make(name: str, gateway: str, **options: Any) -> llmx.Agent:
        options = {"token": name, "backoff": QUICK, "close_timeout": 1.0} | options
        return llmx.Agent(f"agent://{name}", gateway, **options)

    return make
