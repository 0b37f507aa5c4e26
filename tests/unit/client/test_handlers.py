"""How hooks are found."""

from __future__ import annotations

from typing import Any

import pytest

import llmx


def test_a_method_is_found_when_a_subclass_overrides_it():
    class Bob(llmx.Agent):
        async def on_cfp(self, call: llmx.Call) -> llmx.Offer:
            return call.offer(1)

    bob = Bob("agent://bob")
    assert bob._handlers.find("on_cfp") == bob.on_cfp
    assert bob._handlers.find("on_message") is None


def test_a_decorated_function_is_found_and_returned_unchanged():
    bob = llmx.Agent("agent://bob")

    def quote(call: Any) -> None:
        return None

    assert bob.on_cfp(quote) is quote
    assert bob._handlers.find("on_cfp") is quote


def test_decorating_what_is_no_function_is_a_type_error():
    with pytest.raises(TypeError, match="on_cfp"):
        llmx.Agent("agent://bob").on_cfp(40)
