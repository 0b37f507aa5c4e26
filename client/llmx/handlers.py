"""Finds what an author wants to hear.

An author subclasses `Agent` and overrides `on_cfp`, or decorates a function with
`@agent.on_cfp`. A function that was given to a decorator goes before a method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Handler = Callable[..., Any]
"""May be async or not. One that is not runs at once and must not block."""


class Handlers:
    """The handlers of one agent, by the name of the hook, "on_cfp"."""

    def __init__(self, owner: object, default: type) -> None:
        """Look for methods that `owner` overrides in its base class `default`."""
        self._found: dict[str, Handler] = {}
        for name in vars(default):
            if name.startswith("on_") and getattr(type(owner), name) is not vars(default)[name]:
                self._found[name] = getattr(owner, name)

    def find(self, name: str) -> Handler | None:
        """Return the handler, or None when the author did not ask for one."""
        return self._found.get(name)

    def put(self, name: str, handler: Handler) -> None:
        """Use this handler from now on."""
        self._found[name] = handler
