"""The hooks of an agent: methods to override, decorators to apply."""

from __future__ import annotations

from typing import Any

import pytest

import llmx
from llmx.handlers import Handlers
from llmx.hearing import Hearing

HOOKS = sorted(name for name in vars(Hearing) if name.startswith("on_"))


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_decorates_a_function_and_says_what_it_takes(name: str) -> None:
    agent = llmx.Agent("agent://bob", token="t")

    def handler(subject: object) -> None:
        """Hear something."""

    assert getattr(agent, name)(handler) is handler
    assert agent._handlers.find(name) is handler
    assert "akes" in (vars(Hearing)[name].__doc__ or "")
    with pytest.raises(TypeError, match=name):
        getattr(agent, name)("a word")


def test_an_overridden_hook_is_found_and_no_other() -> None:
    class Bob(llmx.Agent):
        def on_bargain(self, bargain: Any, /) -> None:
            """Bargain."""

    found = Handlers(Bob("agent://bob", token="t"), Hearing)
    assert [name for name in HOOKS if found.find(name)] == ["on_bargain"]
